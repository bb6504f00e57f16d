"""Builds the optimizer that an experiment's configuration describes."""

import jax
import optax
from jaxtyping import Array, PyTree

from aejax.errors import UserError
from aejax.experiment.configuration import Experiment, Optimization
from aejax.host.schema import MAX_STEPS
from aejax.training.kept import kept

_WIDE = 4096  # inputs of a dense layer


def count_steps(epochs: int, batch_size: int, training_examples: int) -> int:
    """Returns the number of training steps; UserError if it exceeds an int32, in which devices count steps."""
    steps = epochs * (training_examples // batch_size)
    if steps > MAX_STEPS:
        raise UserError(f"epochs: must be below {2**31:,} steps, got {steps:,}: use fewer epochs or larger batches")
    return steps


def build_optimizer(experiment: Experiment, training_examples: int) -> optax.GradientTransformation:
    """Returns Adam with the schedule, the clipping and the weight decay of a configuration.

    Calls with the same configuration and the same number of steps return the same object.

    Args:
      experiment: the configuration.
      training_examples: the number of training examples, which determines the steps of a schedule.

    Raises:
      UserError: the warm-up is at least as long as the training, or there are too many steps.
    """
    training = experiment.training
    return _built(experiment.optimization, count_steps(training.epochs, training.batch_size, training_examples))


@kept
def _built(optimization: Optimization, steps: int) -> optax.GradientTransformation:
    peak = optimization.learning_rate
    schedule = optax.cosine_decay_schedule(peak, steps) if optimization.schedule == "cosine" else peak
    if optimization.warmup_steps:
        if optimization.warmup_steps >= steps:
            raise UserError(f"warmup_steps: must be below the {steps} training steps, got {optimization.warmup_steps}")
        if optimization.schedule == "cosine":
            schedule = optax.warmup_cosine_decay_schedule(0.0, peak, optimization.warmup_steps, steps)
        else:
            schedule = optax.linear_schedule(0.0, peak, optimization.warmup_steps)
    if optimization.schedule == "linear_at_end":
        first = steps - steps // 5
        before, decay = schedule, optax.linear_schedule(peak, 0.0, steps - first)
        schedule = optax.join_schedules([before if callable(before) else optax.constant_schedule(peak), decay], [first])
    clip = [] if optimization.clip_norm is None else [optax.clip_by_global_norm(optimization.clip_norm)]
    return _slower_in_wide_layers(optax.chain(*clip, optax.adamw(schedule, weight_decay=optimization.weight_decay)))


def _slower_in_wide_layers(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Returns the optimizer with updates of dense layers with more than `_WIDE` inputs divided by inputs / `_WIDE`.

    Adam changes every weight by about the learning rate, so a unit's preactivation changes by up to the learning rate
    times the number of inputs: with 20,000 inputs the first steps move codes too far. Source: G. Yang et al. (2022),
    Tensor Programs V, table 3.
    """

    def scale(update: Array) -> Array:
        return update * (_WIDE / update.shape[0]) if update.ndim == 2 and update.shape[0] > _WIDE else update

    def update(gradient: PyTree, state: PyTree, params: PyTree | None = None) -> tuple[PyTree, PyTree]:
        updates, state = optimizer.update(gradient, state, params)
        return jax.tree.map(scale, updates), state

    return optax.GradientTransformation(optimizer.init, update)

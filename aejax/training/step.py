"""One optimization step on one device's share of a batch, and many of them compiled under `pmap`."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Int, PyTree

from aejax.augmentation import Augmentation
from aejax.autoencoders import Autoencoder, Examples, as_batch
from aejax.autoencoders.record import Batch, Metrics, example_keys
from aejax.training.accumulation import gradient_and_metrics
from aejax.training.devices import AXIS
from aejax.training.kept import kept
from aejax.training.state import TrainState, run_keys

TrainStep = Callable[[TrainState, PyTree], tuple[TrainState, Metrics]]
TrainSteps = Callable[[TrainState, Examples | Array | np.ndarray, np.ndarray], tuple[TrainState, Metrics]]
TrainOn = Callable[[TrainState, Examples | Array | np.ndarray], tuple[TrainState, Metrics]]


def train_step(
    autoencoder: Autoencoder,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    examples: Examples | Array,
    *,
    augment: Augmentation | None = None,
    accumulation_steps: int = 1,
    unrolled: bool = False,
) -> tuple[TrainState, Metrics]:
    """One step on this device's share of the global batch; call it under a map over the axis `AXIS`.

    Gradients and metrics are averaged over the axis. Noise is keyed by the run's key, the step, and the position of
    an example in the global batch, so it does not depend on the number of devices.

    Args:
      autoencoder: whose loss is minimized.
      optimizer: an Optax gradient transformation.
      state: equal on every device.
      examples: this device's share; the global batch is the shares of all devices in order.
      augment: (key, x) -> another x, of ONE example; what is seen of an example and what it is meant to be are changed
        by one key.
      accumulation_steps: into how many parts the share is divided, so that only one of them has to fit into memory;
        the result is that of the whole share, but for rounding.
      unrolled: the parts lie in straight-line code, not in a loop.

    Returns:
      The next state and the loss terms, both equal on every device.
    """
    batch = as_batch(examples)
    first = lax.axis_index(AXIS) * len(batch.x)
    batch = batch._replace(indices=first + batch.indices, step=state.step)
    keys = run_keys(state)
    noise_key = jax.random.fold_in(keys.noise, state.step)
    if augment is not None:
        batch = _augmented(augment, jax.random.fold_in(keys.augmentation, state.step), batch)
    gradient, metrics = gradient_and_metrics(
        autoencoder, state.params, noise_key, batch, microbatches=accumulation_steps, unrolled=unrolled
    )
    if lax.axis_size(AXIS) > 1:  # of one device XLA on CPU would copy every gradient
        gradient, metrics = lax.pmean((gradient, metrics), AXIS)
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return TrainState(params, opt_state, state.step + 1, state.key), metrics


def make_train_steps(step: TrainStep, devices: Sequence[jax.Device]) -> TrainSteps:
    """Compile S steps in one call: `(state, data, positions) -> (state, metrics)`.

    The function takes a state and the whole data set on every device, and positions (devices, S, share) of the
    examples of each step's batch, where there are several processes of this one's devices only; it returns each metric
    as (S,), of the global batch. The state given is used up: its buffers become those of the state returned.

    Args:
      step: `(state, examples) -> (state, metrics)`, a partial `train_step`.
      devices: which each take a share of every batch.
    """

    def steps(
        state: TrainState, data: Examples | Array, positions: Int[Array, "S share"]
    ) -> tuple[TrainState, Metrics]:
        def step_at(state: TrainState, position: Int[Array, "share"]) -> tuple[TrainState, Metrics]:
            return step(state, jax.tree.map(lambda part: part[position], data))

        return _one_after_the_other(step_at, state, positions)

    return jax.pmap(steps, AXIS, in_axes=(None, None, 0), out_axes=(None, None), devices=devices, donate_argnums=0)


def make_train_on(step: TrainStep, devices: Sequence[jax.Device]) -> TrainOn:
    """Compile S steps on batches that are given: `(state, batches) -> (state, metrics)`, for data that do not fit.

    As `make_train_steps`, but for the examples: their arrays are (devices, S, share, ...).
    """
    steps = partial(_one_after_the_other, step)
    return jax.pmap(steps, AXIS, in_axes=(None, 0), out_axes=(None, None), devices=devices, donate_argnums=0)


@kept
def compiled_steps(
    autoencoder: Autoencoder,
    optimizer: optax.GradientTransformation,
    devices: tuple[jax.Device, ...],
    *,
    streamed: bool,
    augment: Augmentation | None,
    accumulation_steps: int,
    unrolled: bool,
) -> TrainSteps | TrainOn:
    """Returns the function of `make_train_on` where examples are streamed, else of `make_train_steps`.

    The same one for the same arguments, so that training again compiles nothing. Arguments as for `train_step`.
    """
    step = partial(
        train_step,
        autoencoder,
        optimizer,
        augment=augment,
        accumulation_steps=accumulation_steps,
        unrolled=unrolled,
    )
    return make_train_on(step, devices) if streamed else make_train_steps(step, devices)


def _augmented(augment: Augmentation, key: Array, batch: Batch) -> Batch:
    """The batch with every example changed, keyed by its place in the global batch."""
    change = partial(jax.vmap(augment), example_keys(key, batch))
    return batch._replace(x=change(batch.x), input=change(batch.input))


def _one_after_the_other(step: TrainStep, state: TrainState, inputs: PyTree) -> tuple[TrainState, Metrics]:
    """A scan; of one step no loop at all, since XLA on CPU keeps even that."""
    if len(jax.tree.leaves(inputs)[0]) == 1:
        state, metrics = step(state, jax.tree.map(lambda part: part[0], inputs))
        return state, jax.tree.map(lambda value: value[None], metrics)
    return lax.scan(step, state, inputs)

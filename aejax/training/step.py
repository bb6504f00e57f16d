"""One optimization step on one device's share of a batch, and many steps compiled with `pmap`."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Int, PyTree

from aejax.augmentation import Augmentation
from aejax.autoencoders import Autoencoder, Examples, as_batch
from aejax.autoencoders.learned_state import split_statistics
from aejax.autoencoders.record import Batch, Metrics, example_keys
from aejax.training.accumulation import gradient_and_metrics
from aejax.training.devices import AXIS
from aejax.training.kept import kept
from aejax.training.state import TrainState, run_keys
from aejax.training.update import next_state

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
    """Takes one step on this device's share of the global batch; call it under a map over the axis `AXIS`.

    Gradients, metrics and statistics are averaged over the axis. Noise is keyed by the run's key, the step, and the
    position of an example in the global batch, so it does not depend on the number of devices.

    Args:
      autoencoder: its loss is minimized.
      optimizer: an Optax gradient transformation.
      state: the state, equal on every device.
      examples: this device's share; the global batch is the concatenation of the shares of all devices.
      augment: (key, x) -> augmented x, a function of ONE example; input and target are augmented with the same key.
      accumulation_steps: the number of microbatches into which the share is split, so that only one at a time must fit
        into memory; up to rounding error, the result is that of the whole share.
      unrolled: whether the microbatches are compiled as straight-line code instead of a loop.

    Returns:
      The next state and the terms of the loss, both equal on every device.
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
    if lax.axis_size(AXIS) > 1:  # with one device, XLA on CPU would copy every gradient
        gradient, metrics = lax.pmean((gradient, metrics), AXIS)
    terms, statistics = split_statistics(metrics)
    number = len(batch.x) * lax.axis_size(AXIS)
    return next_state(autoencoder, optimizer, state, gradient, statistics, examples=number), terms


def make_train_steps(step: TrainStep, devices: Sequence[jax.Device]) -> TrainSteps:
    """Returns a function that takes S steps in one compiled call, `(state, data, positions) -> (state, metrics)`.

    Its arguments are a state and the whole data set on every device, and the positions (devices, S, share) of the
    examples in each step's batch, for the devices of this process. It returns each metric as (S,), over the global
    batch. The state's buffers are donated to the returned state.

    Args:
      step: `(state, examples) -> (state, metrics)`, a partial `train_step`.
      devices: the devices; each processes a share of every batch.
    """

    def steps(
        state: TrainState, data: Examples | Array, positions: Int[Array, "S share"]
    ) -> tuple[TrainState, Metrics]:
        def step_at(state: TrainState, position: Int[Array, "share"]) -> tuple[TrainState, Metrics]:
            return step(state, jax.tree.map(lambda leaf: leaf[position], data))

        return _scan(step_at, state, positions)

    return jax.pmap(steps, AXIS, in_axes=(None, None, 0), out_axes=(None, None), devices=devices, donate_argnums=0)


def make_train_on(step: TrainStep, devices: Sequence[jax.Device]) -> TrainOn:
    """Returns a function that takes S steps on streamed batches, `(state, batches) -> (state, metrics)`.

    It differs from `make_train_steps` in the examples: their arrays are (devices, S, share, ...).
    """
    steps = partial(_scan, step)
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
    """Returns the function of `make_train_on` if examples are streamed, otherwise that of `make_train_steps`.

    Equal arguments, those of `train_step`, give the same function, so that training again compiles nothing.
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
    """Returns the batch with every example augmented, keyed by its position in the global batch."""
    change = partial(jax.vmap(augment), example_keys(key, batch))
    return batch._replace(x=change(batch.x), input=change(batch.input))


def _scan(step: TrainStep, state: TrainState, inputs: PyTree) -> tuple[TrainState, Metrics]:
    """Returns `lax.scan(step, state, inputs)`; one step without a loop, since XLA on CPU does not remove it."""
    if len(jax.tree.leaves(inputs)[0]) == 1:
        state, metrics = step(state, jax.tree.map(lambda leaf: leaf[0], inputs))
        return state, jax.tree.map(lambda value: value[None], metrics)
    return lax.scan(step, state, inputs)

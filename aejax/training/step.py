"""One optimization step on one device's share of a batch, and many of them compiled under `pmap`."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Int

from aejax.autoencoders import Autoencoder, Examples, as_batch
from aejax.autoencoders.record import Metrics
from aejax.training.devices import AXIS
from aejax.training.state import TrainState

TrainSteps = Callable[[TrainState, Examples | Array | np.ndarray, np.ndarray], tuple[TrainState, Metrics]]


def train_step(
    autoencoder: Autoencoder,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    examples: Examples | Array,
) -> tuple[TrainState, Metrics]:
    """One step on this device's share of the global batch; call it under a map over the axis `AXIS`.

    Gradients and metrics are averaged over the axis. Noise is keyed by the run's key, the step, and the position of
    an example in the global batch, so it does not depend on the number of devices.

    Args:
      autoencoder: whose loss is minimized.
      optimizer: an Optax gradient transformation.
      state: equal on every device.
      examples: this device's share; the global batch is the shares of all devices in order.

    Returns:
      The next state and the loss terms, both equal on every device.
    """
    batch = as_batch(examples)
    first = lax.axis_index(AXIS) * len(batch.x)
    batch = batch._replace(indices=first + batch.indices, step=state.step)
    noise_key = jax.random.fold_in(state.key, state.step)
    gradient, metrics = jax.grad(autoencoder.loss, has_aux=True)(state.params, noise_key, batch)
    gradient, metrics = lax.pmean((gradient, metrics), AXIS)
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return TrainState(params, opt_state, state.step + 1, state.key), metrics


def make_train_steps(
    autoencoder: Autoencoder,
    optimizer: optax.GradientTransformation,
    devices: Sequence[jax.Device],
) -> TrainSteps:
    """Compile S steps in one call: `(state, data, positions) -> (state, metrics)`.

    The function takes a state and the whole data set on every device, and positions (devices, S, share) of the
    examples of each step's batch, where there are several processes of this one's devices only; it returns each metric
    as (S,), of the global batch. The state given is used up: its buffers become those of the state returned.
    """

    def steps(
        state: TrainState, data: Examples | Array, positions: Int[Array, "S share"]
    ) -> tuple[TrainState, Metrics]:
        def step(state: TrainState, position: Int[Array, "share"]) -> tuple[TrainState, Metrics]:
            return train_step(autoencoder, optimizer, state, jax.tree.map(lambda part: part[position], data))

        if len(positions) == 1:  # no loop at all: XLA on CPU keeps even a loop of one step
            state, metrics = step(state, positions[0])
            return state, jax.tree.map(lambda value: value[None], metrics)
        return lax.scan(step, state, positions)

    return jax.pmap(steps, AXIS, in_axes=(None, None, 0), out_axes=(None, None), devices=devices, donate_argnums=0)

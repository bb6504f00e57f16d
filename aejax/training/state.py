"""What a training step maps to itself."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, Key, PyTree

from aejax.autoencoders import Autoencoder


class TrainState(NamedTuple):
    """Parameters, optimizer, step and key: one pytree, and with the data all that the next step depends on."""

    params: PyTree
    opt_state: optax.OptState
    step: Int[Array, ""]  # steps taken so far
    key: Key[Array, ""]  # the root of the run's noise and order; never advanced, folded with the step


def run_keys(state: TrainState) -> tuple[Array, Array]:
    """The key of the order of the examples, and that of the noise in evaluation, which is the same every time."""
    order_key, evaluation_key = jax.random.split(state.key)
    return order_key, evaluation_key


def create_state(
    autoencoder: Autoencoder,
    optimizer: optax.GradientTransformation,
    key: Key[Array, ""],
    *example: Array,
) -> TrainState:
    """The state before the first step.

    Args:
      autoencoder: whose parameters are drawn.
      optimizer: whose state is made for them.
      key: of the whole run: initialization, noise and order of the examples follow from it.
      *example: ONE example, for its shape and dtype, and its condition where there is one.
    """
    init_key, run_key = jax.random.split(key)
    params = jax.jit(autoencoder.init)(init_key, *example)
    return TrainState(params, optimizer.init(params), jnp.zeros((), jnp.int32), run_key)


def epoch_order(key: Key[Array, ""], epoch: int, examples: int) -> Int[np.ndarray, "N"]:
    """The order in which an epoch takes the examples, drawn on the host: where XLA runs on CPU, its sort takes longer.

    >>> epoch_order(jax.random.key(0), 3, 5).tolist()
    [0, 1, 4, 3, 2]
    """
    order = np.arange(examples, dtype=np.int32 if examples <= np.iinfo(np.int32).max else np.int64)
    np.random.default_rng([*np.asarray(jax.random.key_data(key)), epoch]).shuffle(order)
    return order

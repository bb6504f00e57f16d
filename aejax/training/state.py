"""The training state, which a step maps to the next state, and the keys of a run."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, Key, PyTree

from aejax.autoencoders import Autoencoder
from aejax.autoencoders.learned_state import without_state
from aejax.host.memory import bytes_of, check_fits
from aejax.keys import named_key


class TrainState(NamedTuple):
    """Parameters, optimizer state, step and key, one pytree; the next step depends only on it and the data."""

    params: PyTree
    opt_state: optax.OptState
    step: Int[Array, ""]  # the number of steps so far
    key: Key[Array, ""]  # the root of the run's named keys (`run_keys`); never advanced


class RunKeys(NamedTuple):
    """One key for each use of randomness in a run after initialization; no two uses share noise."""

    order: Key[Array, ""]  # the order of the examples in each epoch
    evaluation: Key[Array, ""]  # the noise of the loss in evaluation, equal at every evaluation
    noise: Key[Array, ""]  # the noise of the loss in training, folded with the step
    augmentation: Key[Array, ""]  # the augmentation in training, folded with the step
    figures: Key[Array, ""]  # corrupted examples and samples in figures
    statistics: Key[Array, ""]  # estimated statistics of the code
    corruption: Key[Array, ""]  # the corruption of inputs when denoising is measured


def run_keys(state: TrainState) -> RunKeys:
    """Returns the named keys of the run that a state belongs to, equal at every step."""
    return RunKeys(*(named_key(state.key, name) for name in RunKeys._fields))


def create_state(
    autoencoder: Autoencoder,
    optimizer: optax.GradientTransformation,
    key: Key[Array, ""],
    *example: Array,
) -> TrainState:
    """Returns the state before the first step.

    Args:
      autoencoder: the autoencoder whose parameters are initialized.
      optimizer: the optimizer whose state is initialized.
      key: the key of the whole run: initialization, noise and order of the examples follow from it.
      *example: ONE example, for its shape and dtype, and its condition for a conditional autoencoder.

    Raises:
      UserError: the parameters and the optimizer's state would exceed the available memory.
    """
    check_parameters_fit(autoencoder, optimizer, *example)
    init_key, run_key = jax.random.split(key)
    params = jax.jit(autoencoder.init)(init_key, *example)
    opt_state = jax.jit(optimizer.init)(without_state(autoencoder, params))
    return TrainState(params, opt_state, jnp.zeros((), jnp.int32), run_key)


def check_parameters_fit(
    autoencoder: Autoencoder, optimizer: optax.GradientTransformation, *example: Array, members: int = 1
) -> None:
    """Raise UserError if the arrays that training needs at least would exceed the available memory.

    These are the parameters, the best parameters so far, the gradient, and the optimizer's state.

    Args:
      autoencoder: the autoencoder whose parameters are counted, without creating them.
      optimizer: the optimizer whose state is counted.
      *example: ONE example, for its shape and dtype, and its condition for a conditional autoencoder.
      members: the number of such autoencoders.
    """
    params = jax.eval_shape(autoencoder.init, jax.random.key(0), *example)
    size = members * (
        3 * bytes_of(params) + bytes_of(jax.eval_shape(optimizer.init, without_state(autoencoder, params)))
    )
    number = members * sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    check_fits(size, f"{number:,} parameters that are trained", advice="use narrower networks or a smaller code")


def epoch_order(key: Key[Array, ""], epoch: int, examples: int) -> Int[np.ndarray, "N"]:
    """Returns the order of the examples in an epoch, drawn by NumPy, which is faster than XLA's sort on CPU.

    >>> epoch_order(jax.random.key(0), 3, 5).tolist()
    [0, 1, 4, 3, 2]
    """
    order = np.arange(examples, dtype=np.int32 if examples <= np.iinfo(np.int32).max else np.int64)
    np.random.default_rng([*np.asarray(jax.random.key_data(key)), epoch]).shuffle(order)
    return order

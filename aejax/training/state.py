"""What a training step maps to itself."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, Key, PyTree

from aejax.autoencoders import Autoencoder
from aejax.host.memory import bytes_of, check_fits
from aejax.keys import named_key


class TrainState(NamedTuple):
    """Parameters, optimizer, step and key: one pytree, and with the data all that the next step depends on."""

    params: PyTree
    opt_state: optax.OptState
    step: Int[Array, ""]  # steps taken so far
    key: Key[Array, ""]  # the root of the run's named keys (`run_keys`); never advanced


class RunKeys(NamedTuple):
    """One key for each use of randomness in a run after initialization; no two streams share noise."""

    order: Key[Array, ""]  # of the examples in each epoch
    evaluation: Key[Array, ""]  # of the loss in evaluation, the same at every evaluation
    noise: Key[Array, ""]  # of the loss in training, folded with the step
    augmentation: Key[Array, ""]  # of the augmentation in training, folded with the step
    figures: Key[Array, ""]  # of what figures show: corrupted examples, samples
    statistics: Key[Array, ""]  # of estimates about the code
    corruption: Key[Array, ""]  # of inputs that are corrupted to measure denoising


def run_keys(state: TrainState) -> RunKeys:
    """The named keys of the run that a state belongs to, equal at every step."""
    return RunKeys(*(named_key(state.key, name) for name in RunKeys._fields))


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

    Raises:
      UserError: parameters and the optimizer's state for them would take more memory than there is.
    """
    check_parameters_fit(autoencoder, optimizer, *example)
    init_key, run_key = jax.random.split(key)
    params = jax.jit(autoencoder.init)(init_key, *example)
    return TrainState(params, jax.jit(optimizer.init)(params), jnp.zeros((), jnp.int32), run_key)


def check_parameters_fit(
    autoencoder: Autoencoder, optimizer: optax.GradientTransformation, *example: Array, members: int = 1
) -> None:
    """Raise UserError where what training holds, at least, would take more memory than there is.

    That is the parameters, the best ones so far, their gradient, and the optimizer's state.

    Args:
      autoencoder: whose parameters are counted, none is made.
      optimizer: whose state is.
      *example: as for `create_state`.
      members: how many autoencoders there are of the kind.
    """
    params = jax.eval_shape(autoencoder.init, jax.random.key(0), *example)
    size = members * (3 * bytes_of(params) + bytes_of(jax.eval_shape(optimizer.init, params)))
    number = members * sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    check_fits(size, f"{number:,} parameters that are trained", advice="use narrower networks or a smaller code")


def epoch_order(key: Key[Array, ""], epoch: int, examples: int) -> Int[np.ndarray, "N"]:
    """The order in which an epoch takes the examples, drawn on the host: where XLA runs on CPU, its sort takes longer.

    >>> epoch_order(jax.random.key(0), 3, 5).tolist()
    [0, 1, 4, 3, 2]
    """
    order = np.arange(examples, dtype=np.int32 if examples <= np.iinfo(np.int32).max else np.int64)
    np.random.default_rng([*np.asarray(jax.random.key_data(key)), epoch]).shuffle(order)
    return order

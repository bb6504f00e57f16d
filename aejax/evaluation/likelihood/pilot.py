"""Step sizes of Hamiltonian moves along a path, tuned in a pilot run and then frozen."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key, PyTree

from aejax.autoencoders import Autoencoder
from aejax.autoencoders.densities import check_variational, densities_of
from aejax.autoencoders.record import BatchLike, as_batch, encoder_inputs, example_keys
from aejax.checks import check_count
from aejax.evaluation.likelihood.hamiltonian import Point, hamiltonian_transition
from aejax.evaluation.likelihood.path import Path, Schedule, Start, at, temperatures
from aejax.keys import named_key

TARGET_ACCEPTANCE = 0.65  # best for trajectories of a fixed length in many dimensions (Beskos et al., 2013)
JITTER = 0.2  # of the step size of every trajectory, in the pilot run and after it
_FIRST_SIZE = 0.1
_WARM_UP = 60  # moves at β = 0 before the path begins
_GAIN = 0.5  # of the logarithm of the step size, for the acceptance above its target
_LOG_SIZES = (math.log(1e-6), math.log(1e2))


class StepSizes(NamedTuple):
    """Step sizes at some inverse temperatures; in between, their logarithm is interpolated."""

    temperatures: Float[np.ndarray, "S"]  # β, ascending from 0 to 1
    sizes: Float[np.ndarray, "S"]  # of the leapfrog steps


def tuned_step_sizes(
    autoencoder: Autoencoder,
    params: PyTree,
    key: Key[Array, ""],
    examples: BatchLike,
    *,
    start: Start = "prior",
    schedule: Schedule = "sigmoid",
    leapfrog_steps: int = 10,
    knots: int = 40,
    moves_per_knot: int = 15,
) -> StepSizes:
    """Returns the step sizes at which Hamiltonian moves are accepted with probability 0.65, along the path.

    One chain of each example moves along the path once. At every knot the step size, the same for all examples, follows
    the mean acceptance; its mean over the second half of the moves is kept. Chains that are weighted must not tune
    their own steps: the moves would depend on the chain's past, and bounds would hold approximately only.

    Args:
      autoencoder: a variational autoencoder.
      params: its parameters.
      key: a random key, not used elsewhere.
      examples: some examples of the distribution of interest, 16 or more, with inputs and conditions if there are any.
      start: as for `annealed_log_likelihood`.
      schedule: as for `annealed_log_likelihood`: the knots are its temperatures.
      leapfrog_steps: of each move.
      knots: the number of inverse temperatures at which steps are tuned, at least 2.
      moves_per_knot: at least 2.

    Raises:
      ValueError: a number is too small, or there are no examples.
      TypeError: the autoencoder is not variational, or a number is not an integer.

    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> params = vae.init(jax.random.key(0), jnp.ones(5))
    >>> sizes = tuned_step_sizes(vae, params, jax.random.key(1), jnp.ones((8, 5)), knots=3)
    >>> sizes.temperatures.tolist(), bool((sizes.sizes > 0).all())
    ([0.0, 0.5, 1.0], True)
    """
    check_variational(autoencoder)
    check_count("knots", knots, 2)
    check_count("moves_per_knot", moves_per_knot, 2)
    check_count("leapfrog_steps", leapfrog_steps)
    batch = as_batch(examples)
    betas = temperatures(knots - 1, schedule)
    moves = np.concatenate([np.zeros(_WARM_UP), np.repeat(betas, moves_per_knot)])

    @jax.jit
    def log_sizes_of(params: PyTree, keys: Array, moves: Array, *arrays: Array) -> Array:
        def path_of(arrays: tuple[Array, ...]) -> Path:
            return Path(start, densities_of(autoencoder, params, *arrays))

        def begin(key: Array, arrays: tuple[Array, ...]) -> Point:
            path = path_of(arrays)
            position = path.sample(named_key(key, "start"))
            return path.point_at(jnp.zeros((), position.dtype))(position)

        def move(carry: tuple[Array, Point], step: tuple[Array, Array]) -> tuple[tuple[Array, Point], Array]:
            (log_size, points), (number, beta) = carry, step

            def of_chain(key: Array, point: Point, arrays: tuple[Array, ...]) -> tuple[Point, Array]:
                return hamiltonian_transition(
                    jax.random.fold_in(named_key(key, "moves"), number),
                    path_of(arrays).point_at(beta),
                    at(point, beta),
                    step_size=jnp.exp(log_size),
                    steps=leapfrog_steps,
                    jitter=JITTER,
                )

            points, accepted = jax.vmap(of_chain)(keys, points, arrays)
            changed = log_size + _GAIN * (jnp.mean(accepted) - TARGET_ACCEPTANCE)
            return (jnp.clip(changed, *_LOG_SIZES), points), log_size

        points = jax.vmap(begin)(keys, arrays)
        first = jnp.asarray(math.log(_FIRST_SIZE), points.log_density.dtype)
        return lax.scan(move, (first, points), (jnp.arange(len(moves)), moves))[1]

    dtype = jnp.result_type(batch.x)
    arrays = (batch.x, *encoder_inputs(batch))
    log_sizes = log_sizes_of(params, example_keys(key, batch), jnp.asarray(moves, dtype), *arrays)
    of_knots = np.asarray(log_sizes, np.float64)[_WARM_UP:].reshape(knots, moves_per_knot)
    return StepSizes(betas, np.exp(of_knots[:, moves_per_knot // 2 :].mean(axis=1)))

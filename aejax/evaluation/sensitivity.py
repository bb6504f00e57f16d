"""Sensitivity of an encoder: the mean norm of its Jacobian, after and during training."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from aejax.autoencoders import Autoencoder
from aejax.datasets.subset import random_positions
from aejax.evaluation.representation import as_examples, map_over_examples
from aejax.jacobian import estimate_frobenius_norm_squared, frobenius_norm_squared
from aejax.keys import named_key
from aejax.precision import widened

MAX_EXAMPLES = 2000  # for computations over all pairs of examples, and for Jacobians
_MAX_ROWS = 100_000  # of all exact Jacobians, for a trained autoencoder
_MAX_ROWS_AT_A_TIME = 4000  # of the exact Jacobians in memory; a Jacobian with more rows is estimated
_MAX_ENTRIES = 4_000_000  # of an exact Jacobian; a Jacobian with more, as of feature maps, is estimated
_MAX_ALL_ENTRIES, _MAX_WATCHED_ENTRIES = 60_000_000, 2_400_000  # of all exact Jacobians, after and during training
_MAX_WATCHED_ROWS, _MAX_WATCHED_EXAMPLES = 4000, 200  # the same, at every evaluation during training
_PROJECTIONS = 8  # per estimated Jacobian
_MAX_PROJECTED, _MAX_WATCHED_PROJECTED = 8e6, 1e6  # features x examples x projections, after and during training


def mean_frobenius_norm(
    autoencoder: Autoencoder, params: PyTree, key: Key[Array, ""], *inputs: Any, batch_size: int = 500
) -> float:
    """Returns the mean of ‖∂h/∂x‖_F, the norm of the encoder's Jacobian, over the first examples.

    At most 2,000 examples are used, and at most as many as give 100,000 rows (or columns, if a Jacobian has fewer) and
    60 million entries of all Jacobians. If a Jacobian has more than 4,000 rows and columns, or more than 4 million
    entries, its norm is estimated from 8 random projections per example, over fewer examples. The estimate is unbiased
    for the square of the norm, so the mean of norms is up to 3 % too low.

    Args:
      autoencoder: any autoencoder.
      params: its parameters.
      key: a random key for the projections.
      *inputs: (N, ...) examples, N >= 1, and their conditions if the autoencoder is conditional.
      batch_size: the largest number of examples at a time.

    Returns:
      The mean, in units of the code per unit of the data.

    Raises:
      TypeError: the examples are not numbers.
      ValueError: there are no examples, or arrays differ in length.

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> constant = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> params = jax.tree.map(jnp.zeros_like, constant.init(jax.random.key(0), np.ones(5, np.float32)))
    >>> mean_frobenius_norm(constant, params, jax.random.key(1), np.ones((7, 5), np.float32))
    0.0
    """
    given = checked_inputs(*inputs)
    size, units = given[0][0].size, _units(autoencoder, params, *(array[0] for array in given))
    norm_of, limit = _norm_and_limit(
        units, size, max_rows=_MAX_ROWS, max_entries=_MAX_ALL_ENTRIES, max_projected=_MAX_PROJECTED
    )
    rows = min(units, size)
    at_a_time = batch_size if norm_of is _estimated_norm else min(max(_MAX_ROWS_AT_A_TIME // rows, 1), batch_size)
    count = min(len(given[0]), MAX_EXAMPLES, limit)
    directions = jax.random.split(named_key(key, "projections"), count)
    some = random_positions(len(given[0]), count, seed=0)
    arrays = [array[some] for array in given]
    norms = map_over_examples(partial(norm_of, autoencoder), params, directions, *arrays, batch_size=at_a_time)
    return float(np.mean(jax.device_get(norms), dtype=np.float64))


def make_mean_frobenius_norm(
    autoencoder: Autoencoder, params: PyTree, x: np.ndarray, *condition: np.ndarray
) -> Callable[[PyTree], float]:
    """Returns a compiled function from parameters to the mean of ‖∂h/∂x‖_F over a few examples, for training.

    The function uses 200 random examples, or fewer, so that their Jacobians have at most 4,000 rows and 2.4 million
    entries in total: its cost is a small fraction of an epoch's. A single Jacobian with more than 4,000 rows, or 4
    million entries, is estimated from 8 random projections, as in `mean_frobenius_norm`, which are the same at every
    call.

    Args:
      autoencoder: any autoencoder.
      params: its parameters, for their shapes.
      x: (N, ...) examples, N >= 1.
      *condition: (N, ...) their conditions, if the autoencoder is conditional.

    Raises:
      TypeError: the examples are not numbers.
      ValueError: there are no examples, or arrays differ in length.

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> linear = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> x = np.ones((7, 5), np.float32)
    >>> params = linear.init(jax.random.key(0), x[0])
    >>> kernel = params["encoder"]["params"]["Dense_0"]["kernel"]
    >>> bool(np.isclose(make_mean_frobenius_norm(linear, params, x)(params), np.linalg.norm(kernel), rtol=1e-6))
    True
    """
    given = checked_inputs(x, *condition)
    units = _units(autoencoder, params, *(array[0] for array in given))
    norm_of, limit = _norm_and_limit(
        units,
        given[0][0].size,
        max_rows=_MAX_WATCHED_ROWS,
        max_entries=_MAX_WATCHED_ENTRIES,
        max_projected=_MAX_WATCHED_PROJECTED,
    )
    count = min(len(given[0]), limit, _MAX_WATCHED_EXAMPLES)
    some = random_positions(len(given[0]), count, seed=0)
    arrays = [np.asarray(array[some]) for array in given]

    @jax.jit
    def mean_norm(params: PyTree, *arrays: Array) -> Array:
        directions = jax.random.split(jax.random.key(0), count)
        norms = jax.lax.map(lambda one: norm_of(autoencoder, params, *one), (directions, *arrays), batch_size=count)
        return jnp.mean(widened(norms))

    return lambda params: float(mean_norm(params, *arrays))


def checked_inputs(*arrays: np.ndarray) -> list[Any]:
    """Returns examples and their conditions as arrays.

    Raises:
      TypeError: they are not numbers.
      ValueError: there are no examples, or arrays differ in length.
    """
    given = [as_examples(array) for array in arrays]
    if len({len(array) for array in given}) > 1:
        raise ValueError(
            f"conditions must have the length of {len(given[0])} examples, got {[len(array) for array in given[1:]]}"
        )
    if len(given[0]) == 0:
        raise ValueError("there are no examples to compute statistics of, expected at least one")
    return given


def _units(autoencoder: Autoencoder, params: PyTree, *first: np.ndarray) -> int:
    """Returns the number of units of the code of one example, the rows of its Jacobian."""
    return jax.eval_shape(autoencoder.encode, params, *first).size


def _norm_and_limit(
    units: int, size: int, *, max_rows: int, max_entries: int, max_projected: float
) -> tuple[Callable[..., Array], int]:
    """Returns the function that computes ‖∂h/∂x‖_F, and the largest number of examples to use it for.

    Args:
      units: of the code of one example.
      size: the number of features of an example.
      max_rows: of all exact Jacobians together, or of their columns if they are fewer.
      max_entries: of all exact Jacobians together.
      max_projected: features x examples x projections, if the norm is estimated.

    Returns:
      A function (autoencoder, params, key, x, *condition) -> norm, and the number of examples.
    """
    rows = min(units, size)
    if rows > _MAX_ROWS_AT_A_TIME or units * size > _MAX_ENTRIES:
        return _estimated_norm, max(1, int(max_projected // (_PROJECTIONS * size)))
    return _exact_norm, max(1, min(max_rows // rows, max_entries // (units * size)))


def _exact_norm(autoencoder: Autoencoder, params: PyTree, key: Array, x: Array, *condition: Array) -> Array:
    del key
    return jnp.sqrt(frobenius_norm_squared(lambda x: autoencoder.encode(params, x, *condition), x, method="auto"))


def _estimated_norm(autoencoder: Autoencoder, params: PyTree, key: Array, x: Array, *condition: Array) -> Array:
    def encode(x: Array) -> Array:
        return autoencoder.encode(params, x, *condition)

    return jnp.sqrt(estimate_frobenius_norm_squared(key, encode, x, num_projections=_PROJECTIONS, mode="forward"))

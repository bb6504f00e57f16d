"""How sensitive an encoder is: the mean norm of its Jacobian, of a trained autoencoder and while one is trained."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from aejax.autoencoders import Autoencoder
from aejax.evaluation.representation import as_examples, map_over_examples
from aejax.jacobian import estimate_frobenius_norm_squared, frobenius_norm_squared
from aejax.keys import named_key
from aejax.precision import widened

MAX_EXAMPLES = 2000  # for what compares all pairs of examples, or takes a Jacobian of each
_MOST_ROWS, _MOST_WATCHED = 4000, 200  # of Jacobians at every evaluation of a run, and of its examples
_MOST_ROWS_IN_THE_END = 100_000  # of Jacobians once it is trained, of which _MOST_ROWS are held at a time
_PROJECTIONS = 8  # that estimate the norm of a Jacobian of more rows than these
_MOST_PROJECTED, _MOST_WATCHED_PROJECTED = 8e6, 1e6  # numbers of examples, times projections; of the second each time


def mean_frobenius_norm(
    autoencoder: Autoencoder, params: PyTree, key: Key[Array, ""], *inputs: Any, batch_size: int = 500
) -> float:
    """Returns the mean of ‖∂h/∂x‖_F over the first of N examples.

    The first 2,000 at most, and so many that all Jacobians have 100,000 rows (or columns, where they are fewer). Where
    one has more than 4,000 of both, its norm is estimated from 8 projections, independent ones for each example, and
    over fewer examples; such a mean is up to 3 % too low, since the estimate is that of the norm's square.

    Args:
      autoencoder: any.
      params: its parameters.
      key: of the projections.
      *inputs: (N, ...) examples, and their conditions where there are some.
      batch_size: examples at a time.

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> constant = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> params = jax.tree.map(jnp.zeros_like, constant.init(jax.random.key(0), np.ones(5, np.float32)))
    >>> mean_frobenius_norm(constant, params, jax.random.key(1), np.ones((7, 5), np.float32))
    0.0
    """
    given = checked_inputs(*inputs)
    rows = _rows(autoencoder, params, *(array[0] for array in given))
    norm_of, watched = _frobenius_norm_of(
        rows, given[0][0].size, most_rows=_MOST_ROWS_IN_THE_END, most_numbers=_MOST_PROJECTED
    )
    at_a_time = batch_size if norm_of is _estimated_norm else min(max(_MOST_ROWS // rows, 1), batch_size)
    few = min(len(given[0]), MAX_EXAMPLES, watched)
    directions = jax.random.split(named_key(key, "projections"), few)
    arrays = [array[:few] for array in given]
    norms = map_over_examples(partial(norm_of, autoencoder), params, directions, *arrays, batch_size=at_a_time)
    return float(np.mean(jax.device_get(norms), dtype=np.float64))


def make_mean_frobenius_norm(
    autoencoder: Autoencoder, params: PyTree, x: np.ndarray, *condition: np.ndarray
) -> Callable[[PyTree], float]:
    """Compile `params -> mean ‖∂h/∂x‖_F` over a few of N examples, always the same, to watch it while a run goes on.

    They are the first 200, or so many that their Jacobians have 4,000 rows in all: the cost is a small part of an
    epoch's for any encoder. A Jacobian that alone has more is estimated from 8 projections, independent ones for each
    example and the same at every call, as `mean_frobenius_norm` has it.

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
    rows = _rows(autoencoder, params, *(array[0] for array in given))
    norm_of, watched = _frobenius_norm_of(
        rows, given[0][0].size, most_rows=_MOST_ROWS, most_numbers=_MOST_WATCHED_PROJECTED
    )
    few = min(len(given[0]), watched, _MOST_WATCHED)
    arrays = [np.asarray(array[:few]) for array in given]

    @jax.jit
    def mean_norm(params: PyTree, *arrays: Array) -> Array:
        directions = jax.random.split(jax.random.key(0), few)
        norms = jax.lax.map(lambda one: norm_of(autoencoder, params, *one), (directions, *arrays), batch_size=few)
        return jnp.mean(widened(norms))

    return lambda params: float(mean_norm(params, *arrays))


def checked_inputs(*arrays: np.ndarray) -> list[Any]:
    """Examples and their conditions, at least one, and equally many."""
    given = [as_examples(array) for array in arrays]
    if len({len(array) for array in given}) > 1:
        raise ValueError(f"there are {len(given[0])} examples, and conditions of {[len(array) for array in given[1:]]}")
    if len(given[0]) == 0:
        raise ValueError("there are no examples to take statistics of")
    return given


def _rows(autoencoder: Autoencoder, params: PyTree, *first: np.ndarray) -> int:
    """Of the Jacobian of one example, or its columns, if they are fewer."""
    return min(jax.eval_shape(autoencoder.encode, params, *first).size, first[0].size)


def _frobenius_norm_of(
    rows: int, size: int, *, most_rows: int, most_numbers: float
) -> tuple[Callable[..., Array], int]:
    """How ‖∂h/∂x‖_F is computed, (autoencoder, params, key, x, *condition) -> norm, and of how many examples at most.

    Args:
      rows: of the Jacobian of one example.
      size: the numbers of an example.
      most_rows: of all exact Jacobians.
      most_numbers: of all examples, times projections, where the norm is estimated.
    """
    if rows > _MOST_ROWS:
        return _estimated_norm, max(1, int(most_numbers // (_PROJECTIONS * size)))
    return _frobenius_norm, max(1, most_rows // rows)


def _frobenius_norm(autoencoder: Autoencoder, params: PyTree, key: Array, x: Array, *condition: Array) -> Array:
    del key  # it is exact
    return jnp.sqrt(frobenius_norm_squared(lambda x: autoencoder.encode(params, x, *condition), x, method="auto"))


def _estimated_norm(autoencoder: Autoencoder, params: PyTree, key: Array, x: Array, *condition: Array) -> Array:
    def encode(x: Array) -> Array:
        return autoencoder.encode(params, x, *condition)

    return jnp.sqrt(estimate_frobenius_norm_squared(key, encode, x, num_projections=_PROJECTIONS, mode="forward"))

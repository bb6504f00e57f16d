"""Codes and reconstructions of many examples, computed in batches to limit memory."""

from collections.abc import Callable
from typing import cast

import jax
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder
from aejax.checks import check_count, check_integers_fit
from aejax.datasets.stored import StoredArray

_STORED_CHUNK = 4096  # examples that are read at a time from an array stored in a file


def encode_all(
    autoencoder: Autoencoder, params: PyTree, x: np.ndarray, *condition: np.ndarray, batch_size: int = 500
) -> np.ndarray:
    """Returns the code of every example.

    Args:
      autoencoder: any autoencoder.
      params: its parameters.
      x: (N, ...) examples.
      *condition: (N, ...) their conditions, if the autoencoder is conditional.
      batch_size: number of examples that are encoded at a time.

    Returns:
      (N, ...code) codes; posterior means of a variational autoencoder.

    Raises:
      TypeError: the examples are not numbers, or `batch_size` is not an integer.
      ValueError: arrays differ in length, or `batch_size` is below 1.

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> autoencoder = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> params = autoencoder.init(jax.random.key(0), np.ones(5, np.float32))
    >>> encode_all(autoencoder, params, np.ones((7, 5), np.float32), batch_size=3).shape
    (7, 2)
    """
    return np.asarray(map_over_examples(autoencoder.encode, params, x, *condition, batch_size=batch_size))


def decode_all(
    autoencoder: Autoencoder, params: PyTree, codes: np.ndarray, *condition: np.ndarray, batch_size: int = 500
) -> np.ndarray:
    """Returns the decoded example of every code.

    Args:
      autoencoder: any autoencoder.
      params: its parameters.
      codes: (N, ...code) codes.
      *condition: (N, ...) their conditions, if the autoencoder is conditional.
      batch_size: number of codes that are decoded at a time.

    Returns:
      (N, ...) examples in data space.

    Raises:
      TypeError: the codes are not numbers, or `batch_size` is not an integer.
      ValueError: arrays differ in length, or `batch_size` is below 1.
    """
    return np.asarray(map_over_examples(autoencoder.decode, params, codes, *condition, batch_size=batch_size))


def reconstruct_all(
    autoencoder: Autoencoder, params: PyTree, x: np.ndarray, *condition: np.ndarray, batch_size: int = 500
) -> np.ndarray:
    """Returns the reconstruction of every example, decoded from its code without noise.

    Args:
      autoencoder: any autoencoder.
      params: its parameters.
      x: (N, ...) examples.
      *condition: (N, ...) their conditions, if the autoencoder is conditional.
      batch_size: number of examples that are reconstructed at a time.

    Returns:
      (N, ...) reconstructions in data space.

    Raises:
      TypeError: the examples are not numbers, or `batch_size` is not an integer.
      ValueError: arrays differ in length, or `batch_size` is below 1.
    """

    def reconstruct(params: PyTree, one: Array, *condition: Array) -> Array:
        return autoencoder.decode(params, autoencoder.encode(params, one, *condition), *condition)

    return np.asarray(map_over_examples(reconstruct, params, x, *condition, batch_size=batch_size))


def map_over_examples(
    function: Callable[..., PyTree], params: PyTree, *arrays: np.ndarray | Array, batch_size: int
) -> PyTree:
    """Returns a function's results for every example, computed for `batch_size` examples at a time.

    Arrays that the function captures are constants to the compiler, which may spend seconds on folding them: pass them
    in `params` instead.

    Args:
      function: maps (params, *one) to a pytree of arrays, where `one` is one element of each array.
      params: a pytree that is passed to every call.
      *arrays: (N, ...) numbers or random keys, all of the same length; N may be 0.
      batch_size: number of examples at a time, at least 1.

    Returns:
      The results stacked along a new first axis of length N.

    Raises:
      TypeError: an array holds neither numbers nor keys, or `batch_size` is not an integer.
      ValueError: arrays differ in length, or `batch_size` is below 1.
    """
    check_count("batch_size", batch_size)
    given = [as_examples(array) for array in arrays]
    if len({len(array) for array in given}) > 1:
        raise ValueError(f"arrays must have equal lengths, got {', '.join(str(len(array)) for array in given)}")
    examples = len(given[0])

    @jax.jit
    def mapped(params: PyTree, arrays: list[Array]) -> PyTree:
        size = min(batch_size, examples) or None
        return lax.map(lambda one: function(params, *one), arrays, batch_size=size)

    if not any(isinstance(array, StoredArray) for array in given):
        return mapped(params, given)
    starts = range(0, examples, _STORED_CHUNK)
    chunks = [jax.device_get(mapped(params, [array[s : s + _STORED_CHUNK] for array in given])) for s in starts]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)


def as_examples(array: ArrayLike) -> np.ndarray | Array:
    """Returns examples as an array (N, ...); arrays of NumPy and JAX and stored arrays are returned unchanged.

    Args:
      array: an array, or a list or table that NumPy can convert.

    Raises:
      TypeError: the elements are not numbers.
      ValueError: the array has no axes, or an integer does not fit into JAX's integer type.
    """
    kept = cast(np.ndarray, array) if isinstance(array, StoredArray | jax.Array) else np.asarray(array)
    if isinstance(kept, np.ndarray) and kept.dtype.kind in "OSUMm":
        raise TypeError(f"examples must be numbers, got dtype {kept.dtype}")
    if kept.ndim == 0:
        raise ValueError("examples must have shape (examples, ...), got a scalar")
    check_integers_fit(examples=kept)
    return kept

"""Codes and reconstructions of many examples, in batches that bound the memory."""

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

_STORED_AT_A_TIME = 4096  # examples that are read from a file that is larger than memory


def encode_all(
    autoencoder: Autoencoder, params: PyTree, x: np.ndarray, *condition: np.ndarray, batch_size: int = 500
) -> np.ndarray:
    """The code of every example, given its condition where there is one: (N, ...) -> (N, ...code).

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
    """The example that every code stands for, given its condition where there is one: (N, ...code) -> (N, ...)."""
    return np.asarray(map_over_examples(autoencoder.decode, params, codes, *condition, batch_size=batch_size))


def reconstruct_all(
    autoencoder: Autoencoder, params: PyTree, x: np.ndarray, *condition: np.ndarray, batch_size: int = 500
) -> np.ndarray:
    """The reconstruction of every example: (N, ...) -> (N, ...), in data space."""

    def reconstruct(params: PyTree, one: Array, *condition: Array) -> Array:
        return autoencoder.decode(params, autoencoder.encode(params, one, *condition), *condition)

    return np.asarray(map_over_examples(reconstruct, params, x, *condition, batch_size=batch_size))


def map_over_examples(
    function: Callable[..., PyTree], params: PyTree, *arrays: np.ndarray | Array, batch_size: int
) -> PyTree:
    """A function of parameters and ONE example over arrays (N, ...) of these, `batch_size` examples at a time.

    What it holds besides its arguments is a constant to the compiler, which may spend seconds on computing with it. Of
    no examples the results have length 0.

    Raises:
      TypeError: an array that holds neither numbers nor keys, or a batch size that is no integer.
      ValueError: arrays of other lengths, or a batch size below 1.
    """
    check_count("batch_size", batch_size)
    given = [as_examples(array) for array in arrays]
    if len({len(array) for array in given}) > 1:
        raise ValueError(f"arrays must hold equally many examples, got {', '.join(str(len(array)) for array in given)}")
    examples = len(given[0])

    @jax.jit
    def mapped(params: PyTree, arrays: list[Array]) -> PyTree:
        size = min(batch_size, examples) or None
        return lax.map(lambda one: function(params, *one), arrays, batch_size=size)

    if not any(isinstance(array, StoredArray) for array in given):
        return mapped(params, given)
    starts = range(0, examples, _STORED_AT_A_TIME)
    pieces = [jax.device_get(mapped(params, [array[s : s + _STORED_AT_A_TIME] for array in given])) for s in starts]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *pieces)


def as_examples(array: ArrayLike) -> np.ndarray | Array:
    """Examples (N, ...) that are an array already as they are; a list or a table as an array.

    Raises:
      TypeError: what holds no numbers.
      ValueError: one number instead of examples.
    """
    kept = cast(np.ndarray, array) if isinstance(array, StoredArray | jax.Array) else np.asarray(array)
    if isinstance(kept, np.ndarray) and kept.dtype.kind in "OSUMm":
        raise TypeError(f"examples must be numbers, got dtype {kept.dtype}")
    if kept.ndim == 0:
        raise ValueError("examples must have shape (examples, ...), got one number")
    check_integers_fit(examples=kept)
    return kept

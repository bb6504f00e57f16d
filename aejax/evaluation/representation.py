"""Codes and reconstructions of many examples, in batches that bound the memory."""

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
from jax import lax
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder


def encode_all(autoencoder: Autoencoder, params: PyTree, x: np.ndarray, *, batch_size: int = 500) -> np.ndarray:
    """The code of every example: (N, ...) -> (N, ...code).

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> autoencoder = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> params = autoencoder.init(jax.random.key(0), np.ones(5, np.float32))
    >>> encode_all(autoencoder, params, np.ones((7, 5), np.float32), batch_size=3).shape
    (7, 2)
    """
    return np.asarray(_map(partial(autoencoder.encode, params), x, batch_size))


def reconstruct_all(autoencoder: Autoencoder, params: PyTree, x: np.ndarray, *, batch_size: int = 500) -> np.ndarray:
    """The reconstruction of every example: (N, ...) -> (N, ...), in data space."""

    def reconstruct(one: Array) -> Array:
        return autoencoder.decode(params, autoencoder.encode(params, one))

    return np.asarray(_map(reconstruct, x, batch_size))


def _map(function: Callable[[Array], Array], x: np.ndarray, batch_size: int) -> Array:
    return jax.jit(partial(lax.map, function, batch_size=min(batch_size, len(x))))(x)

"""The entrance of an autoencoder's functions: ONE example or code, as an array, and the parameters it belongs to."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jaxtyping import Array, PyTree

from aejax.checks import as_jax_array

Shape = tuple[int, ...]


def as_inputs(name: str, value: Any, *condition: Any) -> tuple[Array, tuple[Array, ...]]:
    """One example or code and its condition as arrays: lists, data frames and tensors are read.

    Raises:
      TypeError: what holds no numbers.
      ValueError: an example or a code without any.
    """
    one = as_jax_array(name, value)
    if one.size == 0:
        raise ValueError(f"{name} must hold at least one number, got shape {one.shape}")
    return one, tuple(as_jax_array("condition", part) for part in condition)


def part_of(params: PyTree, name: str) -> PyTree:
    """The parameters of the encoder or of the decoder, by name.

    Raises:
      TypeError: what is no dictionary.
      ValueError: a dictionary without them.
    """
    if not isinstance(params, Mapping):
        raise TypeError(
            f"params must be what the autoencoder's init returns, a dictionary, got {type(params).__name__}"
        )
    if name not in params:
        raise ValueError(f"params must be what the autoencoder's init returns, with {name!r}, got {sorted(params)}")
    return params[name]


def check_example(example: Array, reconstruction: Callable[[], Shape]) -> None:
    """Raise ValueError where an autoencoder is initialized with a batch.

    Args:
      example: what `init` is given.
      reconstruction: to the shape of what the decoder returns.
    """
    if example.ndim > 1 and (wanted := reconstruction()) == example.shape[1:] != example.shape:
        raise ValueError(
            f"init expects ONE example, of shape {wanted}, got a batch of shape {example.shape}: take x[0]"
        )


def check_no_batch_of_one(name: str, given: Array, wanted: Callable[[], Shape]) -> None:
    """Raise ValueError where a network that flattens its input would take a batch of one for its example.

    A larger batch does not fit the network's parameters (`aejax.networks.entrance`).

    Args:
      name: what the message calls it.
      given: an example or a code.
      wanted: to the shape of one, from the autoencoder's other function; only called for what may be a batch.
    """
    if given.ndim > 1 and given.shape[0] == 1 and wanted() == given.shape[1:]:
        raise ValueError(
            f"{name} must be ONE of shape {given.shape[1:]}, got a batch of shape {given.shape}: take {name}[0], "
            "or map over the batch, jax.vmap(function, in_axes=(None, 0))"
        )


def output_shape(function: Callable[..., Array], *arguments: PyTree) -> Shape:
    """The shape of what a function returns, without computing it; () where it takes no such arguments.

    >>> import jax.numpy as jnp
    >>> output_shape(lambda x: x[None], jnp.zeros(3))
    (1, 3)
    """
    try:
        return jax.eval_shape(function, *arguments).shape
    except (TypeError, ValueError):  # an autoencoder of pairs, whose encoder does not take what its decoder returns
        return ()

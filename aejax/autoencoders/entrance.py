"""Checks of the arguments of an autoencoder's functions: ONE example or code, its condition, and the parameters."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jaxtyping import Array, PyTree

from aejax.checks import as_jax_array

Shape = tuple[int, ...]


def as_inputs(name: str, value: Any, *condition: Any) -> tuple[Array, tuple[Array, ...]]:
    """Returns one example or code, and its condition, as arrays; lists, data frames and tensors are converted.

    Raises:
      TypeError: `value` or the condition does not hold numbers.
      ValueError: `value` is empty.
    """
    array = as_jax_array(name, value)
    if array.size == 0:
        raise ValueError(f"{name} must hold at least one number, got shape {array.shape}")
    return array, tuple(as_jax_array("condition", each) for each in condition)


def part_of(params: PyTree, name: str) -> PyTree:
    """Returns the entry of that name, such as `encoder` or `decoder`, of an autoencoder's parameters.

    Raises:
      TypeError: params is not a dictionary.
      ValueError: params has no entry of that name.
    """
    if not isinstance(params, Mapping):
        raise TypeError(
            f"params must be what the autoencoder's init returns, a dictionary, got {type(params).__name__}"
        )
    if name not in params:
        raise ValueError(f"params must be what the autoencoder's init returns, with {name!r}, got {sorted(params)}")
    return params[name]


def check_example(example: Array, reconstruction_shape: Callable[[], Shape]) -> None:
    """Raise ValueError if an autoencoder is initialized with a batch instead of one example.

    Args:
      example: the example that `init` receives.
      reconstruction_shape: returns the shape of the decoder's output.
    """
    if example.ndim > 1 and (expected := reconstruction_shape()) == example.shape[1:] != example.shape:
        raise ValueError(
            f"init expects ONE example, of shape {expected}, got a batch of shape {example.shape}: pass x[0]"
        )


def check_no_batch_of_one(name: str, array: Array, expected_shape: Callable[[], Shape]) -> None:
    """Raise ValueError if the array is a batch of one, which a network that flattens its input would accept.

    A larger batch does not match the network's parameters, and `aejax.networks.entrance` reports it.

    Args:
      name: the name of the array in the message.
      array: an example or a code.
      expected_shape: returns the shape of one example or code; only called for arrays that may be a batch of one.
    """
    if array.ndim > 1 and array.shape[0] == 1 and expected_shape() == array.shape[1:]:
        raise ValueError(
            f"{name} must be ONE of shape {array.shape[1:]}, got a batch of shape {array.shape}: pass {name}[0], "
            "or map over the batch, jax.vmap(function, in_axes=(None, 0))"
        )


def output_shape(function: Callable[..., Array], *arguments: PyTree) -> Shape:
    """Returns the shape of a function's output, without computing it; () if the function rejects the arguments.

    >>> import jax.numpy as jnp
    >>> output_shape(lambda x: x[None], jnp.zeros(3))
    (1, 3)
    """
    try:
        return jax.eval_shape(function, *arguments).shape
    except (TypeError, ValueError):  # with pairs of input and target, the encoder may reject the decoder's output
        return ()

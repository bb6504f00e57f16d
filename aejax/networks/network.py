"""What an encoder or a decoder must offer, and the adapter that lets a Flax NNX module offer it."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import flax.linen as nn
from flax import nnx
from jaxtyping import Array, PyTree


class SupportsInitApply(Protocol):
    """A network of ONE example: a Flax Linen module, a `Network`, or any other pair of these functions."""

    @property
    def init(self) -> Callable[..., Any]: ...  # (key, x) -> params

    @property
    def apply(self) -> Callable[..., Any]: ...  # (params, x) -> output


class Network(NamedTuple):
    """A network of ONE example as two pure functions."""

    init: Callable[[Array, Array], PyTree]  # (key, x) -> params
    apply: Callable[[PyTree, Array], Array]  # (params, x) -> output


def initialize(network: SupportsInitApply, key: Array, x: Array) -> PyTree:
    """The parameters of a network; ValueError where it has state besides, which a pure `apply` cannot update."""
    params = network.init(key, x)
    if isinstance(network, nn.Module) and (others := set(params) - {"params"}):
        raise ValueError(
            f"{type(network).__name__} has variables besides its parameters ({', '.join(sorted(others))}): use layers "
            "without state, LayerNorm or GroupNorm in place of BatchNorm"
        )
    return params


def from_nnx(build: Callable[[nnx.Rngs], nnx.Module]) -> Network:
    """A Flax NNX module as a `Network`, by `nnx.split` and `nnx.merge`.

    Args:
      build: makes the module from its random streams, and nothing else.

    Raises:
      ValueError: the module holds state besides its parameters (batch statistics, random streams).

    >>> import jax, jax.numpy as jnp
    >>> network = from_nnx(lambda rngs: nnx.Linear(4, 2, rngs=rngs))
    >>> params = network.init(jax.random.key(0), jnp.ones(4))
    >>> network.apply(params, jnp.ones(4)).shape
    (2,)
    """
    module = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    definition, _, rest = nnx.split(module, nnx.Param, ...)  # type: ignore[misc]
    if others := sorted({type(variable).__name__ for _, variable in nnx.to_flat_state(rest)}):
        raise ValueError(
            f"{type(module).__name__} has state besides its parameters ({', '.join(others)}): use layers without state"
        )

    def init(key: Array, x: Array) -> PyTree:
        del x  # an NNX module knows its input shape
        return nnx.to_pure_dict(nnx.state(build(nnx.Rngs(key)), nnx.Param))

    def apply(params: PyTree, x: Array) -> Array:
        restored = nnx.eval_shape(lambda: nnx.state(build(nnx.Rngs(0)), nnx.Param))
        nnx.replace_by_pure_dict(restored, params)
        return nnx.merge(definition, restored)(x)

    return Network(init, apply)

"""The interface of encoders and decoders, adapters for Flax NNX modules, and functions before or after a network."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import flax.linen as nn
from jaxtyping import Array, PyTree

if TYPE_CHECKING:  # takes a third of a second to import, and only `from_nnx` needs it
    from flax import nnx


class SupportsInitApply(Protocol):
    """A network of ONE example: a Flax Linen module, a `Network`, or any other pair of these functions.

    In a conditional autoencoder it receives the condition as last argument.
    """

    @property
    def init(self) -> Callable[..., Any]: ...  # (key, x) or (key, x, condition) -> params

    @property
    def apply(self) -> Callable[..., Any]: ...  # (params, x) or (params, x, condition) -> output


class Network(NamedTuple):
    """A network of ONE example as two pure functions."""

    init: Callable[..., PyTree]  # (key, x) or (key, x, condition) -> params
    apply: Callable[..., Array]  # (params, x) or (params, x, condition) -> output


def check_network(network: object, role: str, constructor: str) -> None:
    """Raise TypeError unless a network, the `role` of a constructor, has `init` and `apply` and is not a class."""
    if isinstance(network, type):
        raise TypeError(
            f"{constructor} expects networks, but the {role} is the class {network.__name__}: pass an instance"
        )
    if not (hasattr(network, "init") and hasattr(network, "apply")):
        raise TypeError(
            f"{constructor} expects networks with init and apply, but the {role} is {network!r}: convert a Flax NNX "
            "module with aejax.networks.from_nnx"
        )


def initialize(network: SupportsInitApply, key: Array, *inputs: Array) -> PyTree:
    """Returns the parameters of a network.

    Raises:
      ValueError: the network has state other than parameters, which a pure `apply` cannot update.
    """
    params = network.init(key, *inputs)
    if isinstance(network, nn.Module) and (others := set(params) - {"params"}):
        raise ValueError(
            f"{type(network).__name__} has variables other than parameters ({', '.join(sorted(others))}): use layers "
            "without state, such as LayerNorm or GroupNorm instead of BatchNorm"
        )
    return params


def followed_by(network: SupportsInitApply, function: Callable[[Array], Array]) -> Network:
    """Returns a network that applies a function without parameters, such as an activation, to the network's output.

    >>> import jax, jax.numpy as jnp
    >>> from aejax.networks import MLP
    >>> network = followed_by(MLP(output_shape=(6,)), lambda output: output.reshape(2, 3))
    >>> params = jax.eval_shape(network.init, jax.random.key(0), jnp.ones(4))
    >>> jax.eval_shape(network.apply, params, jnp.ones(4)).shape
    (2, 3)
    """
    check_network(network, "network", "followed_by")
    if not callable(function):
        raise TypeError(f"followed_by expects a function of the network's output, got {function!r}")

    def init(key: Array, *inputs: Array) -> PyTree:
        return initialize(network, key, *inputs)

    return Network(init, lambda params, *inputs: function(network.apply(params, *inputs)))


def preceded_by(network: SupportsInitApply, function: Callable[[Array], Array]) -> Network:
    """Returns a network that applies a function without parameters, such as a logarithm, to its input first.

    The function is not applied to the condition of a conditional autoencoder.

    >>> import jax, jax.numpy as jnp
    >>> from aejax.networks import MLP
    >>> network = preceded_by(MLP(output_shape=(2,)), jnp.log1p)
    >>> params = jax.eval_shape(network.init, jax.random.key(0), jnp.ones(4))
    >>> jax.eval_shape(network.apply, params, jnp.ones(4)).shape
    (2,)
    """

    def init(key: Array, x: Array, *condition: Array) -> PyTree:
        return initialize(network, key, function(x), *condition)

    return Network(init, lambda params, x, *condition: network.apply(params, function(x), *condition))


def from_nnx(build: "Callable[[nnx.Rngs], nnx.Module]") -> Network:
    """Returns a Flax NNX module as a `Network`, with `nnx.split` and `nnx.merge`.

    Args:
      build: rngs -> module, a function of random streams (`nnx.Rngs`) only.

    Raises:
      TypeError: build is a module or a class, or does not return a Flax NNX module.
      ValueError: the module has state other than parameters (batch statistics, random streams).

    >>> import jax, jax.numpy as jnp
    >>> from flax import nnx
    >>> network = from_nnx(lambda rngs: nnx.Linear(4, 2, rngs=rngs))
    >>> params = jax.eval_shape(network.init, jax.random.key(0), jnp.ones(4))
    >>> jax.eval_shape(network.apply, params, jnp.ones(4)).shape
    (2,)
    """
    from flax import nnx

    if isinstance(build, nnx.Module | nn.Module | type) or not callable(build):
        got = build.__name__ if isinstance(build, type) else f"one of {type(build).__name__}"
        raise TypeError(
            "from_nnx expects a function of random streams that makes the module, such as "
            f"lambda rngs: nnx.Linear(4, 2, rngs=rngs), got {got}"
        )
    module = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    if not isinstance(module, nnx.Module):
        raise TypeError(f"from_nnx expects a function that returns a Flax NNX module, but it returned {module!r}")
    definition, _, rest = nnx.split(module, nnx.Param, ...)  # type: ignore[misc]
    if others := sorted({type(variable).__name__ for _, variable in nnx.to_flat_state(rest)}):
        raise ValueError(
            f"{type(module).__name__} has state other than parameters ({', '.join(others)}): use layers without state"
        )

    def init(key: Array, *inputs: Array) -> PyTree:
        del inputs  # an NNX module knows its input shape
        return nnx.to_pure_dict(nnx.state(build(nnx.Rngs(key)), nnx.Param))

    def apply(params: PyTree, *inputs: Array) -> Array:
        restored = nnx.eval_shape(lambda: nnx.state(build(nnx.Rngs(0)), nnx.Param))
        nnx.replace_by_pure_dict(restored, params)
        return nnx.merge(definition, restored)(*inputs)

    return Network(init, apply)

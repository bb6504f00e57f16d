"""What an encoder or a decoder must offer, and the adapter that lets a Flax NNX module offer it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import flax.linen as nn
from jaxtyping import Array, PyTree

if TYPE_CHECKING:  # takes a third of a second to import, and only `from_nnx` needs it
    from flax import nnx


class SupportsInitApply(Protocol):
    """A network of ONE example: a Flax Linen module, a `Network`, or any other pair of these functions.

    One that is part of a conditional autoencoder takes the condition as one more argument.
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
    """Raise TypeError where what is given for a network, by its role, has no `init` and `apply`."""
    if isinstance(network, type):
        raise TypeError(f"{constructor} takes networks; the {role} is the class {network.__name__}: call it")
    if not (hasattr(network, "init") and hasattr(network, "apply")):
        raise TypeError(
            f"{constructor} takes networks with init and apply; the {role} is {network!r} "
            "(a Flax NNX module fits through aejax.networks.from_nnx)"
        )


def initialize(network: SupportsInitApply, key: Array, *inputs: Array) -> PyTree:
    """The parameters of a network; ValueError where it has state besides, which a pure `apply` cannot update."""
    params = network.init(key, *inputs)
    if isinstance(network, nn.Module) and (others := set(params) - {"params"}):
        raise ValueError(
            f"{type(network).__name__} has variables besides its parameters ({', '.join(sorted(others))}): use layers "
            "without state, LayerNorm or GroupNorm in place of BatchNorm"
        )
    return params


def followed_by(network: SupportsInitApply, function: Callable[[Array], Array]) -> Network:
    """A network whose output goes through a function without parameters, such as an activation.

    >>> import jax, jax.numpy as jnp
    >>> from aejax.networks import MLP
    >>> network = followed_by(MLP(output_shape=(6,)), lambda output: output.reshape(2, 3))
    >>> network.apply(network.init(jax.random.key(0), jnp.ones(4)), jnp.ones(4)).shape
    (2, 3)
    """
    check_network(network, "network", "followed_by")
    if not callable(function):
        raise TypeError(f"followed_by expects a function of the network's output, got {function!r}")

    def init(key: Array, *inputs: Array) -> PyTree:
        return initialize(network, key, *inputs)

    return Network(init, lambda params, *inputs: function(network.apply(params, *inputs)))


def preceded_by(network: SupportsInitApply, function: Callable[[Array], Array]) -> Network:
    """A network whose input, but for a condition, goes through a function without parameters, such as a logarithm.

    >>> import jax, jax.numpy as jnp
    >>> from aejax.networks import MLP
    >>> network = preceded_by(MLP(output_shape=(2,)), jnp.log1p)
    >>> network.apply(network.init(jax.random.key(0), jnp.ones(4)), jnp.ones(4)).shape
    (2,)
    """

    def init(key: Array, x: Array, *condition: Array) -> PyTree:
        return initialize(network, key, function(x), *condition)

    return Network(init, lambda params, x, *condition: network.apply(params, function(x), *condition))


def from_nnx(build: "Callable[[nnx.Rngs], nnx.Module]") -> Network:
    """A Flax NNX module as a `Network`, by `nnx.split` and `nnx.merge`.

    Args:
      build: makes the module from its random streams, and nothing else.

    Raises:
      TypeError: no such function, but a module, a class or a Flax Linen module.
      ValueError: the module holds state besides its parameters (batch statistics, random streams).

    >>> import jax, jax.numpy as jnp
    >>> from flax import nnx
    >>> network = from_nnx(lambda rngs: nnx.Linear(4, 2, rngs=rngs))
    >>> params = network.init(jax.random.key(0), jnp.ones(4))
    >>> network.apply(params, jnp.ones(4)).shape
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
        raise TypeError(f"from_nnx expects a function that returns a Flax NNX module, and it returned {module!r}")
    definition, _, rest = nnx.split(module, nnx.Param, ...)  # type: ignore[misc]
    if others := sorted({type(variable).__name__ for _, variable in nnx.to_flat_state(rest)}):
        raise ValueError(
            f"{type(module).__name__} has state besides its parameters ({', '.join(others)}): use layers without state"
        )

    def init(key: Array, *inputs: Array) -> PyTree:
        del inputs  # an NNX module knows its input shape
        return nnx.to_pure_dict(nnx.state(build(nnx.Rngs(key)), nnx.Param))

    def apply(params: PyTree, *inputs: Array) -> Array:
        restored = nnx.eval_shape(lambda: nnx.state(build(nnx.Rngs(0)), nnx.Param))
        nnx.replace_by_pure_dict(restored, params)
        return nnx.merge(definition, restored)(*inputs)

    return Network(init, apply)

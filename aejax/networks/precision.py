"""Mixed precision: networks that compute in another dtype than that of their parameters."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, PyTree

from aejax.networks.network import Network, SupportsInitApply, check_network, initialize


def computing_in(network: SupportsInitApply, dtype: DTypeLike) -> Network:
    """Returns a network that computes in `dtype`, usually bfloat16; parameters, input and output keep their dtypes.

    So gradients, the optimizer's state, the code and the loss stay in float32.

    Args:
      network: the network; its parameters are initialized as without this wrapper.
      dtype: the floating type of the computation.

    Raises:
      TypeError: network is not a network, or dtype is not a floating type.

    >>> from aejax.networks import MLP
    >>> network = computing_in(MLP(output_shape=(2,)), jnp.bfloat16)
    >>> params = network.init(jax.random.key(0), jnp.ones(4))
    >>> network.apply(params, jnp.ones(4)).dtype, params["params"]["Dense_0"]["kernel"].dtype
    (dtype('float32'), dtype('float32'))
    """
    check_network(network, "network", "computing_in")
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"dtype must be a floating type, such as jnp.bfloat16, got {dtype!r}")

    def cast(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, tree)

    def init(key: Array, *inputs: Array) -> PyTree:
        return initialize(network, key, *inputs)

    def apply(params: PyTree, *inputs: Array) -> Array:
        return network.apply(cast(params), *cast(inputs)).astype(inputs[0].dtype)

    return Network(init, apply)

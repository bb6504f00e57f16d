"""Networks that compute in another precision than that of their parameters."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, PyTree

from aejax.networks.network import Network, SupportsInitApply, check_network, initialize


def computing_in(network: SupportsInitApply, dtype: DTypeLike) -> Network:
    """A network whose products are taken in `dtype`, bfloat16 as a rule; parameters, input and output keep theirs.

    So gradients and the optimizer's sums, the code and what the loss makes of the output stay in float32.

    Args:
      network: whose parameters are initialized as without this.
      dtype: of the computation.

    >>> from aejax.networks import MLP
    >>> network = computing_in(MLP(output_shape=(2,)), jnp.bfloat16)
    >>> params = network.init(jax.random.key(0), jnp.ones(4))
    >>> network.apply(params, jnp.ones(4)).dtype, params["params"]["Dense_0"]["kernel"].dtype
    (dtype('float32'), dtype('float32'))
    """
    check_network(network, "network", "computing_in")
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"dtype must be of floating-point numbers, such as jnp.bfloat16, got {dtype!r}")

    def cast(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, tree)

    def init(key: Array, *inputs: Array) -> PyTree:
        return initialize(network, key, *inputs)

    def apply(params: PyTree, *inputs: Array) -> Array:
        return network.apply(cast(params), *cast(inputs)).astype(inputs[0].dtype)

    return Network(init, apply)

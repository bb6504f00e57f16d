"""Networks whose inner values are computed twice instead of kept."""

import jax
from jaxtyping import Array, PyTree

from aejax.networks.network import Network, SupportsInitApply, check_network, initialize


def rematerialized(network: SupportsInitApply) -> Network:
    """A network that keeps none of its inner values for the gradient and computes them once more there.

    The gradient is the same. Of an autoencoder whose two networks are so, only one has its inner values in memory at a
    time: on accelerators, since XLA on CPU finds that the same is computed twice, and keeps it after all.

    Args:
      network: any.

    Source: A. Griewank, A. Walther (2000), Algorithm 799: Revolve.

    >>> import jax.numpy as jnp
    >>> from aejax.networks import MLP
    >>> network = rematerialized(MLP(output_shape=(2,), hidden=(8,)))
    >>> params = network.init(jax.random.key(0), jnp.ones(4))
    >>> network.apply(params, jnp.ones(4)).shape
    (2,)
    """
    check_network(network, "network", "rematerialized")

    def init(key: Array, *inputs: Array) -> PyTree:
        return initialize(network, key, *inputs)

    return Network(init, jax.checkpoint(network.apply))

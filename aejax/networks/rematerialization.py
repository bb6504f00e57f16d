"""Rematerialization: networks whose activations are computed twice instead of stored."""

import jax
from jaxtyping import Array, PyTree

from aejax.networks.network import Network, SupportsInitApply, check_network, initialize


def rematerialized(network: SupportsInitApply) -> Network:
    """Returns a network that does not store its activations for the gradient, but computes them again.

    The gradient is the same. If both networks of an autoencoder are rematerialized, the activations of only one are in
    memory at a time. This holds on accelerators: XLA on CPU merges the two computations and stores the activations.

    Args:
      network: any network.

    Raises:
      TypeError: network is not a network.

    Source: A. Griewank, A. Walther (2000), Algorithm 799: Revolve.

    >>> import jax.numpy as jnp
    >>> from aejax.networks import MLP
    >>> network = rematerialized(MLP(output_shape=(2,), hidden=(8,)))
    >>> params = jax.eval_shape(network.init, jax.random.key(0), jnp.ones(4))
    >>> jax.eval_shape(network.apply, params, jnp.ones(4)).shape
    (2,)
    """
    check_network(network, "network", "rematerialized")

    def init(key: Array, *inputs: Array) -> PyTree:
        return initialize(network, key, *inputs)

    return Network(init, jax.checkpoint(network.apply))

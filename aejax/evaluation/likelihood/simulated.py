"""Examples that a model has made, with their codes: exact samples of p(z | x), for bounds from both sides."""

from typing import NamedTuple

import jax
from jaxtyping import Array, Float, Key, PyTree

from aejax.autoencoders import Autoencoder, Examples
from aejax.autoencoders.densities import check_variational, densities_of
from aejax.autoencoders.record import BatchLike, as_batch, encoder_inputs, example_keys
from aejax.keys import named_key


class Simulated(NamedTuple):
    """N examples x ~ p(x | z), and the codes z ~ p(z) that they were decoded from."""

    examples: Examples
    codes: Float[Array, "N ..."]


def simulated_examples(autoencoder: Autoencoder, params: PyTree, key: Key[Array, ""], like: BatchLike) -> Simulated:
    """Returns an example that the model makes for each of N examples, of its shape and with its condition.

    Args:
      autoencoder: a variational autoencoder.
      params: its parameters.
      key: a random key, not used elsewhere.
      like: N examples, of which only shapes and conditions are used.

    Raises:
      ValueError: there are no examples.
      TypeError: the autoencoder is not variational.

    >>> import jax.numpy as jnp
    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> params = vae.init(jax.random.key(0), jnp.ones(5))
    >>> made = simulated_examples(vae, params, jax.random.key(1), jnp.ones((7, 5)))
    >>> made.examples.x.shape, made.codes.shape
    ((7, 5), (7, 3))
    """
    check_variational(autoencoder)
    distributions = autoencoder.variational
    assert distributions is not None  # ensured by check_variational
    batch = as_batch(like)

    def make(params: PyTree, key: Key[Array, ""], x: Array, *inputs: Array) -> tuple[Array, Array]:
        code = densities_of(autoencoder, params, x, *inputs).sample_prior(named_key(key, "code"))
        parameters = distributions.decode_parameters(params, code, *inputs[1:])
        return distributions.likelihood.sample(named_key(key, "x"), parameters).astype(x.dtype), code

    mapped = jax.jit(jax.vmap(make, in_axes=(None, *(0 for _ in (key, batch.x, *encoder_inputs(batch))))))
    x, codes = mapped(params, example_keys(key, batch), batch.x, *encoder_inputs(batch))
    return Simulated(Examples(x, condition=batch.condition), codes)

"""The variational autoencoder with a diagonal Gaussian posterior."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from aejax.autoencoders.record import (
    Autoencoder,
    Batch,
    Metrics,
    as_batch,
    check_network,
    example_keys,
    mean_over_batch,
)
from aejax.checks import check_in_range
from aejax.likelihoods import Likelihood, bernoulli
from aejax.networks.network import SupportsInitApply, initialize
from aejax.priors import Prior, standard_normal
from aejax.sampling import reparameterize


def variational(
    encoder: SupportsInitApply,
    decoder: SupportsInitApply,
    *,
    beta: float = 1.0,
    likelihood: Likelihood | None = None,
    prior: Prior | None = None,
) -> Autoencoder:
    """Minimizes E[-log p(x | z)] + β KL(q(z | x) ‖ p(z)), z ~ q(z | x) = N(μ(x), diag σ²(x)), by one sample of z.

    Args:
      encoder: from one example to an array whose last axis holds μ in its first half and log σ² in its second.
      decoder: from one code to the parameters of the likelihood.
      beta: β >= 0; 1 makes the loss the negative evidence lower bound.
      likelihood: p(x | z); Bernoulli by default.
      prior: p(z); standard normal by default.

    Returns:
      An autoencoder; its metrics, in nats, are `loss`, `reconstruction` (-log p(x | z)), `kl`, and `elbo`, the bound
      on log p(x) whatever beta is.

    Raises:
      ValueError: a negative beta, or an encoder whose output has no two halves.

    Source: D. P. Kingma, M. Welling (2014), Auto-Encoding Variational Bayes, eq. 10; β: I. Higgins et al. (2017),
    beta-VAE, eq. 4.

    >>> from aejax.networks import MLP
    >>> autoencoder = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(5))
    >>> mean, log_variance = autoencoder.posterior(params, jnp.ones(5))
    >>> mean.shape
    (3,)
    >>> loss, metrics = autoencoder.loss(params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['elbo', 'kl', 'loss', 'reconstruction']
    """
    check_network(encoder, "encoder", "variational")
    check_network(decoder, "decoder", "variational")
    check_in_range("beta", beta, 0.0)
    likelihood = bernoulli() if likelihood is None else likelihood
    prior = standard_normal() if prior is None else prior

    def init(key: Array, example: Array) -> PyTree:
        encoder_key, decoder_key = jax.random.split(key)
        params = {"encoder": initialize(encoder, encoder_key, example)}
        return {**params, "decoder": initialize(decoder, decoder_key, encode(params, example))}

    def posterior(params: PyTree, x: Array) -> tuple[Array, Array]:
        output = encoder.apply(params["encoder"], x)
        if output.shape[-1] % 2:
            raise ValueError(
                f"the encoder must return a mean and a log-variance, 2K values along the last axis, got {output.shape}"
            )
        mean, log_variance = jnp.split(output, 2, axis=-1)
        return mean, log_variance

    def encode(params: PyTree, x: Array) -> Array:
        return posterior(params, x)[0]

    def decode(params: PyTree, code: Array) -> Array:
        return likelihood.mean(decoder.apply(params["decoder"], code))

    def loss(params: PyTree, key: Array, batch: Batch | Array) -> tuple[Array, Metrics]:
        batch = as_batch(batch)

        def terms(key: Array, x: Array, observed: Array) -> Metrics:
            mean, log_variance = posterior(params, observed)
            code = reparameterize(key, mean, log_variance)
            reconstruction = -likelihood.log_prob(x, decoder.apply(params["decoder"], code))
            kl = prior.kl(mean, log_variance)
            return {
                "loss": reconstruction + beta * kl,
                "reconstruction": reconstruction,
                "kl": kl,
                "elbo": -(reconstruction + kl),
            }

        metrics = mean_over_batch(jax.vmap(terms)(example_keys(key, batch), batch.x, batch.input), batch)
        return metrics["loss"], metrics

    return Autoencoder(init, encode, decode, loss, posterior, prior, likelihood)

"""The importance weighted bound, tighter than the evidence lower bound the more samples it takes."""

import math

import jax
from jax.scipy.special import logsumexp
from jaxtyping import Array, Key, PyTree

from aejax.autoencoders.composition import check_composition
from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.record import (
    Autoencoder,
    BatchLike,
    Metrics,
    example_keys,
    masked_batch,
    mean_over_batch,
    observations,
)
from aejax.checks import check_count
from aejax.sampling import gaussian_log_prob, reparameterize

_UNIT = "nats per example"
IMPORTANCE_WEIGHTED = Part(
    "importance_weighted",
    terms=(Term("loss", "loss", _UNIT), Term("elbo", "elbo", _UNIT, weight=-1.0)),
    needs_posterior=True,
    replaces_loss=True,
    excludes=(
        ("beta", "the bound does not weigh the divergence: beta must be 1"),
        ("free_bits", "the bound has no divergence by dimension: leave free_bits out"),
    ),
)


def importance_weighted(autoencoder: Autoencoder, *, samples: int) -> Autoencoder:
    """Minimizes -E log (1/k) Σᵢ p(x, zᵢ)/q(zᵢ | x), z₁, ..., zₖ ~ q(z | x), in place of a variational loss.

    Args:
      autoencoder: a variational one, whose beta is 1.
      samples: k >= 1; with 1 the bound is the evidence lower bound, of which one sample of the divergence is taken
        where `variational` takes its closed form.

    Returns:
      The autoencoder with that loss; its metrics, in nats, are `loss` and `elbo`, here the bound with k samples.

    Raises:
      ValueError: samples below 1, a beta or free bits, which the bound does not have, or an autoencoder with terms
        besides its own, which would be lost: wrap them around this one.
      TypeError: an autoencoder that is not variational.

    Source: Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance Weighted Autoencoders, eq. 8.

    >>> import jax.numpy as jnp
    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> autoencoder = importance_weighted(vae, samples=10)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = autoencoder.loss(params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['elbo', 'loss']
    """
    check_composition(autoencoder, IMPORTANCE_WEIGHTED)
    check_count("samples", samples)

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        batch = masked_batch(batch)

        def bound(key: Array, x: Array, *observed: Array) -> Array:
            log_weights = log_importance_weights(autoencoder, params, key, x, *observed, samples=samples)
            return logsumexp(log_weights) - math.log(samples)

        mean = mean_over_batch(jax.vmap(bound)(example_keys(key, batch), batch.x, *observations(batch)), batch)
        return -mean, {"loss": -mean, "elbo": mean}

    of_loss, bound_term = IMPORTANCE_WEIGHTED.terms
    bound_term = bound_term._replace(note=f"of {samples} importance weighted samples")
    part = IMPORTANCE_WEIGHTED._replace(terms=(of_loss, bound_term))
    return autoencoder._replace(loss=loss, parts=(*autoencoder.parts, part))


def log_importance_weights(
    autoencoder: Autoencoder, params: PyTree, key: Key[Array, ""], x: Array, *observed: Array, samples: int
) -> Array:
    """Log p(x, zᵢ)/q(zᵢ | x) of samples zᵢ of the posterior: (samples,), in nats.

    Args:
      autoencoder: a variational one.
      params: its parameters.
      key: a key, not used elsewhere.
      x: ONE example, as the likelihood judges it.
      *observed: what is encoded, x itself or a corrupted x, and its condition where there is one.
      samples: how many.
    """
    distributions = autoencoder.variational
    assert distributions is not None
    mean, log_variance = distributions.posterior(params, *observed)
    prior = distributions.prior(params)

    def log_weight(key: Array) -> Array:
        code = reparameterize(key, mean, log_variance)
        parameters = distributions.decode_parameters(params, code, *observed[1:])
        log_joint = distributions.likelihood.log_prob(x, parameters) + prior.log_prob(code)
        return log_joint - gaussian_log_prob(code, mean, log_variance)

    return jax.vmap(log_weight)(jax.random.split(key, samples))

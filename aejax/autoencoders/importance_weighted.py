"""Importance weighted autoencoders: a bound that becomes tighter than the evidence lower bound with more samples."""

import math

import jax
from jax.scipy.special import logsumexp
from jaxtyping import Array, Key, PyTree

from aejax.autoencoders.bits import bits_of, bits_terms
from aejax.autoencoders.composition import check_composition
from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.record import (
    Autoencoder,
    BatchLike,
    Metrics,
    encoder_inputs,
    example_keys,
    masked_batch,
    mean_over_batch,
)
from aejax.checks import check_count
from aejax.sampling import gaussian_log_prob, reparameterize

_UNIT = "nats per example"
IMPORTANCE_WEIGHTED = Part(
    "importance_weighted",
    terms=(Term("loss", "loss", _UNIT), Term("elbo", "evidence lower bound", _UNIT, weight=-1.0)),
    needs_posterior=True,
    replaces_loss=True,
    excludes=(
        ("beta", "the bound has no weight of the divergence: beta must be 1"),
        ("free_bits", "the bound has no divergence of each dimension: free_bits must be 0"),
    ),
)


def importance_weighted(autoencoder: Autoencoder, *, samples: int) -> Autoencoder:
    """Minimizes -E log (1/k) Σᵢ p(x, zᵢ)/q(zᵢ | x), z₁, ..., zₖ ~ q(z | x), in place of a variational loss.

    Args:
      autoencoder: a variational autoencoder with beta 1 and no free bits.
      samples: k >= 1. With 1 the bound is the evidence lower bound, its divergence estimated from one sample, where
        `variational` uses the closed form.

    Returns:
      The autoencoder with the new loss; its metrics, in nats, are `loss` and `elbo`, here the bound with k samples, and
      with a likelihood of levels `bits_per_dimension`.

    Raises:
      ValueError: samples is below 1, the autoencoder has a beta other than 1 or free bits, or it has wrappers that
        change the loss, which would be lost: apply them to the importance weighted autoencoder.
      TypeError: the autoencoder is not variational, or samples is not an integer.

    Source: Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance Weighted Autoencoders, eq. 8.

    >>> import jax.numpy as jnp
    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> autoencoder = importance_weighted(vae, samples=10)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['elbo', 'loss']
    """
    check_composition(autoencoder, IMPORTANCE_WEIGHTED)
    check_count("samples", samples)
    assert autoencoder.variational is not None  # ensured by check_composition
    likelihood = autoencoder.variational.likelihood

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        batch = masked_batch(batch)

        def bound(key: Array, x: Array, *inputs: Array) -> Array:
            log_weights = log_importance_weights(autoencoder, params, key, x, *inputs, samples=samples)
            return logsumexp(log_weights) - math.log(samples)

        mean = mean_over_batch(jax.vmap(bound)(example_keys(key, batch), batch.x, *encoder_inputs(batch)), batch)
        return -mean, {"loss": -mean, "elbo": mean} | bits_of(mean, batch.x.shape[1:], likelihood)

    loss_term, *others = (*IMPORTANCE_WEIGHTED.terms, *bits_terms(likelihood))
    others = [term._replace(note=f"{samples} importance weighted samples") for term in others]
    part = IMPORTANCE_WEIGHTED._replace(terms=(loss_term, *others))
    return autoencoder._replace(loss=loss, parts=(*autoencoder.parts, part))


def log_importance_weights(
    autoencoder: Autoencoder, params: PyTree, key: Key[Array, ""], x: Array, *inputs: Array, samples: int
) -> Array:
    """Returns log p(x, zᵢ)/q(zᵢ | x) of samples zᵢ of the posterior: (samples,), in nats.

    Args:
      autoencoder: a variational autoencoder.
      params: its parameters.
      key: a PRNG key, not used elsewhere.
      x: ONE example, the target of the likelihood.
      *inputs: the arguments of the posterior: x itself or a corrupted x and, for a conditional autoencoder, the
        condition.
      samples: the number of samples.
    """
    distributions = autoencoder.variational
    assert distributions is not None
    mean, log_variance = distributions.posterior(params, *inputs)
    prior = distributions.prior(params)

    def log_weight(key: Array) -> Array:
        code = reparameterize(key, mean, log_variance)
        parameters = distributions.decode_parameters(params, code, *inputs[1:])
        log_joint = distributions.likelihood.log_prob(x, parameters) + prior.log_prob(code)
        return log_joint - gaussian_log_prob(code, mean, log_variance)

    return jax.vmap(log_weight)(jax.random.split(key, samples))

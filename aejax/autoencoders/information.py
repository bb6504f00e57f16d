"""Regularizers of the aggregated posterior: maximum mean discrepancy (InfoVAE, WAE) and total correlation (β-TCVAE)."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.penalized import penalized
from aejax.autoencoders.record import (
    Autoencoder,
    Batch,
    Metrics,
    encoder_inputs,
    example_keys,
    gather_batch,
    posterior_of,
)
from aejax.checks import check_count, check_floating, check_positive, check_same_shape
from aejax.precision import common_dtype, knob, widened
from aejax.priors import standard_normal
from aejax.sampling import gaussian_log_densities, reparameterize

MMD_REGULARIZED = Part(
    "mmd_regularized",
    terms=(Term("mmd", "maximum mean discrepancy", "no unit"),),
    excludes=(
        ("k_sparse", "codes with only k nonzero entries cannot follow the prior"),
        ("sparse_kl", "codes in [0, 1] cannot follow a normal prior"),
    ),
    coupled_through="the distance of all codes from the prior",
    matches_prior=True,
)
TOTAL_CORRELATION_PENALIZED = Part(
    "total_correlation_penalized",
    terms=(Term("total_correlation", "total correlation", "nats", "estimated from batches, so it may be negative"),),
    needs_posterior=True,
    coupled_through="the density of all codes",
)


def mmd_regularized(
    autoencoder: Autoencoder, *, weight: ArrayLike, bandwidth: float | None = None, axis_name: str | None = None
) -> Autoencoder:
    """Adds λ MMD²(q(z), p(z)), the distance between the codes of a batch and samples of the prior, to the loss.

    Coupled through the batch: never `vmap` its loss over examples. The codes are those of the global batch: samples of
    the posterior of a variational autoencoder (InfoVAE), or the codes themselves of any other (WAE).

    Args:
      autoencoder: any autoencoder whose code is a vector; without a prior of its own, the prior is standard normal.
      weight: λ >= 0.
      bandwidth: h of `maximum_mean_discrepancy`; by default the square root of twice the code's length.
      axis_name: the mapped axis over which the global batch is split; None if the loss receives the whole batch.

    Returns:
      The autoencoder with the new loss. Its metrics are those of the wrapped autoencoder and `mmd`, before weighting.

    Raises:
      ValueError: weight is negative, bandwidth is not positive, or the autoencoder cannot be combined with this term.

    Source: S. Zhao et al. (2019), InfoVAE, section 3.2; I. Tolstikhin et al. (2018), Wasserstein Auto-Encoders,
    algorithm 2.

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> autoencoder = mmd_regularized(undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,))), weight=10.0)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['loss', 'mmd', 'reconstruction']
    """
    if bandwidth is not None:
        check_positive("bandwidth", bandwidth)

    def discrepancy(params: PyTree, batch: Batch, code_key: Array, prior_key: Array) -> Metrics:
        distributions = autoencoder.variational
        prior = standard_normal() if distributions is None else distributions.prior(params)

        def draw(code_key: Array, prior_key: Array, *inputs: Array) -> tuple[Array, Array, Array]:
            if distributions is None:
                code = autoencoder.encode(params, *inputs)
            else:
                code = posterior_of(distributions, params, *inputs).sample(code_key)
            check_vector(code)
            if prior.weighted_sample is None:
                sample, sample_weight = prior.sample(prior_key, code.shape), jnp.ones(())
            else:
                sample, sample_weight = prior.weighted_sample(prior_key, code.shape)
            return code, sample.astype(code.dtype), sample_weight.astype(code.dtype)

        keys = (example_keys(code_key, batch), example_keys(prior_key, batch))
        pairs = jax.vmap(draw)(*keys, *encoder_inputs(batch))
        codes, samples, sample_weights = gather_batch(pairs, axis_name)
        weights = gather_batch(batch.weight, axis_name)
        squared = maximum_mean_discrepancy(
            codes, samples, weights=weights, sample_weights=sample_weights, bandwidth=bandwidth
        )
        return {"mmd": squared}

    return penalized(autoencoder, MMD_REGULARIZED, discrepancy, weight=weight, keys=2)


def maximum_mean_discrepancy(
    codes: Float[Array, "B K"],
    samples: Float[Array, "B K"],
    *,
    weights: Float[Array, "B"] | None = None,
    sample_weights: Float[Array, "B"] | None = None,
    bandwidth: ArrayLike | None = None,
) -> Float[Array, ""]:
    """Returns MMD² = E k(z, z') + E k(s, s') - 2 E k(z, s) of two sets of points, k(a, b) = exp(-‖a - b‖² / 2 h²).

    Coupled through the batch: never `vmap` it over examples. The means are over all pairs, including pairs of a point
    with itself, so the estimate is at least 0, and finite for one point. Where rounding makes it negative, the value is
    0 and the gradient is still that of the estimate. Half precision is computed in float32 and rounded to the dtype of
    the codes.

    Args:
      codes: z, B points.
      samples: s, B points of the distribution that the codes are compared with.
      weights: 1 for a pair of code and sample that counts, 0 for padding, which may hold any values.
      sample_weights: relative weights of the samples; equal by default. `Prior.weighted_sample` returns weights whose
        value is 1 and whose gradient is that of a mixture's weights. The gradient of the estimate then has the right
        direction and 1 - 1/B of the right length.
      bandwidth: h > 0; by default the square root of 2 K, about the distance between two standard normal points.

    Returns:
      A number in [0, 2] without a unit; 0 if the two sets are equal, or if no pair counts.

    Raises:
      ValueError: codes and samples are not two (B, K) arrays, weights do not have shape (B,), or bandwidth is not
        positive and finite.
      TypeError: an input is not of a floating type.

    Source: A. Gretton et al. (2012), A Kernel Two-Sample Test, eq. 5.

    >>> points = jnp.array([[0.0], [1.0]])
    >>> maximum_mean_discrepancy(points, points).item()
    0.0
    """
    check_floating(codes=codes, samples=samples)
    check_points(codes=codes, samples=samples)
    if bandwidth is None:
        bandwidth = math.sqrt(2 * codes.shape[-1]) or 1.0  # points of dimension 0 are all equal
    check_positive("bandwidth", bandwidth)
    dtype, codes, samples = common_dtype(codes, samples), widened(codes), widened(samples)
    counts = _weights_or_ones("weights", weights, codes)
    sample_counts = counts * _weights_or_ones("sample_weights", sample_weights, codes)
    codes, samples = (jnp.where((counts > 0)[:, None], each, 0) for each in (codes, samples))
    scale = knob(bandwidth, codes.dtype)

    def mean_kernel(first: Array, first_shares: Array, second: Array, second_shares: Array) -> Array:
        squared = jnp.sum(jnp.square((first[:, None] - second[None]) / scale), axis=-1)
        # the mean of k - 1: the ones cancel in the sum of the three means, and would cost digits
        return first_shares @ jnp.expm1(-0.5 * squared) @ second_shares

    code_shares, sample_shares = (
        each / jnp.where(jnp.sum(each) > 0, jnp.sum(each), 1) for each in (counts, sample_counts)
    )
    within_codes = mean_kernel(codes, code_shares, codes, code_shares)
    within_samples = mean_kernel(samples, sample_shares, samples, sample_shares)
    squared = within_codes + within_samples - 2 * mean_kernel(codes, code_shares, samples, sample_shares)
    # rounding may make it slightly negative; with a plain maximum the gradient there would be halved or 0
    return (squared + jax.lax.stop_gradient(jnp.maximum(squared, 0) - squared)).astype(dtype)


def total_correlation_penalized(
    autoencoder: Autoencoder, *, weight: ArrayLike, examples: int, axis_name: str | None = None
) -> Autoencoder:
    """Adds λ TC(z), the total correlation KL(q(z) ‖ Πₖ q(zₖ)) of the aggregated posterior, to a variational loss.

    Coupled through the batch: never `vmap` its loss over examples. Added to the negative evidence lower bound with
    λ = β - 1, it gives the loss of β-TCVAE.

    Args:
      autoencoder: a variational autoencoder.
      weight: λ >= 0.
      examples: N, the number of examples in the whole training set.
      axis_name: the mapped axis over which the global batch is split; None if the loss receives the whole batch.

    Returns:
      The autoencoder with the new loss. Its metrics are those of the wrapped autoencoder and `total_correlation`, in
      nats, before weighting.

    Raises:
      ValueError: weight is negative, or examples is below 1.
      TypeError: the autoencoder is not variational, or examples is not an integer.

    Source: R. T. Q. Chen et al. (2018), Isolating Sources of Disentanglement in VAEs, eq. 4 and appendix C.2.

    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> autoencoder = total_correlation_penalized(vae, weight=5.0, examples=1000)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['elbo', 'kl', 'loss', 'reconstruction', 'total_correlation']
    """
    check_count("examples", examples)

    def correlation(params: PyTree, batch: Batch, key: Array) -> Metrics:
        assert autoencoder.variational is not None  # `penalized` checks this
        mean, log_variance = jax.vmap(partial(autoencoder.variational.posterior, params))(*encoder_inputs(batch))
        check_vector(mean[0])
        codes = jax.vmap(reparameterize)(example_keys(key, batch), mean, log_variance)
        codes, mean, log_variance, weights = gather_batch((codes, mean, log_variance, batch.weight), axis_name)
        estimate = total_correlation(codes, mean, log_variance, examples=examples, weights=weights)
        return {"total_correlation": estimate}

    return penalized(autoencoder, TOTAL_CORRELATION_PENALIZED, correlation, weight=weight, keys=1)


def check_vector(code: Array) -> None:
    """Raise ValueError unless the code of one example is a vector."""
    if code.ndim != 1:
        raise ValueError(f"the code of one example must be a vector, of shape (K,), got shape {code.shape}")


def check_points(**points: Array) -> None:
    """Raise ValueError unless all arrays, passed by their names, have the same shape (B, K) with B at least 1."""
    check_same_shape(**points)
    for name, array in points.items():
        if array.ndim != 2 or not len(array):
            raise ValueError(f"{name} must have shape (B, K) with at least one vector, got shape {array.shape}")


def _weights_or_ones(name: str, weights: Array | None, codes: Array) -> Array:
    if weights is None:
        return jnp.ones(len(codes), codes.dtype)
    if jnp.shape(weights) != (len(codes),):
        raise ValueError(f"{name} must have shape {(len(codes),)}, one weight per point, got {jnp.shape(weights)}")
    return jnp.asarray(weights, codes.dtype)


def total_correlation(
    codes: Float[Array, "B K"],
    mean: Float[Array, "B K"],
    log_variance: Float[Array, "B K"],
    *,
    examples: int,
    weights: Float[Array, "B"] | None = None,
) -> Float[Array, ""]:
    """Estimates E [log q(z) - Σₖ log q(zₖ)] of q(z) = (1/N) Σₙ N(z; μₙ, diag σₙ²), the aggregated posterior.

    Coupled through the batch: never `vmap` it over examples. q(z) is estimated from a batch by stratified sampling: the
    posterior that a code was drawn from has weight 1/N, and the other posteriors of the batch have equal weights that
    sum to the rest, so the estimate of q(z) is unbiased for any batch. For a batch of one the result is 0.

    Args:
      codes: one sample of each posterior.
      mean: μ of the B posteriors.
      log_variance: log σ² of the B posteriors.
      examples: N, the number of examples in the whole training set, at least the size of the batch.
      weights: 1 for an example that counts, 0 for padding, whose code and posterior may hold any values.

    Returns:
      The total correlation in nats; its expectation is 0 where the dimensions of z are independent. Half precision is
      computed in float32 and rounded to the dtype of the codes.

    Raises:
      ValueError: codes, mean and log_variance do not all have the same shape (B, K), weights do not have shape (B,), or
        examples is below 1.
      TypeError: an input is not of a floating type, or examples is not an integer.

    Source: R. T. Q. Chen et al. (2018), Isolating Sources of Disentanglement in VAEs, appendix C.2. The authors' code
    places the weight 1/N in the first column instead of on the diagonal. Here it is on the diagonal and the other
    weights are equal, which gives the same expectation with less variance.

    >>> estimate = jax.jit(partial(total_correlation, examples=100))
    >>> estimate(jnp.ones((1, 3)), jnp.zeros((1, 3)), jnp.zeros((1, 3))).item()
    0.0
    """
    check_floating(codes=codes, mean=mean, log_variance=log_variance)
    check_points(codes=codes, mean=mean, log_variance=log_variance)
    check_count("examples", examples)
    dtype, batch = common_dtype(codes, mean, log_variance), len(codes)
    codes, mean, log_variance = widened(codes), widened(mean), widened(log_variance)
    weights = _weights_or_ones("weights", weights, codes)
    codes, mean, log_variance = (jnp.where((weights > 0)[:, None], each, 0) for each in (codes, mean, log_variance))
    counted = jnp.sum(weights)
    own = jnp.eye(batch, dtype=codes.dtype)
    others = (1 - own) * weights[None]
    # if a batch is the whole training set, or has only one example, all its posteriors have the same weight
    population = jnp.maximum(jnp.asarray(examples, codes.dtype), counted)
    share_of_others = (population - 1) / population / jnp.maximum(counted - 1, 1)
    log_shares = jnp.log(own / population + others * share_of_others)
    pairs = (batch, *mean.shape)  # code, posterior, dimension
    log_densities = gaussian_log_densities(codes[:, None] - mean[None], jnp.broadcast_to(log_variance, pairs))
    log_joint = logsumexp(log_shares + jnp.sum(log_densities, axis=-1), axis=1)
    log_marginals = logsumexp(log_shares[..., None] + log_densities, axis=1)
    # in a batch of one, q(z) is estimated by a single density, whose weight must not be counted once per dimension
    excess = logsumexp(log_shares, axis=1) * (codes.shape[-1] - 1)
    per_code = log_joint - jnp.sum(log_marginals, axis=-1) + excess
    return (jnp.sum(weights * per_code) / jnp.maximum(counted, 1)).astype(dtype)

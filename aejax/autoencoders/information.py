"""Regularizers of the aggregated posterior: maximum mean discrepancy and total correlation."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.penalized import penalized
from aejax.autoencoders.record import Autoencoder, Batch, Metrics, example_keys, gather_batch, observations
from aejax.checks import check_count, check_floating, check_positive, check_same_shape
from aejax.precision import common_dtype, knob, widened
from aejax.priors import standard_normal
from aejax.sampling import gaussian_log_densities, reparameterize

MMD_REGULARIZED = Part(
    "mmd_regularized",
    terms=(Term("mmd", "mmd", "no unit"),),
    excludes=(
        ("k_sparse", "codes of which all but k entries are 0 cannot follow the prior"),
        ("sparse_kl", "codes in [0, 1] cannot follow a normal prior"),
    ),
    coupled_through="the distance of all codes from the prior",
    matches_prior=True,
)
TOTAL_CORRELATION_PENALIZED = Part(
    "total_correlation_penalized",
    terms=(Term("total_correlation", "total correlation", "nats", "estimated from batches, and may come out below 0"),),
    needs_posterior=True,
    coupled_through="the density of all codes",
)


def mmd_regularized(
    autoencoder: Autoencoder, *, weight: float, bandwidth: float | None = None, axis_name: str | None = None
) -> Autoencoder:
    """Adds λ MMD²(q(z), p(z)), the distance of the codes of a batch from samples of the prior, to the loss.

    Coupled through the batch: never `vmap` its loss over examples. The codes are those of the global batch: samples of
    the posterior of a variational autoencoder (InfoVAE), else the codes themselves (WAE).

    Args:
      autoencoder: any whose code is a vector; one that has no prior is given the standard normal one.
      weight: λ >= 0.
      bandwidth: as for `maximum_mean_discrepancy`; the square root of twice the code's length by default.
      axis_name: the mapped axis over which the global batch is spread; None where the loss is given the whole batch.

    Returns:
      The autoencoder with that loss, and the metric `mmd`, not yet weighted, besides its own.

    Raises:
      ValueError: a negative weight.

    Source: S. Zhao et al. (2019), InfoVAE, section 3.2; I. Tolstikhin et al. (2018), Wasserstein Auto-Encoders,
    algorithm 2.

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> autoencoder = mmd_regularized(undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,))), weight=10.0)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = autoencoder.loss(params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['loss', 'mmd', 'reconstruction']
    """
    if bandwidth is not None:
        check_positive("bandwidth", bandwidth)

    def discrepancy(params: PyTree, batch: Batch, code_key: Array, prior_key: Array) -> Metrics:
        distributions = autoencoder.variational
        prior = standard_normal() if distributions is None else distributions.prior(params)

        def draw(code_key: Array, prior_key: Array, *observed: Array) -> tuple[Array, Array, Array]:
            if distributions is None:
                code = autoencoder.encode(params, *observed)
            else:
                code = reparameterize(code_key, *distributions.posterior(params, *observed))
            check_vector(code)
            if prior.weighted_sample is None:
                sample, sample_weight = prior.sample(prior_key, code.shape), jnp.ones(())
            else:
                sample, sample_weight = prior.weighted_sample(prior_key, code.shape)
            return code, sample.astype(code.dtype), sample_weight.astype(code.dtype)

        keys = (example_keys(code_key, batch), example_keys(prior_key, batch))
        pairs = jax.vmap(draw)(*keys, *observations(batch))
        codes, samples, sample_weights = gather_batch(pairs, axis_name)
        examples = gather_batch(batch.weight, axis_name)
        squared = maximum_mean_discrepancy(
            codes, samples, weights=examples, sample_weights=sample_weights, bandwidth=bandwidth
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
    """MMD² = E k(z, z') + E k(s, s') - 2 E k(z, s) of two sets of points, k(a, b) = exp(-‖a - b‖² / 2 h²).

    Coupled through the batch: never `vmap` it over examples. The estimate takes all pairs, a point with itself too, so
    it is at least 0, and finite for one point. The value is 0 where rounding would leave it below, and the gradient is
    that of the estimate there too. Half precision is computed in float32 and rounded to the dtype of the codes.

    Args:
      codes: B points.
      samples: as many points of the distribution to be compared with.
      weights: 1 for a pair of points that counts, 0 for padding, whose points may be anything.
      sample_weights: relative weights of the samples; equal by default. Those of `Prior.weighted_sample` are 1 and
        give the estimate the gradient of a mixture's weights, of the right direction and 1 - 1/B of its length.
      bandwidth: h > 0; the square root of 2 K by default, about the distance of two standard normal points.

    Returns:
      A number in [0, 2]; 0 if the two sets are equal, or no pair counts.

    Raises:
      ValueError: points that are no two sets of B vectors, weights of another shape than (B,), or a bandwidth that is
        not positive and finite.
      TypeError: an input is not of a floating type.

    Source: A. Gretton et al. (2012), A Kernel Two-Sample Test, eq. 5.

    >>> points = jnp.array([[0.0], [1.0]])
    >>> maximum_mean_discrepancy(points, points).item()
    0.0
    """
    check_floating(codes=codes, samples=samples)
    check_points(codes=codes, samples=samples)
    if bandwidth is None:
        bandwidth = math.sqrt(2 * codes.shape[-1]) or 1.0  # points without a dimension are all equal
    check_positive("bandwidth", bandwidth)
    dtype, codes, samples = common_dtype(codes, samples), widened(codes), widened(samples)
    counts = _weights_or_ones("weights", weights, codes)
    sample_counts = counts * _weights_or_ones("sample_weights", sample_weights, codes)
    codes, samples = (jnp.where((counts > 0)[:, None], each, 0) for each in (codes, samples))
    scale = knob(bandwidth, codes.dtype)

    def mean_kernel(first: Array, first_shares: Array, second: Array, second_shares: Array) -> Array:
        squared = jnp.sum(jnp.square((first[:, None] - second[None]) / scale), axis=-1)
        # of k - 1: the ones of the three means cancel, with the digits that they would cost
        return first_shares @ jnp.expm1(-0.5 * squared) @ second_shares

    of_codes, of_samples = (each / jnp.where(jnp.sum(each) > 0, jnp.sum(each), 1) for each in (counts, sample_counts))
    within = mean_kernel(codes, of_codes, codes, of_codes) + mean_kernel(samples, of_samples, samples, of_samples)
    squared = within - 2 * mean_kernel(codes, of_codes, samples, of_samples)
    # rounding may leave it a little below 0; a maximum would halve the gradient there, or drop it
    return (squared + jax.lax.stop_gradient(jnp.maximum(squared, 0) - squared)).astype(dtype)


def total_correlation_penalized(
    autoencoder: Autoencoder, *, weight: float, examples: int, axis_name: str | None = None
) -> Autoencoder:
    """Adds λ TC(z), the total correlation KL(q(z) ‖ Πₖ q(zₖ)) of the aggregated posterior, to a variational loss.

    Coupled through the batch: never `vmap` its loss over examples. With λ = β - 1 over the evidence lower bound this is
    β-TCVAE.

    Args:
      autoencoder: a variational one.
      weight: λ >= 0.
      examples: N, of the whole training set.
      axis_name: the mapped axis over which the global batch is spread; None where the loss is given the whole batch.

    Returns:
      The autoencoder with that loss, and the metric `total_correlation` in nats, not yet weighted, besides its own.

    Raises:
      ValueError: a negative weight, or fewer than one example.
      TypeError: an autoencoder that is not variational.

    Source: R. T. Q. Chen et al. (2018), Isolating Sources of Disentanglement in VAEs, eq. 4 and appendix C.2.

    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> autoencoder = total_correlation_penalized(vae, weight=5.0, examples=1000)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = autoencoder.loss(params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['elbo', 'kl', 'loss', 'reconstruction', 'total_correlation']
    """
    check_count("examples", examples)

    def correlation(params: PyTree, batch: Batch, key: Array) -> Metrics:
        assert autoencoder.variational is not None  # `penalized` has seen to it
        mean, log_variance = jax.vmap(partial(autoencoder.variational.posterior, params))(*observations(batch))
        check_vector(mean[0])
        codes = jax.vmap(reparameterize)(example_keys(key, batch), mean, log_variance)
        codes, mean, log_variance, counted = gather_batch((codes, mean, log_variance, batch.weight), axis_name)
        estimate = total_correlation(codes, mean, log_variance, examples=examples, weights=counted)
        return {"total_correlation": estimate}

    return penalized(autoencoder, TOTAL_CORRELATION_PENALIZED, correlation, weight=weight, keys=1)


def check_vector(code: Array) -> None:
    """Raise ValueError where the code of one example is not a vector."""
    if code.ndim != 1:
        raise ValueError(f"a code must be a vector to be compared with others, got shape {code.shape}")


def check_points(**points: Array) -> None:
    """Raise ValueError unless all arrays, given by their names, are B vectors of one length each."""
    check_same_shape(**points)
    for name, array in points.items():
        if array.ndim != 2 or not len(array):
            raise ValueError(f"{name} must be at least one vector, of shape (B, K), got shape {array.shape}")


def _weights_or_ones(name: str, weights: Array | None, codes: Array) -> Array:
    if weights is None:
        return jnp.ones(len(codes), codes.dtype)
    if jnp.shape(weights) != (len(codes),):
        raise ValueError(f"{name} must have shape {(len(codes),)}, one of each point, got {jnp.shape(weights)}")
    return jnp.asarray(weights, codes.dtype)


def total_correlation(
    codes: Float[Array, "B K"],
    mean: Float[Array, "B K"],
    log_variance: Float[Array, "B K"],
    *,
    examples: int,
    weights: Float[Array, "B"] | None = None,
) -> Float[Array, ""]:
    """E [log q(z) - Σₖ log q(zₖ)] of the aggregated posterior q(z) = (1/N) Σₙ N(z; μₙ, diag σₙ²), from a batch of it.

    Coupled through the batch: never `vmap` it over examples. q(z) is estimated by stratified sampling: the posterior
    that a code was drawn from weighs 1/N, and the others of the batch share the rest, so it is right in expectation
    for any batch. Finite for a batch of one, where it is 0.

    Args:
      codes: one sample of each posterior.
      mean: μ of the B posteriors.
      log_variance: log σ² of them.
      examples: N, of the whole training set, at least the batch.
      weights: 1 for an example that counts, 0 for padding, whose code and posterior may be anything.

    Returns:
      A number in nats; 0 in expectation where the dimensions of z are independent. Half precision is computed in
      float32 and rounded to the dtype of the codes.

    Raises:
      ValueError: codes, means and log-variances that are not (B, K) each, weights of another shape than (B,), or fewer
        than one example.
      TypeError: an input is not of a floating type, or examples is no integer.

    Source: R. T. Q. Chen et al. (2018), Isolating Sources of Disentanglement in VAEs, appendix C.2. In the authors'
    code the weight 1/N lands in the first column instead of on the diagonal; here it is on the diagonal, and the rest
    is shared evenly, which has the expectation of theirs and less variance.

    >>> total_correlation(jnp.ones((1, 3)), jnp.zeros((1, 3)), jnp.zeros((1, 3)), examples=100).item()
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
    # where a batch is all of the data, or only one example, every posterior in it weighs the same
    population = jnp.maximum(jnp.asarray(examples, codes.dtype), counted)
    share_of_others = (population - 1) / population / jnp.maximum(counted - 1, 1)
    log_shares = jnp.log(own / population + others * share_of_others)
    pairs = (batch, *mean.shape)  # code, posterior, dimension
    log_densities = gaussian_log_densities(codes[:, None] - mean[None], jnp.broadcast_to(log_variance, pairs))
    log_joint = logsumexp(log_shares + jnp.sum(log_densities, axis=-1), axis=1)
    log_marginals = logsumexp(log_shares[..., None] + log_densities, axis=1)
    # a batch of one estimates q(z) by a single density, whose weight must not be counted once per dimension
    excess = logsumexp(log_shares, axis=1) * (codes.shape[-1] - 1)
    per_code = log_joint - jnp.sum(log_marginals, axis=-1) + excess
    return (jnp.sum(weights * per_code) / jnp.maximum(counted, 1)).astype(dtype)

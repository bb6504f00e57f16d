"""Variational autoencoders with a diagonal Gaussian posterior."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax.autoencoders.bits import bits_of, bits_terms
from aejax.autoencoders.entrance import as_inputs, check_example, check_no_batch_of_one, output_shape, part_of
from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.record import (
    Autoencoder,
    BatchLike,
    Metrics,
    Variational,
    encoder_inputs,
    example_keys,
    global_mean_over_batch,
    is_zero,
    masked_batch,
    mean_over_batch,
    weighted,
)
from aejax.checks import check_in_range
from aejax.errors import IncompatibleError
from aejax.likelihoods import Likelihood, bernoulli, constrain
from aejax.likelihoods.bounded import bounded_log
from aejax.networks.entrance import apply_to_one
from aejax.networks.network import SupportsInitApply, check_network, initialize
from aejax.precision import knob
from aejax.priors import LearnedPrior, Prior, standard_normal
from aejax.sampling import gaussian_log_prob, reparameterize
from aejax.schedules import Schedule

_UNIT = "nats per example"
VARIATIONAL = Part(
    "variational",
    terms=(
        Term("loss", "loss", _UNIT),
        Term("reconstruction", "reconstruction", _UNIT, weight=1.0),
        Term("kl", "KL divergence from the prior", _UNIT, weight=1.0),
        Term("elbo", "evidence lower bound", _UNIT),
    ),
)
BETA = Part("beta")
FREE_BITS = Part("free_bits", coupled_through="the mean divergence of a unit")


def variational(
    encoder: SupportsInitApply,
    decoder: SupportsInitApply,
    *,
    beta: ArrayLike | Schedule = 1.0,
    likelihood: Likelihood | None = None,
    prior: Prior | LearnedPrior | None = None,
    free_bits: ArrayLike = 0.0,
    axis_name: str | None = None,
) -> Autoencoder:
    """Minimizes E[-log p(x | z)] + β KL(q(z | x) ‖ p(z)), z ~ q(z | x) = N(μ(x), diag σ²(x)), with one sample of z.

    Args:
      encoder: maps one example to an array whose last axis holds μ in the first half and log σ² in the second. Values
        of log σ² outside [-30, 10] are compressed (`aejax.likelihoods.bounded.bounded_log`), so that σ² is finite for
        every input.
      decoder: maps one code to the parameters of the likelihood, which compresses logarithms of scales and rates too.
      beta: β >= 0, or a schedule of it (`aejax.schedules`); with 1 the loss is the negative evidence lower bound.
      likelihood: p(x | z); Bernoulli by default.
      prior: p(z), fixed or learned; standard normal by default. If its divergence has no closed form, it is estimated
        from the code that is sampled for the reconstruction.
      free_bits: λ >= 0, in nats per dimension of the code: a dimension whose divergence, averaged over the global
        batch, is below λ is not penalized further.
      axis_name: the mapped axis over which the global batch is split; required for free bits on several devices.

    Returns:
      An autoencoder; its metrics, in nats, are `loss`, `reconstruction` (-log p(x | z)), `kl`, and `elbo`, the bound
      on log p(x), whatever the value of beta; with a likelihood of levels also `bits_per_dimension`.

    Raises:
      ValueError: beta or free_bits is negative, or free_bits is positive and the prior's divergence has no closed form
        for each dimension; raised by the functions, the last axis of the encoder's output has an odd length.
      TypeError: encoder or decoder is not a network, or likelihood or prior is of another type.

    Source: D. P. Kingma, M. Welling (2014), Auto-Encoding Variational Bayes, eq. 10; β: I. Higgins et al. (2017),
    beta-VAE, eq. 4; free bits: D. P. Kingma et al. (2016), Improving Variational Inference with Inverse Autoregressive
    Flow, eq. 15.

    >>> from aejax.networks import MLP
    >>> autoencoder = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> params = jax.jit(autoencoder.init)(jax.random.key(0), jnp.ones(5))
    >>> mean, log_variance = autoencoder.variational.posterior(params, jnp.ones(5))
    >>> mean.shape
    (3,)
    >>> loss, metrics = jax.jit(autoencoder.loss)(params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['elbo', 'kl', 'loss', 'reconstruction']
    """
    check_network(encoder, "encoder", "variational")
    check_network(decoder, "decoder", "variational")
    if not callable(beta):
        check_in_range("beta", beta, 0.0)
    check_in_range("free_bits", free_bits, 0.0)
    likelihood = bernoulli() if likelihood is None else likelihood
    if not isinstance(likelihood, Likelihood):
        raise TypeError(f"likelihood must be a Likelihood, such as bernoulli(), got {likelihood!r}")
    prior = standard_normal() if prior is None else prior
    if not isinstance(prior, Prior | LearnedPrior):
        raise TypeError(f"prior must be a Prior or a LearnedPrior, such as standard_normal(), got {prior!r}")
    has_free_bits = not is_zero(free_bits)
    kl_per_dimension = prior.kl_per_dimension if has_free_bits and isinstance(prior, Prior) else None
    if has_free_bits and kl_per_dimension is None:
        raise IncompatibleError(
            "free_bits",
            prior.name if isinstance(prior, LearnedPrior) else "this prior",
            "free bits need a prior whose divergence has a closed form for each dimension, such as standard_normal()",
        )

    def init(key: Array, example: Array, *condition: Array) -> PyTree:
        encoder_key, decoder_key, prior_key = jax.random.split(key, 3)
        example, condition = as_inputs("example", example, *condition)
        params = {"encoder": initialize(encoder, encoder_key, example, *condition)}
        code = posterior(params, example, *condition)[0]
        params["decoder"] = initialize(decoder, decoder_key, code, *condition)
        check_example(example, lambda: output_shape(reconstruct, params, code, *condition))
        if isinstance(prior, LearnedPrior):
            params["prior"] = prior.init(prior_key, example, code)
        return params

    def posterior(params: PyTree, x: Array, *condition: Array) -> tuple[Array, Array]:
        output = apply_to_one(encoder, part_of(params, "encoder"), x, *condition, role="encoder", name="x")
        if not output.shape or output.shape[-1] % 2:
            raise ValueError(
                f"the encoder must return a mean and a log-variance, 2K values along the last axis, got {output.shape}"
            )
        mean, log_variance = jnp.split(output, 2, axis=-1)
        return mean, bounded_log(log_variance)

    def prior_of(params: PyTree) -> Prior:
        if isinstance(prior, Prior):
            return prior
        return prior.distribution(params["prior"], lambda x: posterior(params, x))

    def decode_parameters(params: PyTree, code: Array, *condition: Array) -> Array:
        output = apply_to_one(decoder, part_of(params, "decoder"), code, *condition, role="decoder", name="code")
        return constrain(likelihood, output)

    def reconstruct(params: PyTree, code: Array, *condition: Array) -> Array:
        return likelihood.mean(decode_parameters(params, code, *condition))

    def posterior_of_one(params: PyTree, x: Array, *condition: Array) -> tuple[Array, Array]:
        x, condition = as_inputs("x", x, *condition)
        mean, log_variance = posterior(params, x, *condition)
        check_no_batch_of_one("x", x, lambda: output_shape(reconstruct, params, mean, *condition))
        return mean, log_variance

    def encode(params: PyTree, x: Array, *condition: Array) -> Array:
        return posterior_of_one(params, x, *condition)[0]

    def parameters_of_one(params: PyTree, code: Array, *condition: Array) -> Array:
        code, condition = as_inputs("code", code, *condition)
        parameters = decode_parameters(params, code, *condition)
        check_no_batch_of_one(
            "code", code, lambda: output_shape(encode, params, likelihood.mean(parameters), *condition)
        )
        return parameters

    def decode(params: PyTree, code: Array, *condition: Array) -> Array:
        return likelihood.mean(parameters_of_one(params, code, *condition))

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        batch = masked_batch(batch)
        kl_weight = beta(batch.step) if callable(beta) else beta
        p = prior_of(params)

        def terms(key: Array, x: Array, *inputs: Array) -> tuple[Array, Array, Array]:
            mean, log_variance = posterior(params, *inputs)
            code = reparameterize(key, mean, log_variance)
            reconstruction = -likelihood.log_prob(x, decode_parameters(params, code, *inputs[1:]))
            if p.kl is None:
                kl = gaussian_log_prob(code, mean, log_variance) - p.log_prob(code)
            else:
                kl = p.kl(mean, log_variance)
            by_dimension = jnp.zeros(0) if kl_per_dimension is None else kl_per_dimension(mean, log_variance)
            return reconstruction, kl, by_dimension

        *per_example, by_dimension = jax.vmap(terms)(example_keys(key, batch), batch.x, *encoder_inputs(batch))
        reconstruction, kl = mean_over_batch(per_example, batch)
        penalized_kl = kl
        if has_free_bits:
            kl_by_dimension = global_mean_over_batch(by_dimension, batch, axis_name)
            penalized_kl = jnp.sum(jnp.maximum(kl_by_dimension, knob(free_bits, kl_by_dimension.dtype)))
        total = reconstruction + weighted(kl_weight, penalized_kl)
        elbo = -(reconstruction + kl)
        metrics = {"loss": total, "reconstruction": reconstruction, "kl": kl, "elbo": elbo}
        return total, metrics | bits_of(elbo, batch.x.shape[1:], likelihood)

    least = "a number of" if isinstance(free_bits, jax.core.Tracer) else f"{free_bits:g}"
    note = f"at least {least} nats per unit" if has_free_bits else ""
    terms = (term._replace(weight=beta, note=note) if term.name == "kl" else term for term in VARIATIONAL.terms)
    variational_part = VARIATIONAL._replace(
        terms=(*terms, *bits_terms(likelihood)), accepts_missing=likelihood.support.missing
    )
    parts: tuple[Part, ...] = (variational_part,)
    parts += (Part(prior.name),) if isinstance(prior, LearnedPrior) else ()
    parts += (BETA,) if callable(beta) or isinstance(beta, jax.core.Tracer) or beta != 1 else ()
    parts += (FREE_BITS,) if has_free_bits else ()
    distributions = Variational(posterior_of_one, prior_of, likelihood, parameters_of_one)
    return Autoencoder(init, encode, decode, loss, variational=distributions, parts=parts)

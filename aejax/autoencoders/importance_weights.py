"""Importance weights of codes drawn from the posterior, and the gradient estimators of the bounds that they form."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import jax
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Key, PyTree

from aejax.autoencoders.bits import bits_of, bits_terms
from aejax.autoencoders.composition import check_composition
from aejax.autoencoders.densities import densities_of, log_weight
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

Gradient = Literal["plain", "dreg", "stl"]
_GRADIENTS = get_args(Gradient)
_UNIT = "nats per example"
_BOUNDS = (
    "importance_weighted",
    "multiply_importance_weighted",
    "partially_importance_weighted",
    "combination_importance_weighted",
)


def bound_part(name: str) -> Part:
    """Returns the traits of a constructor that replaces a variational loss by an importance weighted bound."""
    others = tuple((other, "each of them replaces the loss by a bound") for other in _BOUNDS if other != name)
    return Part(
        name,
        terms=(Term("loss", "loss", _UNIT), Term("elbo", "evidence lower bound", _UNIT, weight=-1.0)),
        needs_posterior=True,
        replaces_loss=True,
        excludes=(
            ("beta", "the bound has no weight of the divergence: beta must be 1"),
            ("free_bits", "the bound has no divergence of each dimension: free_bits must be 0"),
            *others,
        ),
    )


def check_gradient(gradient: str) -> None:
    """Raise ValueError unless this is the name of a gradient estimator.

    >>> check_gradient("dregs")
    Traceback (most recent call last):
    ...
    ValueError: gradient must be one of plain, dreg, stl, got 'dregs'
    """
    if gradient not in _GRADIENTS:
        raise ValueError(f"gradient must be one of {', '.join(_GRADIENTS)}, got {gradient!r}")


def maximizing(
    autoencoder: Autoencoder, part: Part, bound: Callable[..., Array], *, note: str, gradient: Gradient = "plain"
) -> Autoencoder:
    """Returns a variational autoencoder whose loss is the negative of a bound on log p(x), averaged over the batch.

    Args:
      autoencoder: a variational autoencoder with beta 1 and no free bits.
      part: the traits of the constructor, from `bound_part`.
      bound: (params, key, x, *inputs) -> the bound for ONE example, in nats.
      note: a remark on the bound, for readers of its value.
      gradient: the estimator of the encoder's gradient, for the note.

    Raises:
      ValueError: the autoencoder cannot be combined with the part.
      TypeError: the autoencoder is not variational.
    """
    check_composition(autoencoder, part)
    assert autoencoder.variational is not None  # ensured by check_composition
    likelihood = autoencoder.variational.likelihood

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        batch = masked_batch(batch)

        def of_one(key: Array, x: Array, *inputs: Array) -> Array:
            return bound(params, key, x, *inputs)

        mean = mean_over_batch(jax.vmap(of_one)(example_keys(key, batch), batch.x, *encoder_inputs(batch)), batch)
        return -mean, {"loss": -mean, "elbo": mean} | bits_of(mean, batch.x.shape[1:], likelihood)

    note = note if gradient == "plain" else f"{note}, gradient {gradient}"
    loss_term, *others = (*part.terms, *bits_terms(likelihood))
    part = part._replace(terms=(loss_term, *(term._replace(note=note) for term in others)))
    return autoencoder._replace(loss=loss, parts=(*autoencoder.parts, part))


def importance_bound(log_weights: Float[Array, "... K"]) -> Float[Array, "..."]:
    """Returns log (1/K) Σₖ wₖ along the last axis, in nats.

    >>> import jax.numpy as jnp
    >>> round(importance_bound(jnp.log(jnp.array([1.0, 3.0]))).item(), 4)  # log 2
    0.6931
    """
    return logsumexp(log_weights, axis=-1) - math.log(log_weights.shape[-1])


def log_importance_weights(
    autoencoder: Autoencoder,
    params: PyTree,
    key: Key[Array, ""],
    x: Array,
    *inputs: Array,
    samples: int,
    groups: int = 1,
    gradient: Gradient = "plain",
    model_params: PyTree | None = None,
) -> Float[Array, "samples"]:
    """Returns log wₖ = log p(x, zₖ) - log q(zₖ | x) of samples zₖ of the posterior: (samples,), in nats.

    The values do not depend on `gradient`; what `importance_bound` of them has as gradient with respect to the
    posterior's parameters φ does. With w̃ₖ = wₖ / Σⱼ wⱼ it is, for every `gradient`,

        plain: Σₖ w̃ₖ (∂log wₖ/∂zₖ ∂zₖ/∂φ - ∂log q(zₖ | x)/∂φ)
        stl:   Σₖ w̃ₖ  ∂log wₖ/∂zₖ ∂zₖ/∂φ
        dreg:  Σₖ w̃ₖ² ∂log wₖ/∂zₖ ∂zₖ/∂φ

    The first and the last have the same expectation, the gradient of the bound's expectation; stl has it for one sample
    only. The last two are 0 for every sample where q is the exact posterior. The gradient with respect to the
    parameters of decoder and prior is Σₖ w̃ₖ ∂log wₖ/∂θ in all three.

    Args:
      autoencoder: a variational autoencoder.
      params: its parameters, which encode x.
      key: a PRNG key, not used elsewhere.
      x: ONE example, the target of the likelihood.
      *inputs: the arguments of the posterior: x itself or a corrupted x and, for a conditional autoencoder, the
        condition.
      samples: the number of samples.
      groups: of consecutive samples, of equal size; with dreg, w̃ sums to 1 over each group.
      gradient: the estimator of the gradient.
      model_params: the parameters of decoder and prior, where they differ from `params`, for instance because only one
        of the two is differentiated.

    Source: plain: Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance Weighted Autoencoders; stl: G. Roeder, Y.
    Wu, D. Duvenaud (2017), Sticking the Landing; dreg: G. Tucker et al. (2019), Doubly Reparameterized Gradient
    Estimators for Monte Carlo Objectives.
    """
    model_params = params if model_params is None else model_params
    constant, constant_model = jax.lax.stop_gradient((params, model_params))
    keys = jax.random.split(key, samples)
    codes = jax.vmap(densities_of(autoencoder, params, x, *inputs).sample_posterior)(keys)

    def weigh(codes: Array, params: PyTree, model_params: PyTree) -> Array:
        densities = densities_of(autoencoder, params, x, *inputs, model_params=model_params)
        return jax.vmap(partial(log_weight, densities))(codes)

    if gradient == "plain":
        return weigh(codes, params, model_params)
    if gradient == "dreg":
        # the compiler finds that both calls of `weigh` have the same values, and computes them once
        log_weights = weigh(jax.lax.stop_gradient(codes), constant, constant_model)
        normalized = jax.nn.softmax(log_weights.reshape(groups, -1), axis=1).reshape(-1)
        codes = _with_scaled_tangent(codes, normalized.astype(codes.dtype))
    return weigh(codes, constant, model_params)


@jax.custom_jvp
def _with_scaled_tangent(codes: Float[Array, "K ..."], scale: Float[Array, "K"]) -> Float[Array, "K ..."]:
    """Returns the codes; gradients that flow through code k are multiplied by scale k, which is a constant."""
    del scale
    return codes


@_with_scaled_tangent.defjvp
def _with_scaled_tangent_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    codes, scale = primals
    return codes, scale.reshape(-1, *(1,) * (codes.ndim - 1)) * tangents[0]

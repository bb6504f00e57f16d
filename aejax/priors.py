"""Priors: the distribution of one code, fixed or learned, as a record of pure functions."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PyTree

from aejax.checks import check_count, check_floating, check_same_shape
from aejax.divergences import gaussian_kl
from aejax.likelihoods.bounded import bounded_log
from aejax.precision import at_least_single, widened
from aejax.sampling import gaussian_log_prob

Posterior = Callable[[Array], tuple[Array, Array]]  # x -> (mean, log_variance) of the code


class Prior(NamedTuple):
    """The distribution p(z) of one code."""

    sample: Callable[[Array, tuple[int, ...]], Array]  # (key, (*batch_shape, *code_shape)) -> codes of that shape
    log_prob: Callable[[Array], Array]  # code -> log p(code), in nats
    # (mean, log_variance) -> KL(N(mean, variance) ‖ p), in nats; None where there is no closed form
    kl: Callable[[Array, Array], Array] | None
    # (mean, log_variance) -> one term of `kl` per dimension, of the code's shape; None where `kl` is no such sum
    kl_per_dimension: Callable[[Array, Array], Array] | None = None
    # like `sample`, but returns (codes, weights). Every weight is 1; its gradient is the score-function term of the
    # discrete choices, such as of a component, that a code cannot be differentiated through
    weighted_sample: Callable[[Array, tuple[int, ...]], tuple[Array, Array]] | None = None


class LearnedPrior(NamedTuple):
    """A prior with parameters of its own; its divergence is estimated from samples of the posterior."""

    init: Callable[[Array, Array, Array], PyTree]  # (key, example, code) -> parameters
    distribution: Callable[[PyTree, Posterior], Prior]  # (parameters, posterior) -> prior
    name: str


def standard_normal() -> Prior:
    """Returns the prior N(0, I), whose divergence has a closed form.

    >>> standard_normal().kl(jnp.ones(3), jnp.zeros(3)).item()
    1.5
    """

    def kl_per_dimension(mean: Array, log_variance: Array) -> Array:
        check_same_shape(mean=mean, log_variance=log_variance)
        return jnp.vectorize(gaussian_kl)(mean, log_variance)

    return Prior(
        sample=lambda key, shape: jax.random.normal(key, shape),
        log_prob=lambda code: gaussian_log_prob(code, jnp.zeros_like(code), jnp.zeros_like(code)),
        kl=gaussian_kl,
        kl_per_dimension=kl_per_dimension,
    )


def gaussian_mixture(
    logits: Float[Array, "M"], mean: Float[Array, "M ..."], log_variance: Float[Array, "M ..."]
) -> Prior:
    """Returns the prior p(z) = Σₘ πₘ N(z; μₘ, diag σₘ²) with π = softmax(logits).

    Args:
      logits: one for each of the M >= 1 components.
      mean: μ, one array of the shape of a code for each component.
      log_variance: log σ², of the same shape as mean.

    Returns:
      A prior without a closed-form divergence. `sample` draws a component for each code of a batch independently. Half
      precision is drawn and summed in float32.

    Raises:
      ValueError: there is no component, the number of logits is not the number of components, or the shapes differ; in
        `sample` and `log_prob`, the shape does not end in (or is not) the shape of a code.
      TypeError: an input is not of a floating type.

    >>> mixture = gaussian_mixture(jnp.zeros(2), jnp.array([[-3.0], [3.0]]), jnp.zeros((2, 1)))
    >>> round(mixture.log_prob(jnp.array([3.0])).item(), 4)  # log ½ - ½ log 2π
    -1.6121
    """
    check_floating(logits=logits, mean=mean, log_variance=log_variance)
    check_same_shape(mean=mean, log_variance=log_variance)
    if jnp.ndim(mean) == 0 or not len(mean) or jnp.shape(logits) != (len(mean),):
        raise ValueError(
            "a mixture must have at least one component, with one logit and one mean each, got logits of shape "
            f"{jnp.shape(logits)} and mean of shape {jnp.shape(mean)}"
        )
    code_shape, dtype = mean.shape[1:], mean.dtype

    def weighted_sample(key: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
        batch = tuple(shape)[: len(shape) - len(code_shape)]
        if (*batch, *code_shape) != tuple(shape):
            raise ValueError(f"codes of this mixture must have shape {('...', *code_shape)}, got {tuple(shape)}")
        component_key, noise_key = jax.random.split(key)
        log_weights = jax.nn.log_softmax(widened(logits))
        component = jax.random.categorical(component_key, widened(logits), shape=batch)
        noise = jax.random.normal(noise_key, shape, at_least_single(dtype))
        deviation = jnp.exp(0.5 * widened(log_variance)[component])
        log_weight = log_weights[component]
        weight = jnp.exp(log_weight - jax.lax.stop_gradient(log_weight))
        return (widened(mean)[component] + deviation * noise).astype(dtype), weight

    def log_prob(code: Array) -> Array:
        check_floating(code=code)
        if code.shape != code_shape:
            raise ValueError(f"a code of this mixture must have shape {code_shape}, got {code.shape}")
        of_components = jax.vmap(gaussian_log_prob, in_axes=(None, 0, 0))(
            widened(code), widened(mean), widened(log_variance)
        )
        return logsumexp(jax.nn.log_softmax(widened(logits)) + of_components).astype(dtype)

    return Prior(lambda key, shape: weighted_sample(key, shape)[0], log_prob, kl=None, weighted_sample=weighted_sample)


def mixture_prior(components: int) -> LearnedPrior:
    """Returns a mixture of diagonal Gaussians whose weights, means and variances are learned.

    Log-variances outside [-30, 10] are bounded by `aejax.likelihoods.bounded.bounded_log`.

    Args:
      components: M, the number of components, at least 1.

    Raises:
      ValueError: components is below 1.
      TypeError: components is not an integer.

    Source: N. Dilokthanakul et al. (2016), Deep Unsupervised Clustering with Gaussian Mixture VAEs, section 3.1;
    J. M. Tomczak, M. Welling (2018), VAE with a VampPrior, section 4.
    """
    check_count("components", components)

    def init(key: Array, example: Array, code: Array) -> PyTree:
        del example
        return {
            "logits": jnp.zeros(components, code.dtype),
            "mean": jax.random.normal(key, (components, *code.shape), code.dtype),
            "log_variance": jnp.zeros((components, *code.shape), code.dtype),
        }

    def distribution(params: PyTree, posterior: Posterior) -> Prior:
        del posterior  # the components are parameters themselves
        return gaussian_mixture(params["logits"], params["mean"], bounded_log(params["log_variance"]))

    return LearnedPrior(init, distribution, "mixture_prior")


def vamp_prior(pseudo_inputs: Float[Array, "M ..."]) -> LearnedPrior:
    """Returns the mixture (1/M) Σₘ q(z | uₘ) of the posteriors of M learned pseudo-inputs.

    Args:
      pseudo_inputs: initial values of u, such as M training examples; training changes them.

    Raises:
      ValueError: there is no pseudo-input; in `init`, a pseudo-input has another shape than an example.
      TypeError: pseudo_inputs is not of a floating type.

    Source: J. M. Tomczak, M. Welling (2018), VAE with a VampPrior, eq. 9.
    """
    check_floating(pseudo_inputs=pseudo_inputs)
    if jnp.ndim(pseudo_inputs) == 0 or not len(pseudo_inputs):
        raise ValueError(f"pseudo_inputs must hold at least one example, got shape {jnp.shape(pseudo_inputs)}")

    def distribution(params: PyTree, posterior: Posterior) -> Prior:
        mean, log_variance = jax.vmap(posterior)(params["pseudo_inputs"])
        return gaussian_mixture(jnp.zeros(len(mean), mean.dtype), mean, log_variance)

    def init(key: Array, example: Array, code: Array) -> PyTree:
        del key, code  # nothing is drawn
        if pseudo_inputs.shape[1:] != example.shape:
            raise ValueError(f"pseudo_inputs must have shape {('M', *example.shape)}, got {pseudo_inputs.shape}")
        floating = jnp.issubdtype(example.dtype, jnp.floating)
        return {"pseudo_inputs": jnp.asarray(pseudo_inputs, example.dtype if floating else None)}

    return LearnedPrior(init, distribution, "vamp_prior")

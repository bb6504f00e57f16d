"""What codes are drawn from: a distribution of one code, fixed or learned, as a record of pure functions."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PyTree

from aejax.checks import check_count
from aejax.divergences import gaussian_kl
from aejax.sampling import gaussian_log_prob

Posterior = Callable[[Array], tuple[Array, Array]]  # x -> (mean, log_variance) of the code


class Prior(NamedTuple):
    """The distribution p(z) of one code."""

    sample: Callable[[Array, tuple[int, ...]], Array]  # (key, shape of a code) -> code
    log_prob: Callable[[Array], Array]  # code -> log p(code), in nats
    kl: Callable[[Array, Array], Array] | None  # (mean, log_variance) -> KL(N(mean, variance) ‖ p), if in closed form
    kl_per_dimension: Callable[[Array, Array], Array] | None = None  # its terms, of the code's shape, if it has such


class LearnedPrior(NamedTuple):
    """A prior with parameters of its own; its divergence is estimated from samples of the posterior."""

    init: Callable[[Array, Array, Array], PyTree]  # (key, example, code) -> parameters
    distribution: Callable[[PyTree, Posterior], Prior]  # (parameters, posterior) -> prior
    name: str


def standard_normal() -> Prior:
    """N(0, I), with the analytic divergence.

    >>> standard_normal().kl(jnp.ones(3), jnp.zeros(3)).item()
    1.5
    """
    return Prior(
        sample=lambda key, shape: jax.random.normal(key, shape),
        log_prob=lambda code: gaussian_log_prob(code, jnp.zeros_like(code), jnp.zeros_like(code)),
        kl=gaussian_kl,
        kl_per_dimension=jnp.vectorize(gaussian_kl),
    )


def gaussian_mixture(
    logits: Float[Array, "M"], mean: Float[Array, "M ..."], log_variance: Float[Array, "M ..."]
) -> Prior:
    """Σₘ πₘ N(μₘ, diag σₘ²) with π = softmax(logits).

    Args:
      logits: of the M components.
      mean: μ, each of the shape of a code.
      log_variance: log σ², of the same shape.

    >>> mixture = gaussian_mixture(jnp.zeros(2), jnp.array([[-3.0], [3.0]]), jnp.zeros((2, 1)))
    >>> round(mixture.log_prob(jnp.array([3.0])).item(), 4)  # log ½ - ½ log 2π
    -1.6121
    """

    def sample(key: Array, shape: tuple[int, ...]) -> Array:
        component_key, noise_key = jax.random.split(key)
        component = jax.random.categorical(component_key, logits)
        noise = jax.random.normal(noise_key, shape, mean.dtype)
        return mean[component] + jnp.exp(0.5 * log_variance[component]) * noise

    def log_prob(code: Array) -> Array:
        of_components = jax.vmap(gaussian_log_prob, in_axes=(None, 0, 0))(code, mean, log_variance)
        return logsumexp(jax.nn.log_softmax(logits) + of_components)

    return Prior(sample, log_prob, kl=None)


def mixture_prior(components: int) -> LearnedPrior:
    """A mixture of diagonal Gaussians whose weights, means and variances are learned.

    Args:
      components: M >= 1, ten for instance.

    Raises:
      ValueError: no component.

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

    return LearnedPrior(init, lambda params, posterior: gaussian_mixture(**params), "mixture_prior")


def vamp_prior(pseudo_inputs: Float[Array, "M ..."]) -> LearnedPrior:
    """The mixture (1/M) Σₘ q(z | uₘ) of the posteriors of M learned pseudo-inputs.

    Args:
      pseudo_inputs: u before training, such as M training examples; they are parameters from then on.

    Source: J. M. Tomczak, M. Welling (2018), VAE with a VampPrior, eq. 9.
    """

    def distribution(params: PyTree, posterior: Posterior) -> Prior:
        mean, log_variance = jax.vmap(posterior)(params["pseudo_inputs"])
        return gaussian_mixture(jnp.zeros(len(mean), mean.dtype), mean, log_variance)

    def init(key: Array, example: Array, code: Array) -> PyTree:
        del key, example, code  # nothing is drawn
        return {"pseudo_inputs": jnp.asarray(pseudo_inputs)}

    return LearnedPrior(init, distribution, "vamp_prior")

"""The densities of ONE example's code in a variational autoencoder: prior, likelihood and posterior."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, Key, PyTree

from aejax.autoencoders.part import part_names
from aejax.autoencoders.record import Autoencoder, posterior_of


class Densities(NamedTuple):
    """Log-densities of a code z, given ONE example x; each maps a code to a scalar, in nats."""

    log_prior: Callable[[Array], Array]  # log p(z)
    log_likelihood: Callable[[Array], Array]  # log p(x | z)
    log_posterior: Callable[[Array], Array]  # log q(z | x), of the encoder
    sample_prior: Callable[[Key[Array, ""]], Array]  # key -> z ~ p(z)
    sample_posterior: Callable[[Key[Array, ""]], Array]  # key -> z ~ q(z | x)


def densities_of(
    autoencoder: Autoencoder, params: PyTree, x: Array, *inputs: Array, model_params: PyTree | None = None
) -> Densities:
    """Returns the densities of the code of ONE example.

    Args:
      autoencoder: a variational autoencoder.
      params: its parameters.
      x: the example, the target of the likelihood.
      *inputs: the arguments of the posterior: x itself or a corrupted x and, for a conditional autoencoder, the
        condition.
      model_params: the parameters of decoder and prior, where they differ from `params`, for instance because only one
        of the two is differentiated.

    Raises:
      TypeError: the autoencoder is not variational.

    >>> import jax.numpy as jnp
    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> params, x = vae.init(jax.random.key(0), jnp.ones(5)), jnp.ones(5)
    >>> round(densities_of(vae, params, x, x).log_prior(jnp.zeros(3)).item(), 4)  # -3/2 log 2π
    -2.7568
    """
    check_variational(autoencoder)
    distributions = autoencoder.variational
    assert distributions is not None  # ensured by check_variational
    model_params = params if model_params is None else model_params
    posterior, prior = posterior_of(distributions, params, *inputs), distributions.prior(model_params)
    code = jax.eval_shape(posterior.sample, jax.random.key(0))

    def log_likelihood(code: Array) -> Array:
        return distributions.likelihood.log_prob(x, distributions.decode_parameters(model_params, code, *inputs[1:]))

    return Densities(
        prior.log_prob,
        log_likelihood,
        log_posterior=posterior.log_prob,
        sample_prior=lambda key: prior.sample(key, code.shape).astype(code.dtype),
        sample_posterior=posterior.sample,
    )


def log_weight(densities: Densities, code: Array) -> Float[Array, ""]:
    """Returns the log-weight log p(x, z) - log q(z | x) of a sample z of the posterior, in nats."""
    return densities.log_likelihood(code) + densities.log_prior(code) - densities.log_posterior(code)


def check_variational(autoencoder: Autoencoder) -> None:
    """Raise TypeError unless the autoencoder has a likelihood."""
    if autoencoder.variational is None:
        kind = " and ".join(part_names(autoencoder.parts)) or "an autoencoder without a posterior"
        raise TypeError(f"a log-likelihood expects a variational autoencoder, got {kind}")

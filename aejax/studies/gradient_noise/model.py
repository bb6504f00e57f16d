"""A Gaussian model whose optimum is known: z ~ N(μ, I), x | z ~ N(z, I), q(z | x) = N(A x + b, 2/3 I)."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from aejax.autoencoders import Autoencoder, variational
from aejax.likelihoods import gaussian
from aejax.networks import Network
from aejax.priors import LearnedPrior, Posterior, Prior
from aejax.sampling import gaussian_log_prob

_DATA = 1024  # examples, whose mean is the optimum of μ


def gaussian_model(dimensions: int) -> Autoencoder:
    """Returns the variational autoencoder of this model; its parameters are A, b and μ.

    >>> params = jax.eval_shape(gaussian_model(3).init, jax.random.key(0), jnp.zeros(3))
    >>> params["encoder"]["kernel"].shape, params["prior"]["mean"].shape
    ((3, 3), (3,))
    """

    def encode(params: PyTree, x: Array) -> Array:
        mean = jnp.dot(params["kernel"], x) + params["bias"]
        return jnp.concatenate([mean, jnp.full_like(mean, math.log(2 / 3))])

    def prior(params: PyTree, posterior: Posterior) -> Prior:
        del posterior
        mean = params["mean"]
        return Prior(
            lambda key, shape: mean + jax.random.normal(key, shape, mean.dtype),
            lambda code: gaussian_log_prob(code, mean, jnp.zeros_like(code)),
            kl=None,
        )

    encoder = Network(lambda key, x: {"kernel": 0.5 * jnp.eye(dimensions), "bias": jnp.zeros(dimensions)}, encode)
    decoder = Network(lambda key, code: {}, lambda params, code: code)
    learned = LearnedPrior(lambda key, example, code: {"mean": jnp.zeros(dimensions)}, prior, "normal_prior")
    return variational(encoder, decoder, likelihood=gaussian(), prior=learned)


def near_optimum(dimensions: int, *, offset: float, seed: int) -> tuple[PyTree, Float[np.ndarray, "1 D"]]:
    """Returns parameters near the optimum for data that the model generated, and one example of the data.

    At the optimum, A = I/2, b = μ/2 and μ is the mean of the data. The posterior's variance is not the best one, 1/2:
    with it the weights would all be equal, and there would be no noise.

    Args:
      dimensions: of x and z.
      offset: standard deviation of the normal noise that is added to every parameter.
      seed: of the data and of that noise.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(dimensions) + math.sqrt(2) * rng.standard_normal((_DATA, dimensions))
    mean = x.mean(axis=0)
    optimum = {"encoder": {"kernel": np.eye(dimensions) / 2, "bias": mean / 2}, "prior": {"mean": mean}}
    params = jax.tree.map(
        lambda best: jnp.asarray(best + offset * rng.standard_normal(best.shape), jnp.float32), optimum
    )
    return params | {"decoder": {}}, x[:1].astype(np.float32)

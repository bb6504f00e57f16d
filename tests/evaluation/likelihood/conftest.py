"""Models whose log-likelihood is known: a linear Gaussian one, and two of one dimension by quadrature."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from aejax.autoencoders import Autoencoder, variational
from aejax.likelihoods import Likelihood, bernoulli, gaussian
from aejax.networks import Network

VARIANCE, SCALE = 0.3, np.array([1.5, 0.7])
LOADINGS = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 2)))[0] * SCALE  # with orthogonal columns
POSTERIOR_VARIANCE = 1 / (1 + SCALE**2 / VARIANCE)  # diagonal, therefore


class Known(NamedTuple):
    """An autoencoder, examples, and their exact log p(x)."""

    autoencoder: Autoencoder
    params: dict
    x: np.ndarray
    log_p: np.ndarray


@pytest.fixture
def linear_gaussian() -> Callable[..., Known]:
    """`linear_gaussian(shift, widening)`: z ~ N(0, I), x | z ~ N(W z, s² I); the encoder is off by so much.

    Its mean is shifted, and its log-variance is above that of the exact posterior by `widening`.
    """

    def build(shift: float = 0.0, widening: float = 0.0, examples: int = 6, spread: float = 1.0) -> Known:
        rng = np.random.default_rng(1)
        code = spread * rng.standard_normal((examples, 2))
        x = code @ LOADINGS.T + np.sqrt(VARIANCE) * rng.standard_normal((examples, 4))

        def moments(params: dict, x: jnp.ndarray) -> jnp.ndarray:
            to_mean = jnp.asarray(POSTERIOR_VARIANCE[:, None] * LOADINGS.T / VARIANCE, x.dtype)
            log_variance = jnp.asarray(np.log(POSTERIOR_VARIANCE) + widening, x.dtype)
            return jnp.concatenate([jnp.dot(to_mean, x) + jnp.asarray(shift, x.dtype), log_variance])

        encoder = Network(lambda key, x: {}, moments)
        decoder = Network(lambda key, z: {}, lambda params, z: jnp.dot(jnp.asarray(LOADINGS, z.dtype), z))
        vae = variational(encoder, decoder, likelihood=gaussian(variance=VARIANCE))
        covariance = LOADINGS @ LOADINGS.T + VARIANCE * np.eye(4)
        log_p = np.atleast_1d(stats.multivariate_normal.logpdf(x, np.zeros(4), covariance))
        return Known(vae, {"encoder": {}, "decoder": {}}, x.astype(np.float32), log_p)

    return build


@pytest.fixture(params=["gaussian", "bernoulli"])
def two_modes(request: pytest.FixtureRequest) -> Known:
    """A code of one dimension with two far modes: x depends on z² only; log p(x) by quadrature in float64."""
    likelihood: Likelihood = gaussian(variance=0.05) if request.param == "gaussian" else bernoulli()
    x = np.array([[1.0, 0.0, 1.0]], np.float32) if request.param == "bernoulli" else np.array([[1.5]], np.float32)

    def decode(z: np.ndarray) -> np.ndarray:
        return z**2 * np.array([[1.0]]) if request.param == "gaussian" else (z**2 - 1.5) * np.array([[4.0, -4.0, 4.0]])

    def decoded(params: dict, z: jnp.ndarray) -> jnp.ndarray:
        if request.param == "gaussian":
            return jnp.square(z)
        return (jnp.square(z) - 1.5) * jnp.array([4.0, -4.0, 4.0], z.dtype)

    encoder = Network(lambda key, x: {}, lambda params, x: jnp.zeros(2, x.dtype))
    vae = variational(encoder, Network(lambda key, z: {}, decoded), likelihood=likelihood)
    z = np.linspace(-8, 8, 200_001)[:, None]
    output = decode(z)
    if request.param == "gaussian":
        log_joint = stats.norm.logpdf(x, output, np.sqrt(0.05)).sum(axis=1)
    else:
        log_joint = (x * output - np.logaddexp(0, output)).sum(axis=1)
    log_joint = log_joint + stats.norm.logpdf(z[:, 0])
    log_p = np.log(np.trapezoid(np.exp(log_joint), z[:, 0]))
    return Known(vae, {"encoder": {}, "decoder": {}}, x, np.array([log_p]))

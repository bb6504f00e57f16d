"""What each family must learn where the best solution is known beforehand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from aejax.autoencoders import (
    Autoencoder,
    as_batch,
    contractive,
    k_sparse,
    mmd_regularized,
    tied,
    total_correlation_penalized,
    undercomplete,
    variational,
)
from aejax.likelihoods import gaussian
from aejax.networks import MLP, Network
from aejax.priors import mixture_prior

KEY = jax.random.key(0)


def learn(autoencoder: Autoencoder, x: np.ndarray, *, steps: int, learning_rate: float = 1e-2, batch_size: int = 256):
    """The parameters after so many steps of Adam with a falling learning rate, and the mean of the last 100 terms."""
    data = jnp.asarray(x, jnp.float32)
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    params = autoencoder.init(KEY, data[0])

    def step(carry, key):
        params, state = carry
        order_key, noise_key = jax.random.split(key)
        rows = jax.random.permutation(order_key, len(data))[:batch_size]
        gradient, terms = jax.grad(autoencoder.loss, has_aux=True)(params, noise_key, as_batch(data[rows]))
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(params, updates), state), terms

    keys = jax.random.split(KEY, steps)
    (params, _), terms = jax.jit(lambda: lax.scan(step, (params, optimizer.init(params)), keys))()
    return jax.device_get(params), {name: float(np.mean(values[-100:])) for name, values in terms.items()}


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_a_linear_contractive_autoencoder_shrinks_each_principal_component_as_it_should(weight: float) -> None:
    """With tied weights the loss is E‖x - W Wᵀ x‖² + λ‖W‖², whose best W has the squared singular values 1 - λ/2σ²."""
    variances = np.array([4.0, 2.0, 1.0, 0.2, 0.1])
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    x = rng.normal(size=(256, 5))
    x = np.linalg.qr(x)[0] * np.sqrt(256 * variances) @ rotation  # second moments exactly these
    plain = tied((5,), (3,), activation=lambda h: h, loss=lambda x, y: jnp.sum(jnp.square(x - y)))

    def without_biases(autoencoder: Autoencoder) -> Autoencoder:
        def loss(params, key, batch):
            return autoencoder.loss({"weights": params["weights"], **zero_biases}, key, batch)

        zero_biases = {"encoder_biases": [jnp.zeros(3)], "decoder_biases": [jnp.zeros(5)]}
        return autoencoder._replace(loss=loss)

    params, _ = learn(without_biases(contractive(plain, weight=weight, method="auto")), x, steps=1500)
    left, singular_values, _ = np.linalg.svd(params["weights"][0])
    np.testing.assert_allclose(singular_values**2, 1 - weight / (2 * variances[:3]), rtol=2e-3)
    components = rotation[:3] if weight else np.linalg.qr(rotation[:3].T)[0].T
    cosines = np.linalg.svd(components @ left[:, :3])[1]
    assert np.degrees(np.arccos(np.min(np.clip(cosines, -1, 1)))) < 1


@pytest.mark.slow
def test_a_k_sparse_autoencoder_finds_the_rays_that_examples_lie_on() -> None:
    """Positive multiples of 6 directions in 4 dimensions: one entry of an overcomplete code is enough for each."""
    rng = np.random.default_rng(0)
    rays = rng.normal(size=(6, 4))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    x = rng.uniform(0.5, 2, (2048, 1)) * rays[rng.integers(0, 6, 2048)]
    params, terms = learn(k_sparse(MLP((24,)), MLP((4,)), k=1), x, steps=3000)
    principal = np.linalg.svd(x)[1]
    by_one_component = np.sum(principal[1:] ** 2) / len(x)
    assert terms["reconstruction"] < 0.1 * by_one_component
    autoencoder = k_sparse(MLP((24,)), MLP((4,)), k=1)
    codes = jax.vmap(lambda one: autoencoder.encode(params, one))(jnp.asarray(x, jnp.float32))
    assert np.all(np.count_nonzero(codes, axis=1) == 1)


@pytest.mark.slow
def test_maximum_mean_discrepancy_makes_codes_standard_normal() -> None:
    """A code without any other wish, of uniform examples, becomes normal: moments and quantiles."""
    x = np.random.default_rng(0).uniform(size=(4096, 1))
    free = undercomplete(
        MLP((1,), (32,), jnp.tanh),
        Network(lambda key, h: {}, lambda params, h: h),
        loss=lambda x, y: 0 * jnp.sum(x * y),
    )
    autoencoder = mmd_regularized(free, weight=1.0)
    params, _ = learn(autoencoder, x, steps=1500)
    codes = np.asarray(jax.vmap(lambda one: autoencoder.encode(params, one))(jnp.asarray(x, jnp.float32)))[:, 0]
    np.testing.assert_allclose([codes.mean(), codes.std()], [0, 1], atol=0.12)  # its tails are short
    quantiles = np.quantile(codes, [0.1, 0.25, 0.75, 0.9])
    np.testing.assert_allclose(quantiles, [-1.2816, -0.6745, 0.6745, 1.2816], atol=0.2)


@pytest.mark.slow
def test_a_mixture_prior_finds_the_clusters_that_one_gaussian_cannot() -> None:
    """Four far clusters, one number for each example: the bound gains near log 4 less nothing by a prior of as many."""
    rng = np.random.default_rng(0)
    centers = np.array([[-6.0, -6], [-6, 6], [6, -6], [6, 6]])
    x = centers[rng.integers(0, 4, 2048)] + 0.5 * rng.normal(size=(2048, 2))
    likelihood = gaussian(variance=0.25)

    def bound(**knobs):
        vae = variational(MLP((4,), (32,), jnp.tanh), MLP((2,), (32,), jnp.tanh), likelihood=likelihood, **knobs)
        return learn(vae, x, steps=3000)[1]["elbo"]

    entropy = np.log(4) + np.log(2 * np.pi * np.e * 0.25)  # of the examples: no bound exceeds its negative
    learned, normal = bound(prior=mixture_prior(4)), bound()
    assert normal < learned < -entropy + 0.1
    assert -entropy - learned < 0.3


@pytest.mark.slow
def test_total_correlation_is_pressed_out_of_a_code() -> None:
    """Two copies of one number: a plain bound may use them both, the penalized one must not use them together."""
    s = np.random.default_rng(0).normal(size=(2048, 1))
    x = np.concatenate([s, s], axis=1)

    def learned(weight: float) -> dict[str, float]:
        encoder = Network(
            lambda key, x: {"gain": jnp.ones(2)},
            lambda params, x: jnp.concatenate([params["gain"] * x, jnp.full(2, -2.0)]),
        )
        vae = variational(encoder, MLP((2,)), likelihood=gaussian(variance=0.1))
        return learn(total_correlation_penalized(vae, weight=weight, examples=2048), x, steps=1500)[1]

    free, pressed = learned(0.0), learned(10.0)
    assert free["total_correlation"] > 0.25
    assert pressed["total_correlation"] < 0.1
    assert pressed["elbo"] > free["elbo"] - 2.0

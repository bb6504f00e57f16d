"""The record, the batch, and what holds for every autoencoder, composed or not."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from aejax.autoencoders import (
    Autoencoder,
    Batch,
    Examples,
    as_batch,
    contractive,
    denoising,
    undercomplete,
    variational,
)
from aejax.autoencoders.record import example_keys, mean_over_batch
from aejax.corruption import gaussian_noise, salt_and_pepper
from aejax.evaluation import encode_all
from aejax.losses import binary_cross_entropy
from aejax.networks import MLP
from aejax.training.entrance import as_examples

KEY = jax.random.key(0)
X = np.random.default_rng(0).uniform(size=(8, 5)).astype(np.float32)
PLAIN = undercomplete(MLP((2,), (4,), jnp.tanh), MLP((5,), (4,), jnp.tanh), loss=binary_cross_entropy)
VAE = variational(MLP((4,), (4,), jnp.tanh), MLP((5,), (4,), jnp.tanh), beta=2.0)
corrupted = partial(denoising, corrupt=partial(salt_and_pepper, amount=0.5))
contracted = partial(contractive, weight=0.1)
FAMILIES = {
    "undercomplete": PLAIN,
    "variational": VAE,
    "denoising(undercomplete)": corrupted(PLAIN),
    "denoising(variational)": corrupted(VAE),
    "contractive(undercomplete)": contracted(PLAIN),
    "contractive(variational)": contracted(VAE),
    "denoising(contractive(undercomplete))": corrupted(contracted(PLAIN)),
    "contractive(denoising(undercomplete))": contracted(corrupted(PLAIN)),
    "denoising(contractive(variational))": corrupted(contracted(VAE)),
}
every_family = pytest.mark.parametrize("name", FAMILIES)
a_few_families = pytest.mark.parametrize(
    "name", ["undercomplete", "variational", "denoising(undercomplete)", "denoising(contractive(variational))"]
)


def normal_params(autoencoder):
    """Normal numbers in the place of every parameter."""
    rng, shapes = np.random.default_rng(0), jax.eval_shape(autoencoder.init, KEY, X[0])
    return jax.tree.map(lambda leaf: jnp.array(rng.standard_normal(leaf.shape)), shapes)


@cache
def compiled(name):
    """Parameters of that autoencoder and its compiled loss."""
    return normal_params(FAMILIES[name]), jax.jit(FAMILIES[name].loss)


def batch_of(rows):
    """These examples, each with its index in the whole batch."""
    rows, x = jnp.array(rows), jnp.array(X[np.array(rows)])
    return Batch(x, x, rows, jnp.ones(len(rows)))


def assert_equal_terms(one, other):
    """Two results of a loss, but for rounding."""
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), one, other)


@pytest.mark.slow
@every_family
def test_composition_keeps_type_terms_and_distributions(name):
    autoencoder = FAMILIES[name]
    assert type(autoencoder) is Autoencoder
    total, metrics = jax.eval_shape(autoencoder.loss, normal_params(autoencoder), KEY, jnp.array(X))
    terms = {"loss", "reconstruction"}
    terms |= {"kl", "elbo"} if "variational" in name else set()
    terms |= {"contractive_penalty"} if "contractive" in name else set()
    assert set(metrics) == terms
    assert all((term.shape, term.dtype) == ((), jnp.float32) for term in (total, *metrics.values()))
    base = VAE if "variational" in name else PLAIN
    for field in ("init", "encode", "decode", "variational"):
        assert getattr(autoencoder, field) is getattr(base, field)


def test_only_a_variational_autoencoder_has_distributions():
    assert PLAIN.variational is None
    assert None not in VAE.variational._replace(joint_posterior=VAE.variational.posterior)  # which is optional


@pytest.mark.slow
def test_loss_is_the_same_with_and_without_jit_and_is_among_the_terms():
    params, loss = compiled("denoising(contractive(variational))")
    total, metrics = loss(params, KEY, jnp.array(X))
    assert metrics["loss"] == total
    eager = FAMILIES["denoising(contractive(variational))"].loss(params, KEY, jnp.array(X))
    assert_equal_terms(eager, (total, metrics))


@pytest.mark.slow
@a_few_families
def test_noise_belongs_to_the_index_of_an_example_not_to_its_place(name):
    params, loss = compiled(name)
    whole = loss(params, KEY, jnp.array(X))
    assert_equal_terms(loss(params, KEY, batch_of([3, 1, 7, 0, 2, 6, 5, 4])), whole)
    halves = [loss(params, KEY, batch_of(rows)) for rows in ([0, 1, 2, 3], [4, 5, 6, 7])]
    assert_equal_terms(jax.tree.map(lambda *terms: np.mean(terms), *halves), whole)


@pytest.mark.slow
@a_few_families
def test_key_and_index_decide_the_noise(name):
    params, loss = compiled(name)
    batch = batch_of(range(8))
    first, same, other_key = (loss(params, jax.random.key(seed), batch)[0] for seed in (0, 0, 1))
    other_indices = loss(params, KEY, batch._replace(indices=batch.indices + 8))[0]
    assert first == same
    is_noisy = "denoising" in name or "variational" in name
    assert (first != other_key) == is_noisy
    assert (first != other_indices) == is_noisy


@pytest.mark.slow
@a_few_families
def test_padding_does_not_count(name):
    params, loss = compiled(name)
    padded = batch_of([0, 1, 2, 3, 3, 3, 0, 0])._replace(weight=jnp.array([1.0] * 4 + [0.0] * 4))
    assert_equal_terms(loss(params, KEY, padded), loss(params, KEY, batch_of([0, 1, 2, 3])))
    nothing = loss(params, KEY, padded._replace(weight=jnp.zeros(8)))[0]
    assert nothing == 0


@pytest.mark.slow
@a_few_families
def test_one_trace_serves_many_steps(name):
    traces = []

    @jax.jit
    def step(params, key, batch):
        traces.append(name)
        gradient = jax.grad(FAMILIES[name].loss, has_aux=True)(params, key, batch)[0]
        return jax.tree.map(lambda leaf, slope: leaf - 0.1 * slope, params, gradient), gradient

    params, _ = compiled(name)
    for seed in range(4):
        params, gradient = step(params, jax.random.key(seed), batch_of(range(8)))
    assert len(traces) == 1
    assert all(np.all(np.isfinite(leaf)) and np.any(leaf != 0) for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
def test_derivatives_of_all_terms_together_equal_finite_differences(float64, without_type_checks):
    vae = variational(MLP((4,), (3,), jnp.tanh), MLP((5,), (3,), jnp.tanh), beta=2.0)
    autoencoder = denoising(contracted(vae), corrupt=partial(gaussian_noise, standard_deviation=0.1))
    batch = jnp.array(X[:2], float)
    loss = jax.jit(lambda params: autoencoder.loss(params, KEY, batch)[0])
    check_grads(loss, (normal_params(autoencoder),), order=1, modes=("rev",), rtol=1e-6, atol=1e-6)


def test_a_plain_array_is_a_batch_of_examples_that_all_count():
    x = jnp.ones((3, 2), jnp.bfloat16)
    batch = as_batch(x)
    assert batch.x is x
    assert batch.input is x
    np.testing.assert_array_equal(batch.indices, [0, 1, 2])
    np.testing.assert_array_equal(batch.weight, [1, 1, 1])
    assert batch.weight.dtype == x.dtype
    assert as_batch(batch) is batch


def test_example_keys_follow_the_indices():
    batch = batch_of([4, 2, 4])
    keys = jax.random.key_data(example_keys(KEY, batch))
    np.testing.assert_array_equal(keys[0], keys[2])
    assert np.any(keys[0] != keys[1])
    for key, index in zip(keys, (4, 2, 4), strict=True):
        np.testing.assert_array_equal(key, jax.random.key_data(jax.random.fold_in(KEY, index)))


def test_mean_over_batch_weighs_every_term():
    batch = batch_of([0, 1, 2])._replace(weight=jnp.array([1.0, 1.0, 0.0]))
    means = mean_over_batch({"a": jnp.array([1.0, 3.0, 100.0]), "b": jnp.array([0.0, -2.0, 5.0])}, batch)
    assert means == {"a": 2.0, "b": -1.0}


@pytest.mark.parametrize(
    "wrong", [None, MLP((2,)), lambda params, key, batch: 0.0], ids=["None", "network", "function"]
)
def test_wrappers_refuse_what_is_no_autoencoder(wrong, without_type_checks):
    with pytest.raises(TypeError, match="contractive expects an autoencoder"):
        contractive(wrong, weight=0.1)
    with pytest.raises(TypeError, match="denoising expects an autoencoder"):
        denoising(wrong, corrupt=partial(salt_and_pepper, amount=0.5))


@pytest.mark.slow_after_first
@pytest.mark.parametrize("number", [2**32 + 2, -(2**40), 2**63])
def test_integers_that_would_wrap_are_refused(number, without_type_checks):
    wide = np.array([[number]], np.uint64 if number > 2**62 else np.int64)
    autoencoder = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(1,)))
    params, x = autoencoder.init(jax.random.key(0), jnp.ones(1)), np.ones((1, 1), np.float32)
    for call in (
        lambda: as_batch(wide),
        lambda: as_batch(Examples(x, condition=wide[0])),
        lambda: autoencoder.encode(params, wide[0]),
        lambda: encode_all(autoencoder, params, wide),
        lambda: as_examples(Examples(x, condition=wide[0])),
    ):
        with pytest.raises(ValueError, match=f"must hold integers that fit into u?int32, got {number}"):
            call()
    assert as_batch(np.array([[2**31 - 1]])).x.item() == 2**31 - 1

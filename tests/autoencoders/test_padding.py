"""What does not count is nowhere: padding, weights of zero, half precision, knobs that are NumPy's."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import (
    Examples,
    as_batch,
    conditional,
    contractive,
    contractive_by_projections,
    denoising,
    importance_weighted,
    k_sparse,
    mmd_regularized,
    sparse,
    sparse_kl,
    tied,
    total_correlation_penalized,
    undercomplete,
    variational,
)
from aejax.autoencoders.record import global_mean_over_batch, masked_batch, mean_over_batch, weighted
from aejax.corruption import masking
from aejax.likelihoods import beta
from aejax.networks import MLP, Network

KEY = jax.random.key(0)
X = np.random.default_rng(0).uniform(0.1, 0.9, size=(6, 5)).astype(np.float32)
SIGMOID = MLP((3,), (), output_activation=jax.nn.sigmoid)
PLAIN = undercomplete(SIGMOID, MLP((5,)), loss=lambda x, output: jnp.sum(jnp.log(x) * output))
VAE = variational(MLP((6,)), MLP((5, 2)), likelihood=beta())
BY_CLASS = conditional(PLAIN, classes=3)
FAMILIES = {
    "undercomplete": PLAIN,
    "variational": VAE,
    "free bits": variational(MLP((6,)), MLP((5, 2)), likelihood=beta(), free_bits=0.1),
    "importance_weighted": importance_weighted(VAE, samples=2),
    "k_sparse": k_sparse(MLP((4,)), MLP((5,)), k=2, loss=lambda x, output: jnp.sum(jnp.log(x) * output)),
    "tied": tied((5,), (3,), loss=lambda x, output: jnp.sum(jnp.log(x) * output)),
    "denoising": denoising(PLAIN, corrupt=partial(masking, amount=0.3)),
    "contractive": contractive(PLAIN, weight=0.1),
    "higher order": contractive(PLAIN, weight=0.1, higher_order_weight=0.1),
    "projections": contractive_by_projections(PLAIN, weight=0.1),
    "sparse": sparse(PLAIN, weight=0.1),
    "sparse_kl": sparse_kl(PLAIN, weight=0.1, rho=0.2),
    "mmd_regularized": mmd_regularized(VAE, weight=2.0),
    "total_correlation_penalized": total_correlation_penalized(VAE, weight=2.0, examples=100),
    "conditional": BY_CLASS,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "padding"), [*((name, np.nan) for name in FAMILIES), ("undercomplete", 0.0), ("variational", np.inf)]
)
def test_padding_may_be_anything_in_value_and_gradient(name, padding):
    autoencoder = FAMILIES[name]
    condition = jnp.array([0, 1, 2, 0, 1, 2]) if name == "conditional" else None
    params = jax.jit(autoencoder.init)(KEY, X[0], *(() if condition is None else (condition[0],)))
    x = jnp.asarray(X).at[4:].set(padding)
    padded = as_batch(Examples(x, condition=condition))._replace(weight=jnp.array([1.0] * 4 + [0.0] * 2))
    whole = as_batch(Examples(x[:4], condition=None if condition is None else condition[:4]))
    step = jax.jit(jax.value_and_grad(autoencoder.loss, has_aux=True))
    (loss, terms), gradient = step(params, KEY, padded)
    (right, right_terms), right_gradient = step(params, KEY, whole)
    np.testing.assert_allclose(loss, right, rtol=2e-6)
    for one, other in ((terms, right_terms), (gradient, right_gradient)):
        jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-5, atol=1e-6), one, other)


@pytest.mark.slow
def test_where_all_examples_count_the_compiler_replaces_none():
    def loss(params, x):
        return PLAIN.loss(params, KEY, x)[0]

    params = jax.jit(PLAIN.init)(KEY, X[0])
    text = jax.jit(loss).lower(params, X).compile().as_text()
    assert not [operation for operation in (" select(", " gather(", " dynamic-slice(") if operation in text]


def test_terms_of_padding_may_be_infinite_in_every_mean():
    batch = as_batch(jnp.zeros((3, 1)))._replace(weight=jnp.array([1.0, 1.0, 0.0]))
    for mean in (mean_over_batch, partial(global_mean_over_batch, axis_name=None)):
        value, gradient = jax.jit(jax.value_and_grad(lambda terms, mean=mean: mean(terms, batch)))(
            jnp.array([1.0, 3.0, jnp.inf])
        )
        assert value == 2
        np.testing.assert_array_equal(gradient, [0.5, 0.5, 0])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int32, np.float16, np.float32])
def test_weights_of_any_dtype_are_numbers(dtype):
    terms, weight = jnp.arange(300.0), np.arange(300) % 2 == 1
    batch = as_batch(jnp.zeros((300, 1)))._replace(weight=jnp.asarray(weight.astype(dtype)))
    assert mean_over_batch(terms, batch) == 150
    np.testing.assert_allclose(global_mean_over_batch(terms[:, None], batch, None), [150], rtol=1e-6)


def test_a_mean_divides_by_the_sum_of_the_weights_where_that_is_below_one():
    batch = as_batch(jnp.zeros((2, 1)))._replace(weight=jnp.array([0.25, 0.125]))
    assert mean_over_batch(jnp.array([3.0, 6.0]), batch) == 4
    assert global_mean_over_batch(jnp.array([[3.0], [6.0]]), batch, None)[0] == 4
    nothing = batch._replace(weight=jnp.zeros(2))
    assert mean_over_batch(jnp.array([3.0, jnp.nan]), nothing) == 0


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_means_of_half_precision_are_added_in_single(dtype):
    values = np.random.default_rng(1).uniform(200, 300, 5000)
    terms = jnp.asarray(values, dtype)
    batch = as_batch(jnp.zeros((5000, 1), dtype))
    want = np.mean(np.asarray(terms, np.float64))
    tolerance = 2.0 * float(jnp.finfo(dtype).eps)
    for mean in (mean_over_batch(terms, batch), global_mean_over_batch(terms[:, None], batch, None)[0]):
        assert mean.dtype == dtype
        assert float(mean) == pytest.approx(want, rel=tolerance)


def test_the_active_fraction_of_a_wide_code_of_half_precision_is_finite():
    def nothing(key, x):
        return {}

    encoder = Network(nothing, lambda params, x: jnp.ones(70_000, x.dtype).at[:35_000].set(0))
    wide = sparse(undercomplete(encoder, Network(nothing, lambda params, code: code[:4])), weight=0.0)
    terms = jax.jit(wide.loss)({"encoder": {}, "decoder": {}}, KEY, jnp.ones((2, 4), jnp.float16))[1]
    assert terms["active_fraction"] == 0.5


@pytest.mark.slow
def test_a_weight_of_zero_silences_what_is_infinite_in_value_and_gradient():
    for weight in (0.0, np.float64(0), jnp.zeros(())):
        value, gradient = jax.jit(jax.value_and_grad(lambda x, w=weight: weighted(w, jnp.log(x) / x)))(0.0)
        assert (value, gradient) == (0, 0)
    assert jax.jit(weighted)(0.0, jnp.inf) == 0
    codes_beyond_one = sparse_kl(undercomplete(MLP((3,)), MLP((5,))), weight=0.0, rho=0.1)
    params = jax.tree.map(lambda leaf: 5 * jnp.ones_like(leaf), jax.jit(codes_beyond_one.init)(KEY, X[0]))
    (loss, terms), gradient = jax.jit(jax.value_and_grad(codes_beyond_one.loss, has_aux=True))(params, KEY, X)
    assert np.isnan(terms["sparsity_kl"])
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves((loss, gradient)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        lambda knob: sparse(PLAIN, weight=knob),
        lambda knob: sparse_kl(PLAIN, weight=knob, rho=knob / 2),
        lambda knob: contractive(PLAIN, weight=knob, higher_order_weight=knob),
        lambda knob: contractive_by_projections(PLAIN, weight=knob),
        lambda knob: mmd_regularized(PLAIN, weight=knob, bandwidth=knob),
        lambda knob: total_correlation_penalized(VAE, weight=knob, examples=np.int64(100)),
        lambda knob: variational(MLP((6,)), MLP((5,)), beta=knob, free_bits=knob),
    ],
)
def test_a_knob_of_numpy_leaves_the_precision_of_the_loss(build, float64):
    autoencoder = build(np.std([0.0, 1.0]))
    assert type(np.std([0.0, 1.0])) is np.float64
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), jax.jit(autoencoder.init)(KEY, X[0]))
    loss, terms = jax.jit(autoencoder.loss)(params, KEY, jnp.asarray(X, jnp.float32))
    assert {term.dtype for term in (loss, *terms.values())} == {jnp.dtype(jnp.float32)}


def test_the_batch_of_a_loss_is_checked():
    params = jax.jit(PLAIN.init)(KEY, X[0])
    batch = as_batch(X)
    for wrong in (
        jnp.zeros((0, 5)),
        jnp.zeros(()),
        Examples(X, X[:3]),
        Examples(X, condition=jnp.zeros(5)),
        batch._replace(weight=jnp.ones(5)),
        batch._replace(weight=jnp.ones((6, 1))),
        batch._replace(indices=jnp.arange(3)),
    ):
        with pytest.raises(ValueError, match=r"batch|length|weight"):
            PLAIN.loss(params, KEY, wrong)
    with pytest.raises(ValueError, match=r"one number per example, \(6,\), got shape \(6, 5\)"):
        mean_over_batch(batch.x, batch)
    assert masked_batch(batch._replace(weight=jnp.zeros(6))).x.shape == X.shape

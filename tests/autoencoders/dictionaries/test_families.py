"""Each family against its closed forms, NumPy, and the special cases in which two families are one."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from aejax.autoencoders import (
    Examples,
    as_batch,
    batch_top_k,
    dictionary,
    gated,
    jump_relu,
    l1_dictionary,
    matryoshka,
    part_names,
    sparse,
    top_k,
)
from aejax.autoencoders.dictionaries.jump_relu import jump, step
from aejax.autoencoders.dictionaries.networks import centered_product
from aejax.networks import MLP

D, F, B = 6, 16, 8
KEY = jax.random.key(0)
X = np.random.default_rng(1).normal(size=(B, D)).astype(np.float32)
FAMILIES = {
    "l1_dictionary": lambda *networks: l1_dictionary(*networks, weight=0.1),
    "top_k": lambda *networks: top_k(*networks, k=3),
    "batch_top_k": lambda *networks: batch_top_k(*networks, k=3),
    "jump_relu": lambda *networks: jump_relu(*networks, weight=0.1, bandwidth=0.5, start_threshold=0.2),
    "jump_relu by tanh": lambda *networks: jump_relu(
        *networks, weight=0.1, bandwidth=2.0, start_threshold=0.1, penalty="tanh"
    ),
    "gated": lambda *networks: gated(*networks, weight=0.1),
    "matryoshka": lambda *networks: matryoshka(*networks, k=3, prefixes=(2, 8)),
}


@pytest.fixture(scope="module")
def params():
    """Those of all families on D features and F units, with biases other than 0."""
    encoder_key, decoder_key, *bias_keys = jax.random.split(KEY, 4)
    return {
        "encoder": {
            "kernel": jax.random.normal(encoder_key, (D, F)),
            "bias": 0.1 * jax.random.normal(bias_keys[0], (F,)),
        },
        "decoder": {"kernel": jax.random.normal(decoder_key, (F, D)), "bias": jax.random.normal(bias_keys[1], (D,))},
        "thresholds": jnp.full(F, 0.2),
        "magnitude": {"log_scale": jnp.full(F, 0.3), "bias": jnp.full(F, 0.1)},
        "state": {
            "silent": jnp.zeros(F, jnp.int32),
            "threshold": jnp.asarray(0.4),
            "batches": jnp.asarray(100, jnp.int32),
        },
    }


def pre_activations(params) -> np.ndarray:
    encoder, decoder = (jax.tree.map(lambda a: np.asarray(a, np.float64), params[n]) for n in ("encoder", "decoder"))
    return (np.asarray(X, np.float64) - decoder["bias"]) @ encoder["kernel"] + encoder["bias"]


def norms_of(params) -> np.ndarray:
    return np.linalg.norm(np.asarray(params["decoder"]["kernel"], np.float64), axis=1)


def squared_error(params, codes: np.ndarray) -> float:
    decoder = jax.tree.map(lambda a: np.asarray(a, np.float64), params["decoder"])
    codes = np.asarray(codes, np.float64)
    return float(np.mean(np.sum((X - codes @ decoder["kernel"] - decoder["bias"]) ** 2, axis=1)))


def codes_of(family, params) -> np.ndarray:
    return np.asarray(jax.jit(jax.vmap(lambda x: family.encode(params, x)))(X))


def loss_of(family, params, x=X):
    return jax.jit(family.loss)(params, KEY, x)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("name", FAMILIES)
def test_loss_is_the_sum_of_its_weighted_terms(name, params):
    """Of a family on a dictionary: what `init` makes has the arrays that the test gives, and every term is counted."""
    family = FAMILIES[name](D, F)
    made = jax.eval_shape(family.init, KEY, X[0])
    given = {part: params[part] for part in made}
    given["state"] = {entry: params["state"][entry] for entry in made["state"]}
    chex.assert_trees_all_equal_shapes_and_dtypes(made, given)
    loss, metrics = loss_of(family, given)
    (part,) = family.parts
    assert part.name == name.partition(" ")[0]
    assert {term.name for term in part.terms} == set(metrics) - {"statistics"}
    weighted = sum(term.weight * metrics[term.name] for term in part.terms if term.weight is not None)
    np.testing.assert_allclose(loss, weighted, rtol=1e-6)
    assert family.decode(given, family.encode(given, X[0])).shape == (D,)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("name", ["top_k", "batch_top_k", "jump_relu", "matryoshka"])
def test_other_networks_are_wrapped(name):
    """Dead units too: `directions` of a network is its output less that of a code of zeros."""
    family = FAMILIES[name](MLP((F,), (5,)), MLP((2, 3), (5,)))
    x = X.reshape(B, 2, 3)
    params = family.init(KEY, x[0])
    params["state"]["silent"] = jnp.full(F, 10_000_000, jnp.int32)
    loss, _ = loss_of(family, params, x)
    assert jnp.isfinite(loss)


@pytest.mark.parametrize("name", ["l1_dictionary", "gated", "jump_relu by tanh"])
def test_what_needs_directions_refuses_other_networks(name):
    with pytest.raises(TypeError, match=r"expects \*dictionary\(features, units\)"):
        FAMILIES[name](MLP((F,)), MLP((D,)))


@pytest.mark.slow_after_first
@pytest.mark.parametrize("name", FAMILIES)
def test_padding_and_its_values_change_nothing(name, params):
    family = FAMILIES[name](D, F)
    made = jax.eval_shape(family.init, KEY, X[0])
    given = {part: params[part] for part in made}
    padded = as_batch(jnp.concatenate([X, jnp.full((2, D), jnp.nan)]))
    padded = padded._replace(weight=jnp.array([1.0] * B + [0.0] * 2))
    chex.assert_trees_all_close(loss_of(family, given, padded), loss_of(family, given), rtol=1e-5)


def test_l1_is_the_formula(params):
    codes = np.maximum(pre_activations(params), 0)
    penalty = np.mean(np.sum(codes * norms_of(params), axis=1))
    loss, metrics = loss_of(l1_dictionary(D, F, weight=0.1), params)
    np.testing.assert_allclose(metrics["l1_penalty"], penalty, rtol=1e-5)
    np.testing.assert_allclose(loss, squared_error(params, codes) + 0.1 * penalty, rtol=1e-5)
    np.testing.assert_allclose(metrics["l0"], np.mean(np.sum(codes > 0, axis=1)), rtol=1e-6)


def test_the_penalty_does_not_depend_on_how_norms_are_divided(params):
    """Codes times two and rows over two: the same reconstruction at the same price (not so with a plain L1 norm)."""
    family = l1_dictionary(*dictionary(D, F, subtracts_bias=False), weight=0.1)
    scaled = {
        **params,
        "encoder": jax.tree.map(lambda a: 2 * a, params["encoder"]),
        "decoder": {**params["decoder"], "kernel": params["decoder"]["kernel"] / 2},
    }
    np.testing.assert_allclose(loss_of(family, scaled)[0], loss_of(family, params)[0], rtol=1e-5)


@pytest.mark.slow
def test_orthonormal_directions_shrink_codes_by_half_the_weight(params):
    """The minimum of ‖x - f V‖² + λ Σ f is max(V x - λ/2, 0): there the gradient is 0."""
    rotation = jnp.linalg.qr(jax.random.normal(KEY, (D, D)))[0]
    family = l1_dictionary(*dictionary(D, D, subtracts_bias=False), weight=0.3)
    optimal = {
        "encoder": {"kernel": rotation.T, "bias": jnp.full(D, -0.15)},
        "decoder": {"kernel": rotation, "bias": jnp.zeros(D)},
        "state": {"silent": jnp.zeros(D, jnp.int32)},
    }

    def loss(bias):
        return family.loss({**optimal, "encoder": {**optimal["encoder"], "bias": bias}}, KEY, X)[0]

    np.testing.assert_allclose(jax.grad(loss)(jnp.full(D, -0.15)), 0, atol=1e-6)
    assert jnp.all(jnp.abs(jax.grad(loss)(jnp.full(D, -0.1))) > 1e-3)


def test_top_k_of_all_units_is_a_relu_and_shrinks_nothing(params):
    codes = np.maximum(pre_activations(params), 0)
    family = top_k(D, F, k=F)
    np.testing.assert_allclose(codes_of(family, params), codes, atol=1e-5)
    np.testing.assert_allclose(loss_of(family, params)[0], squared_error(params, codes), rtol=1e-5)


def test_top_k_keeps_the_largest(params):
    values = pre_activations(params)
    kept = values >= np.sort(values, axis=1)[:, [-3]]
    codes = np.where(kept, np.maximum(values, 0), 0)
    np.testing.assert_allclose(codes_of(top_k(D, F, k=3), params), codes, atol=1e-5)


def test_dead_units_reconstruct_the_residual_without_the_bias(params):
    """By hand, for two dead units of which one is used; the residual is a constant, which others do not learn from."""
    family = top_k(D, F, k=3, auxiliary_weight=1 / 32, auxiliary_k=1, dead_after=100)
    given = {**params, "state": {"silent": jnp.zeros(F, jnp.int32).at[jnp.array([4, 7])].set(100)}}
    values = pre_activations(params)
    codes = np.where(values >= np.sort(values, axis=1)[:, [-3]], np.maximum(values, 0), 0)
    kernel, bias = (np.asarray(params["decoder"][n], np.float64) for n in ("kernel", "bias"))
    residual = np.asarray(X) - codes @ kernel - bias
    of_dead = np.maximum(values[:, [4, 7]], 0)
    of_dead = np.where(of_dead == of_dead.max(axis=1, keepdims=True), of_dead, 0)
    auxiliary = np.mean(np.sum((residual - of_dead @ kernel[[4, 7]]) ** 2, axis=1))
    loss, metrics = loss_of(family, given)
    np.testing.assert_allclose(metrics["auxiliary"], auxiliary, rtol=1e-5)
    np.testing.assert_allclose(loss, squared_error(params, codes) + auxiliary / 32, rtol=1e-5)
    np.testing.assert_allclose(metrics["dead_fraction"], 2 / F)

    def gradient(weight):
        only = top_k(D, F, k=3, auxiliary_weight=weight, auxiliary_k=1, dead_after=100)
        loss = jax.jit(jax.grad(lambda decoder: only.loss({**given, "decoder": decoder}, KEY, X)[0]))
        return jax.device_get(loss(params["decoder"]))

    with_auxiliary, without = gradient(1.0), gradient(0.0)
    others = np.delete(np.arange(F), [4, 7])
    np.testing.assert_array_equal(with_auxiliary["kernel"][others], without["kernel"][others])
    assert np.any(with_auxiliary["kernel"][[4, 7]] != without["kernel"][[4, 7]])


def test_of_one_example_batch_top_k_is_top_k(params):
    one = X[:1]
    loss, metrics = loss_of(batch_top_k(D, F, k=3), params, one)
    expected, _ = loss_of(top_k(D, F, k=3), params, one)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    assert metrics["l0"] == 3


def test_a_threshold_between_two_activations_selects_what_the_batch_selects(params):
    values = np.maximum(pre_activations(params), 0)
    ordered = np.sort(values.reshape(-1))[::-1]
    number = int(2.6 * B)  # a fraction of a unit per example
    threshold = (ordered[number - 1] + ordered[number]) / 2
    given = {**params, "state": {**params["state"], "threshold": jnp.asarray(threshold, jnp.float32)}}
    family = batch_top_k(D, F, k=2.6)
    codes = codes_of(family, given)
    assert np.count_nonzero(codes) == number
    np.testing.assert_allclose(loss_of(family, given)[0], squared_error(params, np.asarray(codes)), rtol=1e-5)
    metrics = loss_of(family, given)[1]
    np.testing.assert_allclose(metrics["l0_at_use"], number / B, rtol=1e-6)
    np.testing.assert_allclose(metrics["threshold"], ordered[number - 1], rtol=1e-5)


def test_the_threshold_is_the_mean_of_those_of_the_first_batches(params):
    family = batch_top_k(D, F, k=2)
    given = family.init(KEY, X[0])
    rates = jnp.ones(F)
    statistics = {"firing_rate": rates, "examples": jnp.asarray(B)}
    update = jax.jit(family.update)
    for smallest in (1.0, 2.0, 0.0, 6.0):  # of the third batch nothing was kept
        given = update(given, {**statistics, "smallest_kept": jnp.asarray(smallest)})
    np.testing.assert_allclose(given["state"]["threshold"], 3.0, rtol=1e-6)
    given["state"]["batches"] = jnp.asarray(100)
    given = update(given, {**statistics, "smallest_kept": jnp.asarray(103.0)})
    np.testing.assert_allclose(given["state"]["threshold"], 4.0, rtol=1e-6)


@pytest.mark.parametrize("make", [top_k, batch_top_k])
def test_k_falls_linearly(make, params):
    family = make(D, F, k=2, first_k=6, annealing_steps=10)
    given = {**params, "encoder": {**params["encoder"], "bias": jnp.full(F, 9.0)}}  # all are positive
    loss = jax.jit(family.loss)
    found = [loss(given, KEY, as_batch(X)._replace(step=jnp.asarray(step)))[1]["l0"] for step in (0, 5, 10, 1000)]
    assert found == [6, 4, 2, 2]


def test_jump_relu_without_thresholds_is_a_relu(params):
    given = {**params, "thresholds": jnp.zeros(F)}
    family = jump_relu(D, F, weight=0.1)
    codes = np.maximum(pre_activations(params), 0)
    np.testing.assert_allclose(codes_of(family, given), codes, atol=1e-5)
    loss, metrics = loss_of(family, given)
    np.testing.assert_allclose(metrics["sparsity"], metrics["l0"])
    np.testing.assert_allclose(loss, squared_error(params, codes) + 0.1 * metrics["l0"], rtol=1e-5)


def test_mean_pseudo_derivatives_are_those_of_the_means():
    """For π ~ N(0, 1): d E[H(π - θ)]/dθ = -p(θ), d E[π H(π - θ)]/dθ = -θ p(θ), up to the bandwidth: 5 sigma."""
    number, theta, bandwidth = 400_000, 0.7, 0.2
    values = jax.random.normal(KEY, (number,))
    probability = float(
        jax.scipy.stats.norm.cdf(theta + bandwidth / 2) - jax.scipy.stats.norm.cdf(theta - bandwidth / 2)
    )
    sigma = np.sqrt(probability * (1 - probability) / number) / bandwidth
    thresholds = jnp.full(number, theta)

    def mean(function):
        return lambda offset: jnp.mean(function(values, thresholds + offset, bandwidth))

    of_step, of_jump = (jax.grad(mean(function))(jnp.zeros(())) for function in (step, jump))
    np.testing.assert_allclose(of_step, -probability / bandwidth, atol=5 * sigma)
    np.testing.assert_allclose(of_jump, -theta * probability / bandwidth, atol=5 * theta * sigma)
    np.testing.assert_allclose(of_step, -jax.scipy.stats.norm.pdf(theta), atol=0.01)  # the bandwidth's bias is 0.001


def test_the_kernel_has_two_sides():
    """π below θ counts too: peers that pass what is cut already find half of it."""
    below, above = (jax.grad(lambda t, x=x: jump(jnp.asarray(x), t, 0.5))(jnp.asarray(1.0)) for x in (0.9, 1.1))
    assert below == above == -2.0
    assert jax.grad(lambda x: jump(x, jnp.asarray(1.0), 0.5))(jnp.asarray(0.9)) == 0
    assert jax.grad(lambda x: jump(x, jnp.asarray(1.0), 0.5, to_all=True))(jnp.asarray(0.9)) == 2.0
    assert jax.grad(lambda x: jump(x, jnp.asarray(1.0), 0.5, to_all=True))(jnp.asarray(1.1)) == 3.0


def test_the_penalty_by_tanh_is_the_formula(params):
    family = FAMILIES["jump_relu by tanh"](D, F)
    values = pre_activations(params)
    norms = norms_of(params)
    codes = np.where(values > 0.2, values, 0)
    sparsity = np.mean(np.sum(np.tanh(4 * codes * norms), axis=1))
    below = np.mean(np.maximum(0.2 - values, 0) @ norms)
    loss, metrics = loss_of(family, params)
    np.testing.assert_allclose(metrics["sparsity"], sparsity, rtol=1e-5)
    np.testing.assert_allclose(metrics["pre_activation_penalty"], below, rtol=1e-5)
    np.testing.assert_allclose(loss, squared_error(params, codes) + 0.1 * sparsity + 3e-6 * below, rtol=1e-5)


def test_thresholds_stay_at_least_zero_and_move(params):
    family = FAMILIES["jump_relu"](D, F)
    gradient = jax.grad(lambda thresholds: family.loss({**params, "thresholds": thresholds}, KEY, X)[0])
    assert np.any(gradient(params["thresholds"]) != 0)
    given = {**params, "thresholds": jnp.full(F, -0.1)}
    updated = family.update(given, {"firing_rate": jnp.ones(F), "examples": jnp.asarray(B)})
    assert updated["thresholds"].tolist() == [0.0] * F


def test_gated_is_the_formula(params):
    family = gated(D, F, weight=0.1)
    gates = pre_activations(params)
    strength = (gates - np.asarray(params["encoder"]["bias"])) * np.exp(0.3) + 0.1
    codes = np.where(gates > 0, np.maximum(strength, 0), 0)
    np.testing.assert_allclose(codes_of(family, params), codes, atol=1e-4)
    penalty = np.mean(np.maximum(gates, 0) @ norms_of(params))
    auxiliary = squared_error(params, np.maximum(gates, 0))
    loss, metrics = loss_of(family, params)
    np.testing.assert_allclose(loss, squared_error(params, codes) + 0.1 * penalty + auxiliary, rtol=1e-5)
    np.testing.assert_allclose(metrics["auxiliary"], auxiliary, rtol=1e-5)


def test_an_equal_gate_and_magnitude_is_a_relu(params):
    magnitude = {"log_scale": jnp.zeros(F), "bias": params["encoder"]["bias"]}
    codes = codes_of(gated(D, F, weight=0.1), {**params, "magnitude": magnitude})
    np.testing.assert_allclose(codes, np.maximum(pre_activations(params), 0), atol=1e-5)


@pytest.mark.parametrize("unit_norm", [False, True])
def test_the_decoder_does_not_learn_from_the_gate(params, unit_norm):
    """Its gradient is that of the squared error alone, without the radial part where norms are kept at 1."""
    family = gated(*dictionary(D, F, unit_norm=unit_norm), weight=0.7)
    rows = np.asarray(params["decoder"]["kernel"]) / norms_of(params)[:, None].astype(np.float32)
    decoder = {"kernel": rows, "bias": np.asarray(params["decoder"]["bias"])}

    @jax.jit
    @jax.grad
    def gradient_of(kernel):
        return family.loss({**params, "decoder": {**decoder, "kernel": kernel}}, KEY, X)[0]

    codes, gradient = codes_of(family, {**params, "decoder": decoder}), gradient_of(rows)
    plain = -2 * codes.T @ (X - codes @ rows - decoder["bias"]) / B
    radial = np.sum(plain * rows, axis=1, keepdims=True) * rows if unit_norm else 0
    np.testing.assert_allclose(gradient, plain - radial, atol=1e-4)


def test_matryoshka_of_one_level_is_batch_top_k(params):
    loss, metrics = loss_of(matryoshka(D, F, k=3, prefixes=()), params)
    expected, others = loss_of(batch_top_k(D, F, k=3), params)
    assert loss == expected
    assert metrics["prefixes"] == 0
    assert metrics["l0"] == others["l0"] == 3


def test_prefixes_reconstruct_alone(params):
    family = matryoshka(D, F, k=3, prefixes=(2, 8), prefix_weights=(0.5, 2.0))
    values = np.maximum(pre_activations(params), 0)
    codes = np.where(values >= np.sort(values.reshape(-1))[-3 * B], values, 0)
    first, second = (squared_error(params, np.where(np.arange(F) < m, codes, 0)) for m in (2, 8))
    loss, metrics = loss_of(family, params)
    np.testing.assert_allclose(metrics["prefixes"], 0.5 * first + 2 * second, rtol=1e-5)
    np.testing.assert_allclose(loss, squared_error(params, codes) + 0.5 * first + 2 * second, rtol=1e-5)


@pytest.mark.slow
def test_a_transcoder_reconstructs_another_array():
    """It starts at the target's mean, since its directions start at 0."""
    target = X[:, :4] + 3
    center = np.mean(target, axis=0)
    family = top_k(*dictionary(D, F, outputs=4, center=center, start_norm=0), k=3)
    params = family.init(KEY, target[0])
    loss, _ = family.loss(params, KEY, Examples(target, X))
    np.testing.assert_allclose(loss, np.mean(np.sum((target - center) ** 2, axis=1)), rtol=1e-5)
    assert family.encode(params, X[0]).shape == (F,)
    assert family.decode(params, family.encode(params, X[0])).shape == (4,)


def test_a_tied_start(params):
    made = top_k(*dictionary(D, F, start_norm=0.1, center=jnp.arange(6.0)), k=3).init(KEY, X[0])
    np.testing.assert_array_equal(made["encoder"]["kernel"], made["decoder"]["kernel"].T)
    np.testing.assert_allclose(jnp.linalg.norm(made["decoder"]["kernel"], axis=1), 0.1, rtol=1e-5)
    assert made["decoder"]["bias"].tolist() == [0, 1, 2, 3, 4, 5]
    assert not made["encoder"]["bias"].any()


@pytest.mark.slow
def test_half_precision_is_of_the_products_alone(params):
    family = batch_top_k(*dictionary(D, F, dtype="bfloat16"), k=3)
    loss, metrics = loss_of(family, params)
    expected, _ = loss_of(batch_top_k(D, F, k=3), params)
    np.testing.assert_allclose(loss, expected, rtol=0.05)
    assert loss.dtype == metrics["statistics"]["smallest_kept"].dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(family.init(KEY, X[0]))} == {
        jnp.dtype("float32"),
        jnp.dtype("int32"),
    }


def test_wrappers_compose():
    family = sparse(top_k(D, F, k=3), weight=0.1)
    _, metrics = family.loss(family.init(KEY, X[0]), KEY, X)
    assert "statistics" in metrics
    assert family.update is not None
    assert part_names(family.parts) == ("top_k", "sparse")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: top_k(D, F, k=0), "k must be at least 1, got 0"),
        (lambda: top_k(D, F, k=2, first_k=1, annealing_steps=5), "first_k must be at least 2"),
        (lambda: top_k(D, F, k=2, first_k=3), "first_k expects annealing_steps"),
        (lambda: batch_top_k(D, F, k=0.0), "k must be positive"),
        (lambda: l1_dictionary(D, F, weight=-1.0), "weight must be at least 0"),
        (lambda: jump_relu(D, F, weight=0.1, start_threshold=-1.0), "start_threshold must be at least 0"),
        (lambda: jump_relu(D, F, weight=0.1, bandwidth=0.0), "bandwidth must be positive"),
        (lambda: jump_relu(D, F, weight=0.1, penalty="l2"), "penalty must be 'l0' or 'tanh', got 'l2'"),
        (lambda: matryoshka(D, F, k=2, prefixes=(8, 2)), "prefixes must be ascending"),
        (lambda: matryoshka(D, F, k=2, prefixes=(2,), prefix_weights=(1, 2)), "prefix_weights must hold one number"),
        (lambda: dictionary(D, F, center=[0.0]), "center must hold 6 numbers"),
        (lambda: dictionary(D, F, unit_norm=True, start_norm=0.1), "unit_norm keeps norm 1"),
    ],
)
def test_bad_knobs(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (top_k(D, F, k=F + 1), "k must be at most the 16 units, got 17"),
        (batch_top_k(D, F, k=F + 0.5), "k must be at most the 16 units, got 16.5"),
        (matryoshka(D, F, k=2, prefixes=(F,)), "prefixes must be below the 16 units, got 16"),
    ],
)
def test_more_than_there_are_units(family, message):
    with pytest.raises(ValueError, match=message):
        family.loss(family.init(KEY, X[0]), KEY, X)


def test_a_product_with_a_center_has_the_derivatives_of_its_formula():
    """To the second order, in both modes, also where the center is shared by a batch."""
    keys = jax.random.split(jax.random.key(3), 3)
    x, center, kernel = (jax.random.normal(key, shape) for key, shape in zip(keys, ((4, D), (D,), (D, F)), strict=True))

    def own(x, center, kernel):
        return jnp.sum(jnp.sin(jax.vmap(lambda one: centered_product(one, center, kernel, "float32"))(x)))

    def formula(x, center, kernel):
        return jnp.sum(jnp.sin((x - center[None]) @ kernel))

    for places in ((0, 1, 2), (1,), (0,), (2,), (1, 2)):
        for derivative in (jax.grad, jax.jacfwd, lambda f, places: jax.jacfwd(jax.grad(f, places), places)):
            expected = derivative(formula, places)(x, center, kernel)
            chex.assert_trees_all_close(derivative(own, places)(x, center, kernel), expected, rtol=1e-4, atol=1e-4)


def products_of(jaxpr):
    """The numbers of multiplications of all matrix products."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            axes = equation.params["dimension_numbers"][0][0]
            shape = equation.invars[0].aval.shape
            yield equation.outvars[0].aval.size * math.prod(shape[axis] for axis in axes)
        for body in jaxprs_in_params(equation.params):
            yield from products_of(body)


def test_the_gradient_of_the_center_needs_no_product_of_all_examples():
    """Five of a batch remain: codes, outputs, and the gradients of the two kernels and of the codes."""
    family = top_k(D, F, k=2, auxiliary_weight=0)
    params = family.init(KEY, X[0])
    state = params.pop("state")
    closed = jax.make_jaxpr(jax.grad(lambda trained: family.loss({**trained, "state": state}, KEY, X)[0]))(params)
    assert list(products_of(closed.jaxpr)).count(B * D * F) == 5

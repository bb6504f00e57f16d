"""Likelihoods: log-probabilities against SciPy, means, samples, what they refuse."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import integrate, special, stats

from aejax.errors import UserError
from aejax.likelihoods import (
    bernoulli,
    beta,
    categorical,
    check_support,
    continuous_bernoulli,
    gaussian,
    gaussian_with_predicted_variance,
    laplace,
    parameter_shape,
    poisson,
)
from aejax.networks import MLP, with_global_log_variance

N = 20_000
# three features x in the interior of the support, and parameters for them
PAIRS = [[-2.0, 0.5], [0.0, 0.0], [1.5, -1.0]]
CASES = {
    "bernoulli": (bernoulli(), [0.0, 0.3, 1.0], [-2.0, 0.0, 3.0]),
    "continuous_bernoulli": (continuous_bernoulli(), [0.1, 0.3, 0.8], [-2.0, 0.0, 3.0]),
    "gaussian": (gaussian(variance=0.5), [0.0, 0.3, 1.0], [-2.0, 0.0, 3.0]),
    "gaussian_with_predicted_variance": (gaussian_with_predicted_variance(), [0.0, 0.3, 1.0], PAIRS),
    "laplace": (laplace(scale=0.5), [0.0, 0.3, 1.0], [-2.0, 0.0, 3.0]),
    "categorical": (categorical(classes=4), [0.0, 3.0, 1.0], [[-2.0, 0.0, 0.5, 1.0], [0.0] * 4, [3.0, 1.0, 2.0, 0.0]]),
    "poisson": (poisson(), [0.0, 3.0, 1.0], [-2.0, 0.0, 3.0]),
    "beta": (beta(), [0.1, 0.3, 0.8], PAIRS),
}
every_likelihood = pytest.mark.parametrize(("likelihood", "x", "parameters"), CASES.values(), ids=CASES.keys())


def test_numbers_by_hand():
    log_prob = bernoulli().log_prob(jnp.array([1.0, 0.0]), jnp.array([0.0, math.log(3)]))
    np.testing.assert_allclose(log_prob, -3 * math.log(2), rtol=1e-6)
    log_prob = gaussian(variance=4.0).log_prob(jnp.array([3.0]), jnp.array([1.0]))
    np.testing.assert_allclose(log_prob, -0.5 - 0.5 * math.log(8 * math.pi), rtol=1e-6)


def scipy_log_prob(name, x, parameters):
    """The same by SciPy, before the sum over features."""
    first, second = (parameters[..., 0], parameters[..., 1]) if parameters.ndim > x.ndim else (parameters, None)
    if name == "continuous_bernoulli":  # an exponential distribution cut at 1, from the likely end
        rate = np.where(first == 0, 1, np.abs(first))
        cut = stats.truncexpon.logpdf(np.where(first < 0, x, 1 - x), rate, scale=1 / rate)
        return np.where(first == 0, 0, cut)
    return {
        "bernoulli": lambda: stats.bernoulli.logpmf(x, special.expit(first)),
        "gaussian": lambda: stats.norm.logpdf(x, first, math.sqrt(0.5)),
        "gaussian_with_predicted_variance": lambda: stats.norm.logpdf(x, first, np.exp(0.5 * second)),
        "laplace": lambda: stats.laplace.logpdf(x, first, 0.5),
        "categorical": lambda: stats.multinomial.logpmf(
            np.eye(4)[x.astype(int)], 1, special.softmax(parameters, axis=-1)
        ),
        "poisson": lambda: stats.poisson.logpmf(x, np.exp(first)),
        "beta": lambda: stats.beta.logpdf(x, np.exp(first), np.exp(second)),
    }[name]()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shape", [(), (7,), (4, 3, 2)])
def test_log_probabilities_equal_scipy(name, shape, float64):
    rng, likelihood = np.random.default_rng(0), CASES[name][0]
    x = {"bernoulli": rng.integers(0, 2, shape), "categorical": rng.integers(0, 4, shape)}.get(name)
    x = rng.poisson(3, shape) if name == "poisson" else rng.uniform(size=shape) if x is None else x
    x, parameters = np.asarray(x, float), 2 * rng.standard_normal(parameter_shape(likelihood, shape))
    log_prob = likelihood.log_prob(jnp.array(x), jnp.array(parameters))
    assert log_prob.shape == ()
    np.testing.assert_allclose(log_prob, scipy_log_prob(name, x, parameters).sum(), rtol=1e-10)


def test_probabilities_sum_to_one(float64):
    logits, every_x = jnp.array([-2.0, 0.0, 5.0]), jnp.array(list(itertools.product((0.0, 1.0), repeat=3)))
    total = jnp.sum(jnp.exp(jax.vmap(bernoulli().log_prob, in_axes=(0, None))(every_x, logits)))
    np.testing.assert_allclose(total, 1, rtol=1e-14)
    likelihood = gaussian(variance=0.3)
    density = jax.jit(lambda x: jnp.exp(likelihood.log_prob(x, jnp.array(0.7))))
    np.testing.assert_allclose(integrate.quad(density, -6, 8)[0], 1, rtol=1e-9)


LOGITS = (-40.0, -1.5, -1.0, -0.999999, -0.3, -1e-3, -1e-9, 0.0, 1e-5, 0.5, 1.0, 3.0, 30.0)


def test_continuous_bernoulli_has_the_moments_of_quadrature(float64):
    nodes, weights = np.polynomial.legendre.leggauss(100)
    nodes, weights = (nodes + 1) / 2, weights / 2
    likelihood, logits = continuous_bernoulli(), jnp.array(LOGITS)
    log_prob = jax.jit(jax.vmap(jax.vmap(likelihood.log_prob, (0, None)), (None, 0)))(jnp.array(nodes), logits)
    density = np.exp(log_prob)
    mean = density @ (weights * nodes)
    variance = density @ (weights * nodes**2) - mean**2
    np.testing.assert_allclose(density @ weights, 1, rtol=1e-12)
    np.testing.assert_allclose(likelihood.mean(logits), mean, rtol=1e-11)
    # an exponential family: the derivatives of log p by the logit are x - E[x] and -Var[x], of the mean Var[x]
    at = jnp.array(0.25)
    by_logit = jax.grad(lambda logit: likelihood.log_prob(at, logit))
    slope, curvature = (jax.jit(jax.vmap(function))(logits) for function in (by_logit, jax.grad(by_logit)))
    np.testing.assert_allclose(slope, 0.25 - mean, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(curvature, -variance, rtol=1e-9)
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(likelihood.mean)))(logits), variance, rtol=1e-9)


def test_continuous_bernoulli_is_accurate_in_single_precision():
    likelihood, logits, one = continuous_bernoulli(), np.array([*LOGITS, -1e4, 1e4]), np.ones(())
    both = jax.jit(lambda one, logits: (jax.vmap(likelihood.log_prob, (None, 0))(one, logits), likelihood.mean(logits)))
    log_prob, mean = both(one.astype(np.float32), logits.astype(np.float32))
    with jax.enable_x64(True):
        expected_log_prob, expected_mean = map(np.asarray, both(one, logits.astype(np.float32).astype(np.float64)))
    assert (log_prob.dtype, expected_log_prob.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(log_prob, expected_log_prob, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(mean, expected_mean, rtol=2e-6)


@every_likelihood
def test_derivatives_equal_finite_differences(likelihood, x, parameters, float64, without_type_checks):
    x, parameters = jnp.array(x), jnp.array(parameters)
    by_parameters = jax.jit(lambda parameters: likelihood.log_prob(x, parameters))
    check_grads(by_parameters, (parameters,), order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)
    if not likelihood.support.integers:
        by_x = jax.jit(lambda x: likelihood.log_prob(x, parameters))
        interior = jnp.array([0.2, 0.3, 0.9])
        check_grads(by_x, (interior,), order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["bernoulli", "continuous_bernoulli", "gaussian", "laplace", "categorical"])
def test_value_and_derivatives_are_finite_at_extremes(name):
    likelihood = CASES[name][0]

    @jax.jit
    def evaluate(x, parameters):
        value, gradient = jax.value_and_grad(likelihood.log_prob, argnums=1)(x, parameters)
        curvature = jax.hessian(likelihood.log_prob, argnums=1)(x, parameters)
        return value, gradient, curvature, jax.jvp(likelihood.mean, (parameters,), (jnp.ones_like(parameters),))

    for x, parameter in itertools.product((0.0, 1.0), (-1e4, 0.0, 1e4)):
        parameters = np.zeros(parameter_shape(likelihood, (2,)), np.float32)
        parameters.flat[1] = parameter  # where there are classes, one of them
        for array in jax.tree.leaves(evaluate(jnp.full(2, x), jnp.array(parameters))):
            assert np.all(np.isfinite(array))


@pytest.mark.parametrize("parameter", [-60.0, 60.0])
@pytest.mark.parametrize("name", ["poisson", "gaussian_with_predicted_variance"])
def test_value_and_gradient_are_finite_at_large_log_rates_and_log_variances(name, parameter):
    likelihood = CASES[name][0]
    parameters = jnp.full(parameter_shape(likelihood, (2,)), parameter)
    value, gradient = jax.jit(jax.value_and_grad(likelihood.log_prob, argnums=1))(jnp.ones(2), parameters)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("parameter", [-5.0, 5.0])
def test_beta_is_finite_at_the_ends_of_single_precision(parameter):
    x = jnp.array([1e-30, 1 - 6e-8])
    value, gradient = jax.jit(jax.value_and_grad(beta().log_prob, argnums=1))(x, jnp.full((2, 2), parameter))
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_means_are_in_data_space():
    parameters = jnp.array([-2.0, 0.0, 5.0])
    np.testing.assert_allclose(bernoulli().mean(parameters), special.expit(parameters), rtol=1e-6)
    np.testing.assert_array_equal(gaussian(variance=3.0).mean(parameters), parameters)
    np.testing.assert_array_equal(laplace().mean(parameters), parameters)
    np.testing.assert_allclose(poisson().mean(parameters), np.exp(parameters), rtol=1e-6)
    np.testing.assert_allclose(categorical(classes=3).mean(parameters), special.softmax(parameters), rtol=1e-6)
    pairs = jnp.array(PAIRS)
    np.testing.assert_array_equal(gaussian_with_predicted_variance().mean(pairs), pairs[:, 0])
    alpha, b = np.exp(PAIRS).T
    np.testing.assert_allclose(beta().mean(pairs), alpha / (alpha + b), rtol=1e-6)


@every_likelihood
def test_supports_and_shapes_of_parameters(likelihood, x, parameters):
    check_support(likelihood, np.array(x), "data")
    assert parameter_shape(likelihood, np.shape(x)) == np.shape(parameters)


@pytest.mark.parametrize(
    ("likelihood", "value", "message"),
    [
        (bernoulli(), -0.5, r"pixels: bernoulli wants values in \[0, 1\], and they reach from -0.5 to 0.5"),
        (continuous_bernoulli(), 1.5, r"continuous_bernoulli wants values in \[0, 1\], and they reach from 0.5 to 1.5"),
        (beta(), 1.0, r"beta wants values in \(0, 1\), and they reach from 0.5 to 1; scale them"),
        (beta(), 0.0, r"beta wants values in \(0, 1\), and they reach from 0 to 0.5"),
        (poisson(), 2.0, "poisson wants whole numbers, and there are fractions such as 0.5"),
        (categorical(classes=3), 3.0, r"categorical\(classes=3\) wants values in \[0, 2\]"),
        (gaussian(), math.nan, "gaussian wants finite values, and they reach from nan to nan"),
    ],
)
def test_data_outside_the_support_are_refused(likelihood, value, message):
    with pytest.raises(UserError, match=message):
        check_support(likelihood, np.array([[0.5], [value]]), "pixels")


def test_bernoulli_samples_are_bits_with_that_probability():
    logits = jnp.array([-3.0, 0.0, 1.0])
    x = np.asarray(bernoulli().sample(jax.random.key(0), jnp.broadcast_to(logits, (N, 3))))
    assert x.dtype == np.float32
    assert set(np.unique(x)) == {0, 1}
    probability = special.expit(logits)
    assert np.all(np.abs(x.mean(axis=0) - probability) < 5 * np.sqrt(probability * (1 - probability) / N))


def test_gaussian_samples_have_that_mean_and_variance():
    x = np.asarray(gaussian(variance=0.25).sample(jax.random.key(0), jnp.full(N, 2.0)), np.float64)
    assert abs(x.mean() - 2) < 5 * 0.5 / np.sqrt(N)
    assert abs(x.var() - 0.25) < 5 * 0.25 * np.sqrt(2 / N)


@every_likelihood
def test_samples_have_the_mean_and_lie_in_the_support(likelihood, x, parameters):
    parameters = jnp.array(parameters)
    drawn = jax.jit(likelihood.sample)(jax.random.key(0), jnp.broadcast_to(parameters, (N, *parameters.shape)))
    drawn, mean = np.asarray(drawn, np.float64), np.asarray(likelihood.mean(parameters), np.float64)
    assert drawn.shape == (N, 3)
    check_support(likelihood, drawn, "samples")
    if mean.shape == (3, 4):  # of one-hot vectors
        drawn = np.eye(4)[drawn.astype(int)]
    assert np.all(np.abs(drawn.mean(axis=0) - mean) < 5 * drawn.std(axis=0) / np.sqrt(N))


@pytest.mark.parametrize(
    ("name", "parameter", "cdf"),
    [
        ("laplace", [0.4], stats.laplace(0.4, 0.5).cdf),
        ("gaussian_with_predicted_variance", [[0.4, 1.0]], stats.norm(0.4, math.exp(0.5)).cdf),
        ("beta", [[0.4, 1.0]], stats.beta(math.exp(0.4), math.exp(1)).cdf),
        ("continuous_bernoulli", [0.0], stats.uniform.cdf),
        ("continuous_bernoulli", [-5.0], stats.truncexpon(5, scale=1 / 5).cdf),
        ("continuous_bernoulli", [5.0], lambda x: 1 - stats.truncexpon(5, scale=1 / 5).cdf(1 - x)),
    ],
)
def test_samples_have_the_distribution(name, parameter, cdf):
    parameters = jnp.array(parameter)
    x = jax.jit(CASES[name][0].sample)(jax.random.key(0), jnp.broadcast_to(parameters, (N, *parameters.shape)))
    assert stats.kstest(np.asarray(x, np.float64).ravel(), cdf).pvalue > 1e-4


@pytest.mark.parametrize("logit", [-1e4, -1e-3, 0.0, 1e-9, 1e-3, 1e4])
def test_continuous_bernoulli_samples_are_finite_at_extremes_as_are_their_gradients(logit):
    logits = jnp.full(1000, logit)
    x, slope = jax.jvp(
        lambda logits: continuous_bernoulli().sample(jax.random.key(0), logits), (logits,), (0 * logits + 1,)
    )
    assert np.all((x >= 0) & (x <= 1))
    assert np.all(np.isfinite(slope))
    if abs(logit) < 1:  # dx/dl = x (1 - x) / 2 there
        np.testing.assert_allclose(slope, x * (1 - x) / 2, atol=1e-3)
    else:
        np.testing.assert_allclose(np.mean(x), continuous_bernoulli().mean(jnp.array(logit)), atol=1e-3)


def test_categorical_takes_integers_floats_and_one_hot_vectors():
    likelihood, logits = categorical(classes=4), jnp.array(CASES["categorical"][2])
    classes = jnp.array([0, 3, 1])
    expected = likelihood.log_prob(classes, logits)
    for x in (classes.astype(jnp.float32), jax.nn.one_hot(classes, 4), jax.nn.one_hot(classes, 4, dtype=int)):
        np.testing.assert_allclose(likelihood.log_prob(x, logits), expected, rtol=1e-6)
    for wrong in (-1.0, 0.5, 4.0):
        assert np.isnan(likelihood.log_prob(jnp.array([0.0, wrong, 1.0]), logits))


def test_poisson_takes_integers():
    assert poisson().log_prob(jnp.array([3]), jnp.ones(1)) == poisson().log_prob(jnp.array([3.0]), jnp.ones(1))


@every_likelihood
def test_samples_follow_the_key_and_keep_shape_and_dtype(likelihood, x, parameters):
    parameters = jnp.zeros(parameter_shape(likelihood, (8, 8, 1)), jnp.bfloat16)
    one, same, other = (likelihood.sample(jax.random.key(seed), parameters) for seed in (0, 0, 1))
    assert (one.shape, one.dtype) == ((8, 8, 1), parameters.dtype)
    np.testing.assert_array_equal(one, same)
    assert np.any(one != other)


@every_likelihood
def test_same_with_and_without_jit_and_vmap(likelihood, x, parameters):
    x, parameters = jnp.array([x, x[::-1]]), jnp.array([parameters, parameters])
    loop = jnp.stack([likelihood.log_prob(*pair) for pair in zip(x, parameters, strict=True)])
    np.testing.assert_allclose(jax.vmap(likelihood.log_prob)(x, parameters), loop, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(likelihood.log_prob)(x[0], parameters[0]), loop[0], rtol=1e-6)


@every_likelihood
def test_refuses_shapes_that_differ_and_integers(likelihood, x, parameters, without_type_checks):
    shape = parameter_shape(likelihood, (8, 1))
    for wrong in ((8,), (1, 1), (1, 8), (8, 2)):
        with pytest.raises(ValueError, match="shape"):
            likelihood.log_prob(jnp.zeros(wrong), jnp.zeros(shape))
    with pytest.raises(TypeError, match="must be a floating-point array"):
        likelihood.log_prob(jnp.zeros((8, 1), jnp.int32), jnp.zeros(shape, jnp.int32))


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_refuses_a_variance_or_a_scale_that_is_none(value):
    with pytest.raises(ValueError, match="variance must be positive and finite"):
        gaussian(variance=value)
    with pytest.raises(ValueError, match="scale must be positive and finite"):
        laplace(scale=value)


def test_categorical_refuses_a_number_of_classes_that_is_no_integer(without_type_checks):
    with pytest.raises(TypeError, match=r"classes must be an integer, got 2\.5"):
        categorical(classes=2.5)


@pytest.mark.parametrize("classes", [1, 0, -3])
def test_categorical_refuses_fewer_than_two_classes(classes):
    with pytest.raises(ValueError, match="classes must be at least 2"):
        categorical(classes=classes)
    with pytest.raises(ValueError, match="must have a last axis of 4 classes"):
        categorical(classes=4).log_prob(jnp.zeros(2), jnp.zeros((2, 3)))


def test_a_gain_moves_a_global_log_variance_faster_from_the_same_start():
    network = with_global_log_variance(MLP(output_shape=(4,)), initial=-2.0, gain=10.0)
    params = network.init(jax.random.key(0), jnp.ones(2))
    moved = {**params, "log_variance": params["log_variance"] + 0.001}

    np.testing.assert_allclose(network.apply(params, jnp.ones(2))[..., 1], -2.0, rtol=1e-6)
    np.testing.assert_allclose(network.apply(moved, jnp.ones(2))[..., 1], -1.99, rtol=1e-6)


@pytest.mark.parametrize(("knobs", "message"), [({"initial": float("nan")}, "initial"), ({"gain": 0.0}, "gain")])
def test_a_global_log_variance_that_cannot_be_is_refused(knobs, message):
    with pytest.raises(ValueError, match=message):
        with_global_log_variance(MLP(output_shape=(4,)), **knobs)


def test_a_global_log_variance_is_one_parameter_whose_best_value_is_the_variance():
    decoder = MLP(output_shape=(4, 3))
    network, likelihood = with_global_log_variance(decoder, initial=0.5), gaussian_with_predicted_variance()
    code, x = jnp.ones(2), jax.random.normal(jax.random.key(1), (4, 3))
    params = network.init(jax.random.key(0), code)
    mean, log_variance = jnp.moveaxis(network.apply(params, code), -1, 0)
    np.testing.assert_array_equal(mean, decoder.apply(params["decoder"], code))
    np.testing.assert_array_equal(log_variance, np.full((4, 3), 0.5))
    gradient = jax.grad(lambda params: likelihood.log_prob(x, network.apply(params, code)))
    # d log p / d log σ² = ½ (‖x - μ‖²/σ² - D)
    expected = 0.5 * (np.sum((x - mean) ** 2) / math.exp(0.5) - 12)
    np.testing.assert_allclose(gradient(params)["log_variance"], expected, rtol=1e-5)
    best = {**params, "log_variance": jnp.log(jnp.mean((x - mean) ** 2))}
    np.testing.assert_allclose(gradient(best)["log_variance"], 0, atol=1e-5)

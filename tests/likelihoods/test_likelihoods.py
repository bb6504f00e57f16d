"""Likelihoods: log-probabilities against SciPy, means, samples, what they refuse."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import integrate, special, stats

from aejax.divergences import gaussian_kl
from aejax.errors import UserError
from aejax.likelihoods import (
    bernoulli,
    beta,
    categorical,
    check_support,
    continuous_bernoulli,
    discretized_logistic,
    gaussian,
    gaussian_with_predicted_variance,
    laplace,
    parameter_shape,
    poisson,
)
from aejax.networks import MLP, with_global_log_variance
from aejax.sampling import gaussian_log_prob

N = 20_000
KEY = jax.random.key(0)
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
    "discretized_logistic": (discretized_logistic(levels=5), [0.0, 0.25, 1.0], PAIRS),
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
        "discretized_logistic": lambda: discretized(x, stats.logistic(first, np.exp(second)), levels=5),
    }[name]()


def discretized(x, variable, levels):
    """The log-probability of the level x, when values of a SciPy variable are rounded to the nearest level."""
    half = 0.5 / (levels - 1)
    up_to = np.where(x == 1, 1, variable.cdf(x + half)) - np.where(x == 0, 0, variable.cdf(x - half))
    from_there = np.where(x == 0, 1, variable.sf(x - half)) - np.where(x == 1, 0, variable.sf(x + half))
    return np.log(np.where(x > variable.median(), from_there, up_to))


@pytest.mark.slow_after_first
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shape", [(), (7,), (4, 3, 2)])
def test_log_probabilities_equal_scipy(name, shape, float64):
    rng, likelihood = np.random.default_rng(0), CASES[name][0]
    x = {"bernoulli": rng.integers(0, 2, shape), "categorical": rng.integers(0, 4, shape)}.get(name)
    x = rng.integers(0, 5, shape) / 4 if name == "discretized_logistic" else x
    x = rng.poisson(3, shape) if name == "poisson" else rng.uniform(size=shape) if x is None else x
    x, parameters = np.asarray(x, float), 2 * rng.standard_normal(parameter_shape(likelihood, shape))
    log_prob = likelihood.log_prob(jnp.array(x), jnp.array(parameters))
    assert log_prob.shape == ()
    np.testing.assert_allclose(log_prob, scipy_log_prob(name, x, parameters).sum(), rtol=1e-10)


def test_probabilities_sum_to_one(float64):
    logits, every_x = jnp.array([-2.0, 0.0, 5.0]), jnp.array(list(itertools.product((0.0, 1.0), repeat=3)))
    total = jnp.sum(jnp.exp(jax.jit(jax.vmap(bernoulli().log_prob, in_axes=(0, None)))(every_x, logits)))
    np.testing.assert_allclose(total, 1, rtol=1e-14)
    likelihood = gaussian(variance=0.3)
    density = jax.jit(lambda x: jnp.exp(likelihood.log_prob(x, jnp.array(0.7))))
    np.testing.assert_allclose(integrate.quad(density, -6, 8)[0], 1, rtol=1e-9)


LOGITS = (-40.0, -1.5, -1.0, -0.999999, -0.3, -1e-3, -1e-9, 0.0, 1e-5, 0.5, 1.0, 3.0, 30.0)


@pytest.mark.slow
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


@pytest.mark.slow
@every_likelihood
def test_derivatives_equal_finite_differences(likelihood, x, parameters, float64, without_type_checks):
    x, parameters = jnp.array(x), jnp.array(parameters)
    by_parameters = jax.jit(lambda parameters: likelihood.log_prob(x, parameters))
    check_grads(by_parameters, (parameters,), order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)
    if not likelihood.support.integers:
        by_x = jax.jit(lambda x: likelihood.log_prob(x, parameters))
        interior = jnp.array([0.2, 0.3, 0.9])
        check_grads(by_x, (interior,), order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)


@pytest.mark.slow_after_first
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
        (bernoulli(), -0.5, r"pixels: bernoulli expects values in \[0, 1\], but they range from -0.5 to 0.5"),
        (
            continuous_bernoulli(),
            1.5,
            r"continuous_bernoulli expects values in \[0, 1\], but they range from 0.5",
        ),
        (beta(), 1.0, r"beta expects values in \(0, 1\), but they range from 0.5 to 1; scale them"),
        (beta(), 0.0, r"beta expects values in \(0, 1\), but they range from 0 to 0.5"),
        (
            discretized_logistic(),
            0.0,
            "discretized_logistic expects multiples of 1/255, such as bytes divided by 255, but there are other values",
        ),
        (poisson(), 2.0, "poisson expects whole numbers, but there are fractions such as 0.5"),
        (categorical(classes=3), 3.0, r"categorical\(classes=3\) expects values in \[0, 2\]"),
        (gaussian(), math.nan, r"gaussian expects finite values, but 1 of 2 are missing \(NaN\); fill them"),
        (gaussian(), -math.inf, "gaussian expects finite values, but 1 of 2 are infinite; fill them"),
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


@pytest.mark.slow_after_first
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


@pytest.mark.slow_after_first
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_categorical_takes_integers_floats_and_one_hot_vectors():
    likelihood, logits = categorical(classes=4), jnp.array(CASES["categorical"][2])
    classes = jnp.array([0, 3, 1])
    expected = likelihood.log_prob(classes, logits)
    for x in (classes.astype(jnp.float32), jax.nn.one_hot(classes, 4), jax.nn.one_hot(classes, 4, dtype=int)):
        np.testing.assert_allclose(likelihood.log_prob(x, logits), expected, rtol=1e-6)
    for wrong in (-1.0, 0.5, 4.0):
        assert np.isnan(likelihood.log_prob(jnp.array([0.0, wrong, 1.0]), logits))


@pytest.mark.slow
def test_poisson_takes_integers():
    assert poisson().log_prob(jnp.array([3]), jnp.ones(1)) == poisson().log_prob(jnp.array([3.0]), jnp.ones(1))


@pytest.mark.slow
@every_likelihood
def test_samples_follow_the_key_and_keep_shape_and_dtype(likelihood, x, parameters):
    parameters = jnp.zeros(parameter_shape(likelihood, (8, 8, 1)), jnp.bfloat16)
    one, same, other = (likelihood.sample(jax.random.key(seed), parameters) for seed in (0, 0, 1))
    assert (one.shape, one.dtype) == ((8, 8, 1), parameters.dtype)
    np.testing.assert_array_equal(one, same)
    assert np.any(one != other)


@pytest.mark.slow_after_first
@every_likelihood
def test_same_with_and_without_jit_and_vmap(likelihood, x, parameters):
    x, parameters = jnp.array([x, x[::-1]]), jnp.array([parameters, parameters])
    loop = jnp.stack([likelihood.log_prob(*pair) for pair in zip(x, parameters, strict=True)])
    np.testing.assert_allclose(jax.jit(jax.vmap(likelihood.log_prob))(x, parameters), loop, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(jax.jit(likelihood.log_prob)(x[0], parameters[0]), loop[0], rtol=1e-6, atol=1e-6)


@pytest.mark.slow_after_first
@every_likelihood
def test_refuses_shapes_that_differ_and_integers(likelihood, x, parameters, without_type_checks):
    shape = parameter_shape(likelihood, (8, 1))
    for wrong in ((8,), (1, 1), (1, 8), (8, 2)):
        with pytest.raises(ValueError, match="shape"):
            likelihood.log_prob(jnp.zeros(wrong), jnp.zeros(shape))
    with pytest.raises(TypeError, match="must be a floating-point array"):
        likelihood.log_prob(jnp.zeros((8, 1), jnp.int32), jnp.zeros(shape, jnp.int32))


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_refuses_an_invalid_variance_or_scale(value):
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
    params = jax.jit(network.init)(jax.random.key(0), jnp.ones(2))
    moved = {**params, "log_variance": params["log_variance"] + 0.001}

    np.testing.assert_allclose(network.apply(params, jnp.ones(2))[..., 1], -2.0, rtol=1e-6)
    np.testing.assert_allclose(network.apply(moved, jnp.ones(2))[..., 1], -1.99, rtol=1e-6)


@pytest.mark.parametrize(("knobs", "message"), [({"initial": float("nan")}, "initial"), ({"gain": 0.0}, "gain")])
def test_an_invalid_global_log_variance_is_refused(knobs, message):
    with pytest.raises(ValueError, match=message):
        with_global_log_variance(MLP(output_shape=(4,)), **knobs)


@pytest.mark.slow
def test_a_global_log_variance_is_one_parameter_whose_best_value_is_the_variance():
    decoder = MLP(output_shape=(4, 3))
    network, likelihood = with_global_log_variance(decoder, initial=0.5), gaussian_with_predicted_variance()
    code, x = jnp.ones(2), jax.random.normal(jax.random.key(1), (4, 3))
    params = jax.jit(network.init)(jax.random.key(0), code)
    mean, log_variance = jnp.moveaxis(network.apply(params, code), -1, 0)
    np.testing.assert_array_equal(mean, decoder.apply(params["decoder"], code))
    np.testing.assert_array_equal(log_variance, np.full((4, 3), 0.5))
    gradient = jax.grad(lambda params: likelihood.log_prob(x, network.apply(params, code)))
    # d log p / d log σ² = ½ (‖x - μ‖²/σ² - D)
    expected = 0.5 * (np.sum((x - mean) ** 2) / math.exp(0.5) - 12)
    np.testing.assert_allclose(gradient(params)["log_variance"], expected, rtol=1e-5)
    best = {**params, "log_variance": jnp.log(jnp.mean((x - mean) ** 2))}
    np.testing.assert_allclose(gradient(best)["log_variance"], 0, atol=1e-5)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "float32", "bool"])
def test_categorical_takes_classes_of_every_type(dtype):
    logits, likelihood = jnp.stack([jnp.arange(200.0)] * 2), categorical(classes=200)
    log_p = special.log_softmax(np.arange(200.0))
    for number in (1,) if dtype == "bool" else (60, 127):
        x = jnp.array(np.array([number, 1], dtype))
        np.testing.assert_allclose(likelihood.log_prob(x, logits), log_p[[number, 1]].sum(), rtol=1e-6)
    if dtype not in ("uint8", "uint32", "bool"):
        assert np.isnan(likelihood.log_prob(jnp.array(np.array([-1, 1], dtype)), logits))
    if dtype not in ("int8", "bool"):
        assert np.isnan(likelihood.log_prob(jnp.array(np.array([200, 1], dtype)), logits))


@pytest.mark.slow
def test_categorical_with_more_classes_than_half_precision_represents():
    """Samples are exact float32 numbers, as bfloat16 represents whole numbers up to 256 only."""
    logits = jnp.zeros((4000, 300), jnp.bfloat16)
    x = np.asarray(categorical(classes=300).sample(jax.random.key(0), logits))
    assert x.dtype == np.float32
    assert len(np.unique(x[x > 256])) > 35  # 43 odd and even ones, each missed once in 600,000
    assert categorical(classes=256).sample(jax.random.key(0), logits[:, :256]).dtype == jnp.bfloat16


@pytest.mark.slow
@pytest.mark.parametrize("log_rate", [5.0, 12.0, 16.0, 18.0, 20.0, 22.0, 40.0, 87.0])
def test_poisson_samples_have_mean_and_deviation_up_to_the_largest_rates(log_rate):
    """Within 5 standard errors and one step of float32, and at the largest rates they scatter by about one step."""
    x = np.asarray(poisson().sample(jax.random.key(0), jnp.full(N, log_rate)), np.float64)
    rate = float(np.exp(np.float32(log_rate)))
    step = float(np.spacing(np.float32(rate)))
    deviation = np.hypot(np.sqrt(rate), step / np.sqrt(12))
    assert abs(x.mean() - rate) < 5 * deviation / np.sqrt(N) + step
    assert abs(x.std() - np.sqrt(rate)) < 5 * deviation / np.sqrt(2 * N) + 1.1 * step
    assert x.std() > 0.9 * np.hypot(np.sqrt(rate), step)
    assert np.all(x == np.round(x))


@pytest.mark.slow
@pytest.mark.parametrize("log_rate", [11.0, 11.6, 13.0])
def test_poisson_samples_have_the_distribution_on_both_sides_of_the_normal_approximation(log_rate):
    """By a chi-square test of 50 cells of about equal probability."""
    count = 200_000
    x = np.asarray(poisson().sample(jax.random.key(1), jnp.full(count, log_rate)), np.float64)
    law = stats.poisson(float(np.exp(np.float32(log_rate))))
    edges = law.ppf(np.arange(1, 50) / 50)
    probabilities = np.diff(np.concatenate([[0], law.cdf(edges), [1]]))
    observed = np.bincount(np.searchsorted(edges, x), minlength=50)
    assert stats.chisquare(observed, count * probabilities).pvalue > 1e-4


@pytest.mark.slow
def test_poisson_of_a_rate_of_zero_and_of_no_finite_count():
    likelihood = poisson()
    value, slope = jax.jit(jax.value_and_grad(likelihood.log_prob, argnums=1))(jnp.zeros(2), jnp.full(2, -jnp.inf))
    np.testing.assert_allclose(value, 0, atol=1e-5)  # gammaln(1) is rounding
    np.testing.assert_array_equal(slope, [0, 0])
    np.testing.assert_array_equal(likelihood.sample(jax.random.key(0), jnp.full(3, -jnp.inf)), np.zeros(3))
    for wrong in (jnp.inf, jnp.nan, -1.0, 0.5):
        assert likelihood.log_prob(jnp.full(1, wrong), jnp.zeros(1)) == -jnp.inf


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-320, 1e-80, 1e-45, 1e-39, 1e-30])
@pytest.mark.parametrize("compiled", [False, True])
def test_densities_of_tiny_scales_are_no_nan(scale, compiled):
    """At the mode they equal SciPy's; elsewhere they are -∞ or the smallest number, with a gradient that is not NaN.

    Compiled, the scale is a constant that XLA multiplies with itself.
    """
    x, elsewhere = jnp.ones(2), jnp.zeros(2)
    of_gaussian, of_laplace = -math.log(2 * math.pi) - math.log(scale), -2 * (math.log(2) + math.log(scale))
    log_variance = jnp.full(2, math.log(scale))
    predicted = gaussian_with_predicted_variance().log_prob
    prior = {"prior_mean": x, "prior_log_variance": log_variance}

    def fixed(likelihood):
        at_the_mode = jax.value_and_grad(likelihood.log_prob, argnums=1)(x, x)
        return *at_the_mode, likelihood.log_prob(x, elsewhere), likelihood.sample(KEY, x)

    def compute(x):
        of_mean = (
            lambda mean: predicted(x, jnp.stack([mean, log_variance], axis=-1)),
            lambda mean: gaussian_log_prob(x, mean, log_variance),
            lambda mean: gaussian_kl(mean, log_variance, **prior),
        )
        of_parameters = jax.value_and_grad(predicted, argnums=1)(x, jnp.stack([x, log_variance], axis=-1))
        fixed_scales = [fixed(likelihood) for likelihood in (gaussian(variance=scale), laplace(scale=scale))]
        return fixed_scales, [of_parameters, *(jax.value_and_grad(function)(x) for function in of_mean)]

    fixed_scales, variances = (jax.jit(compute) if compiled else compute)(x)
    for (value, gradient, log_prob_elsewhere, sample), law in zip(fixed_scales, (of_gaussian, of_laplace), strict=True):
        np.testing.assert_allclose(value, law, rtol=1e-5)
        assert not np.isnan(gradient).any()
        assert log_prob_elsewhere < -1e30 or scale > 1e-38
        assert np.isfinite(sample).all()
    for (value, gradient), law in zip(variances, (of_gaussian, of_gaussian, of_gaussian, 0), strict=True):
        np.testing.assert_allclose(value, law, rtol=1e-5)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("log_alpha", [-200.0, -90.0, -30.0])
def test_beta_of_a_tiny_parameter_has_the_density_of_its_limit(log_alpha):
    """For α next to 0 it is α (1 - x)^(β - 1) / x."""
    x, log_beta = 0.3, 0.7
    got = beta().log_prob(jnp.array([x]), jnp.array([[log_alpha, log_beta]]))
    expected = log_alpha + math.expm1(log_beta) * math.log1p(-x) - math.log(x)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_beta_of_a_uniform_is_zero_at_its_ends():
    np.testing.assert_allclose(beta().log_prob(jnp.array([0.0, 1.0]), jnp.zeros((2, 2))), 0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@every_likelihood
def test_half_precision_is_that_of_float32_rounded(likelihood, x, parameters, dtype):
    """Of many features, whose sum would lose its digits or overflow; samples use the noise of float32."""
    many = 600
    x = jnp.tile(jnp.asarray(x, dtype), many)
    parameters = jnp.tile(jnp.asarray(parameters, dtype), (many, *(1,) * (np.ndim(parameters) - 1)))
    single = parameters.astype(jnp.float32)
    eps = float(jnp.finfo(dtype).eps)
    got, expected = likelihood.log_prob(x, parameters), likelihood.log_prob(x.astype(jnp.float32), single)
    assert got.dtype == dtype
    np.testing.assert_allclose(float(got), float(expected), rtol=eps)
    mean, sample = likelihood.mean(parameters), likelihood.sample(KEY, parameters)
    assert mean.dtype == sample.dtype == dtype
    np.testing.assert_allclose(np.asarray(mean, float), np.asarray(likelihood.mean(single), float), rtol=2 * eps)
    limits = (float(jnp.finfo(dtype).tiny), 1 - float(jnp.finfo(dtype).epsneg))
    drawn = np.asarray(likelihood.sample(KEY, single), float)
    drawn = np.clip(drawn, *limits) if likelihood.name == "beta" else drawn
    np.testing.assert_allclose(np.asarray(sample, float), drawn, rtol=2 * eps, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("number", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_a_knob_of_numpy_promotes_nothing(number, dtype, float64, without_type_checks):
    x = jnp.full(4, 0.5, dtype)
    for build, knob in ((gaussian, "variance"), (laplace, "scale")):
        likelihood, expected = build(**{knob: number(2)}), build(**{knob: 2.0})
        for function in ("log_prob", "sample"):
            first = x if function == "log_prob" else KEY
            got = getattr(likelihood, function)(first, x)
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, getattr(expected, function)(first, x))


@every_likelihood
def test_mean_and_sample_refuse_parameters_of_another_shape(likelihood, x, parameters, without_type_checks):
    for function in (likelihood.mean, lambda parameters: likelihood.sample(KEY, parameters)):
        with pytest.raises(TypeError, match=r"must be a floating-point array, got dtype int32"):
            function(jnp.zeros(np.shape(parameters), int))
        with pytest.raises(TypeError, match=r"must be a JAX or NumPy array, got list"):
            function([0.0, 1.0])
        if np.shape(parameters) != np.shape(x):
            for shape in ((), (3, 7)):
                with pytest.raises(
                    ValueError, match=r"the parameters must have a last axis of \d (classes|numbers, .*); got shape"
                ):
                    function(jnp.zeros(shape))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[math.inf], [math.nan]], r"but 1 of 2 are missing \(NaN\) and 1 of 2 are infinite; fill them in, for"),
        ([[0.5], [None]], "1 of 2 are missing"),
        (np.ma.masked_array([0.5, 0.5], [False, True]), "1 of 2 are missing"),
        ([0.5, math.inf], "but 1 of 2 are infinite; fill them in"),
        ([["a"], ["b"]], "pixels: expected numbers, but the values have type <U1 such as 'a'"),
        (np.array([0.5, "a"], object), "pixels: expected numbers, but there is 'a'"),
        ([[0.5], [0.5, 1]], "pixels: all rows must have the same length"),
        (np.array(["2020-01-01"], "datetime64[D]"), "the values have type datetime64"),
        (np.array([0.5j]), "the values have type complex128"),
    ],
)
def test_missing_values_and_text_are_refused_with_what_to_do(values, message):
    with pytest.raises(UserError, match=message):
        check_support(bernoulli(), values, "pixels")


def test_numbers_of_every_type_are_accepted():
    for values in ([0, 1], [True, False], np.array([0, 1], np.uint8), np.array([0, 1], np.float16), np.zeros(0)):
        check_support(bernoulli(), values, "pixels")
        check_support(poisson(), values, "counts")
    check_support(bernoulli(), jnp.ones(2, jnp.bfloat16), "pixels")

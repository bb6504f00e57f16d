"""The generator of sparse mixtures against closed forms; deviations are stated in standard errors (σ)."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from aejax.datasets.synthetic_features import generator
from aejax.datasets.synthetic_features.generator import make_feature_model, sample, sample_x
from aejax.datasets.synthetic_features.orthogonal import orthogonalized
from aejax.datasets.synthetic_features.rates import expected_rates, firing_probabilities, levels_of
from aejax.datasets.synthetic_features.setting import (
    SETTINGS,
    FeatureSetting,
    Geometric,
    Hierarchy,
    NormalMagnitudes,
    UniformMagnitudes,
    Zipf,
)
from aejax.errors import ArgumentError

EXAMPLES = 20_000
FLAT = FeatureSetting(40, 8, Zipf(0.4, 0.01), orthogonal_steps=0, bias_norm=0.5)
TREES = FLAT._replace(hierarchy=Hierarchy(roots=4, branching=2, depth=2))  # 28 features in trees, 12 outside
COPULA = FLAT._replace(correlation_rank=3, correlation_scale=0.5)


@functools.cache
def drawn(setting, examples=EXAMPLES, way=None):
    """The generator of a setting and examples from it."""
    model = jax.jit(lambda key: make_feature_model(key, setting))(jax.random.key(0))
    draw = jax.jit(jax.vmap(lambda key: sample(model, key, setting)))
    return model, jax.tree.map(np.asarray, draw(jax.random.split(jax.random.key(1), examples)))


def deviations(counted, rates, examples=EXAMPLES):
    """Differences of measured rates from expected ones, in standard errors."""
    return (counted - rates) / np.sqrt(np.maximum(rates * (1 - rates), 1e-12) / examples)


@pytest.fixture(params=["one by one", "as a process"])
def drawing(request, monkeypatch):
    """Both ways of drawing the features outside trees."""
    if request.param == "as a process":
        monkeypatch.setattr(generator, "_MANY", 1)
        monkeypatch.setattr(generator, "_RARE", 0.2)
        monkeypatch.setattr(generator, "_BLOCK", 5)
        monkeypatch.setattr(generator, "_usual_number", lambda rates: 2)  # several rounds for most examples
    return request.param


@pytest.mark.slow
def test_rates_are_those_of_the_closed_form() -> None:
    """Below 4.5 σ for each of 40 features, of which a right one fails once in 3,700 settings."""
    model, examples = drawn(TREES)
    rates = expected_rates(TREES, np.asarray(model.spreads))
    measured = (examples.coefficients > 0).mean(axis=0)
    assert np.abs(deviations(measured, rates)).max() < 4.5
    assert abs((examples.coefficients > 0).sum(axis=1).mean() - rates.sum()) < 0.05


def test_an_example_is_the_mixture_of_its_features() -> None:
    model, examples = drawn(TREES)
    features, bias = np.asarray(model.features), np.asarray(model.bias)
    np.testing.assert_allclose(examples.x, examples.coefficients @ features + bias, atol=1e-5)
    assert np.linalg.norm(bias) == pytest.approx(0.5)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-6)


def test_children_need_their_parent_and_exclude_each_other() -> None:
    _, examples = drawn(TREES)
    active = examples.coefficients > 0
    levels = levels_of(TREES.hierarchy)
    for (start, size), (below, below_size) in itertools.pairwise(levels):
        children = active[:, below : below + below_size].reshape(len(active), size, 2).sum(axis=2)
        assert children.max() == 1
        assert not np.any(children > active[:, start : start + size])
    trees = active[:, :28].any(axis=1)
    assert 0.3 < trees.mean() < 1


def test_children_are_scaled_by_their_parent() -> None:
    """Divided by its parent's coefficient over the parent's mean, a child's is independent of it, with its own mean."""
    model, examples = drawn(TREES)
    both = (examples.coefficients[:, 0] > 0) & (examples.coefficients[:, 4] > 0)
    parent, child = examples.coefficients[both][:, [0, 4]].T
    scaled = child / (parent / model.means[0])  # the child's own magnitude, independent of the parent's
    assert abs(np.corrcoef(scaled, parent)[0, 1]) < 4.5 / np.sqrt(both.sum())
    assert abs(scaled.mean() - model.means[4]) < 4.5 * model.spreads[4] / np.sqrt(both.sum())


@pytest.mark.slow
def test_the_distribution_is_that_of_drawing_all_and_discarding() -> None:
    """Frequencies of sets of active features in one tree, against the procedure of the source, in NumPy."""
    setting = FeatureSetting(
        3, 2, Geometric(0.7, active=1.2), UniformMagnitudes(0.5, 1), Hierarchy(1, 2, 1), orthogonal_steps=0
    )
    _, examples = drawn(setting)
    root, first, second = firing_probabilities(setting)
    pairs = {(1, 1, 0): root * (first * (1 - second) + first * second / 2)}
    pairs |= {(1, 0, 1): root * (second * (1 - first) + first * second / 2)}
    pairs |= {(1, 0, 0): root * (1 - first) * (1 - second), (0, 0, 0): 1 - root}
    for which, rate in pairs.items():
        measured = np.all((examples.coefficients > 0) == np.array(which, bool), axis=1).mean()
        assert abs(deviations(measured, rate)) < 4
    assert sum(pairs.values()) == pytest.approx(1)


@pytest.mark.slow
def test_the_copula_has_its_rates_and_its_pairs(drawing) -> None:
    """P(both) is that of two Gaussians of correlation aᵣ·aₛ, by SciPy's integral; single rates do not change."""
    model, examples = drawn(COPULA, way=drawing)
    spreads, rates = np.asarray(model.spreads), expected_rates(COPULA)
    positive = norm.cdf(np.asarray(model.means) / spreads)
    active = examples.coefficients > 0
    assert np.abs(deviations(active.mean(axis=0), rates * positive)).max() < 4.5
    residual = 1 / np.sqrt(1 + np.sum(np.square(model.factors), axis=1))
    factors, thresholds = np.asarray(model.factors) * residual[:, None], norm.isf(rates)
    latent = factors @ factors.T
    for r, s in [(0, 1), (0, 2), (1, 2), (3, 9), (5, 30)]:
        joint = multivariate_normal(cov=[[1, latent[r, s]], [latent[r, s], 1]])
        expected = joint.cdf([-thresholds[r], -thresholds[s]]) * positive[r] * positive[s]
        assert abs(deviations((active[:, r] & active[:, s]).mean(), expected)) < 4.5
    assert np.abs(latent - np.eye(40) * latent)[:6, :6].max() > 0.2  # or the test would not see a copula


@pytest.mark.slow
def test_magnitudes_have_their_moments() -> None:
    model, examples = drawn(FLAT)
    mean, spread = model.means[0].item(), model.spreads[0].item()
    own = examples.coefficients[:, 0]
    own = own[own > 0]
    assert abs(own.mean() - mean) < 4.5 * spread / np.sqrt(len(own))
    assert own.std() == pytest.approx(spread, rel=0.05)
    uniform = drawn(FLAT._replace(magnitudes=UniformMagnitudes(1, 3)))[1].coefficients
    uniform = uniform[uniform > 0]
    assert 1 <= uniform.min() < 1.01 < 2.99 < uniform.max() <= 3
    assert abs(uniform.mean() - 2) < 4.5 * np.sqrt(4 / 12 / len(uniform))


@pytest.mark.slow
def test_magnitudes_below_zero_do_not_count() -> None:
    setting = FLAT._replace(magnitudes=NormalMagnitudes(1, 1, 2, 0))
    _, examples = drawn(setting)
    own = examples.coefficients[:, 0]
    assert abs(deviations((own > 0).mean(), 0.4 * norm.cdf(0.5))) < 4
    mills = norm.pdf(-0.5) / norm.sf(-0.5)  # the mean of a truncated normal
    assert own[own > 0].mean() == pytest.approx(1 + 2 * mills, rel=0.05)


def test_the_published_setting_has_its_published_number_of_active_features() -> None:
    """About 34, and about 25 of the first 4,096 features, says the documentation of SynthSAEBench."""
    rates = expected_rates(SETTINGS["synth_sae_bench_16k"])
    assert round(rates.sum()) in (34, 35)
    assert round(rates[:4096].sum()) == 25
    assert levels_of(SETTINGS["synth_sae_bench_16k"].hierarchy)[-1] == (2688, 8192)


@pytest.mark.slow
def test_the_published_setting_is_drawn_at_its_rates() -> None:
    setting = SETTINGS["synth_sae_bench_16k"]._replace(orthogonal_steps=0, correlation_rank=0, dimensions=8)
    model, examples = drawn(setting, 2000)
    rates = expected_rates(setting, np.asarray(model.spreads))
    active = (examples.coefficients > 0).sum(axis=1)
    assert abs(active.mean() - rates.sum()) < 4 * active.std() / np.sqrt(2000)
    for start, stop in [(0, 128), (128, 640), (640, 2688), (2688, 10880), (10880, 16384)]:
        counted = (examples.coefficients[:, start:stop] > 0).sum(axis=1)
        assert abs(counted.mean() - rates[start:stop].sum()) < 4.5 * counted.std() / np.sqrt(2000)


def test_directions_become_more_orthogonal() -> None:
    """Random directions have a mean squared cosine of 1/D; no set is below Welch's bound."""
    number, dimensions = 256, 32
    random = jax.random.normal(jax.random.key(0), (number, dimensions))

    def mean_squared_cosine(vectors) -> float:
        cosines = np.asarray(vectors, np.float64) @ np.asarray(vectors, np.float64).T
        return float((np.sum(cosines**2) - number) / (number * (number - 1)))

    before, after = (orthogonalized(random, steps=steps, learning_rate=3e-3) for steps in (0, 100))
    welch = (number - dimensions) / (dimensions * (number - 1))
    assert mean_squared_cosine(before) == pytest.approx(1 / dimensions, rel=0.03)
    assert welch <= mean_squared_cosine(after) < welch + 0.1 * (mean_squared_cosine(before) - welch)
    absolute = np.abs(np.asarray(before @ before.T))[np.triu_indices(number, 1)].mean()
    assert absolute == pytest.approx(np.sqrt(2 / (np.pi * dimensions)), rel=0.03)


def test_the_gradient_is_that_of_the_loss() -> None:
    """The first step of Adam has the sign of the gradient, which automatic differentiation knows."""
    unit = orthogonalized(jax.random.normal(jax.random.key(0), (6, 3)), steps=0, learning_rate=1.0)

    def loss(g):
        cosines = g @ g.T
        return jnp.sum(jnp.square(cosines - jnp.diag(jnp.diag(cosines)))) + 6 * jnp.sum(
            jnp.square(jnp.diag(cosines) - 1)
        )

    moved = unit - 1e-3 * jnp.sign(jax.grad(loss)(unit))
    expected = moved / jnp.linalg.norm(moved, axis=1, keepdims=True)
    np.testing.assert_allclose(orthogonalized(unit, steps=1, learning_rate=1e-3), expected, atol=1e-5)


@pytest.mark.slow
def test_an_example_is_its_key_whatever_the_batch() -> None:
    model, examples = drawn(TREES)
    keys = jax.random.split(jax.random.key(1), EXAMPLES)[7:9]
    few = jax.jit(jax.vmap(lambda key: sample_x(model, key, TREES)))(keys)
    np.testing.assert_allclose(few, examples.x[7:9], rtol=1e-5, atol=1e-6)


def test_geometric_probabilities_stay_probabilities() -> None:
    probabilities = firing_probabilities(FeatureSetting(10, 2, Geometric(0.5, active=5)))
    assert probabilities.sum() == pytest.approx(5)
    assert probabilities.max() == 1
    assert np.all(np.diff(probabilities) <= 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": 0}, "features: expected at least 1, got 0"),
        ({"bias_norm": -1.0}, "bias_norm: expected at least 0"),
        ({"probabilities": Zipf(1.2)}, "probabilities: expected 0 <= low <= high <= 1"),
        ({"probabilities": Zipf(exponent=0)}, "exponent above 0"),
        ({"probabilities": Geometric(active=41)}, "at most 40 active"),
        ({"magnitudes": UniformMagnitudes(2, 1)}, "magnitudes: expected 0 <= low <= high"),
        ({"magnitudes": NormalMagnitudes(-1)}, "magnitudes: expected means and deviations of at least 0"),
        ({"hierarchy": Hierarchy(roots=0)}, "roots: expected at least 1, got 0"),
        ({"hierarchy": Hierarchy()}, "have 10,880 features, but there are only 40"),
    ],
)
def test_knobs_out_of_range_are_refused(change, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        make_feature_model(jax.random.key(0), FLAT._replace(**change))

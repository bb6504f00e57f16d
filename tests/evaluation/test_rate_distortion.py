"""Rate and distortion: the hull by brute force, and linear autoencoders on the curve of a Gaussian source."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from aejax.autoencoders import variational
from aejax.evaluation.rate_distortion import gaussian_rate, lower_hull, rate_and_distortion
from aejax.likelihoods import gaussian
from aejax.networks import MLP

_VARIANCES = np.array([4.0, 2.0, 1.0, 0.25])


@pytest.mark.parametrize("seed", range(5))
def test_the_hull_has_the_least_weighted_sum_of_every_weight(seed: int) -> None:
    rates, distortions = np.random.default_rng(seed).exponential(size=(2, 40))
    hull = lower_hull(rates, distortions)
    weights = np.tan(np.linspace(0, np.pi / 2, 20_001)[1:-1])
    least = {int(np.argmin(distortions + weight * rates)) for weight in weights}
    assert least <= set(hull.tolist())
    assert set(hull.tolist()) <= set(ConvexHull(np.column_stack([rates, distortions])).vertices.tolist())
    assert (np.diff(rates[hull]) > 0).all()
    assert (np.diff(distortions[hull]) < 0).all()
    slopes = np.diff(distortions[hull]) / np.diff(rates[hull])
    assert (np.diff(slopes) > 0).all()


@pytest.mark.parametrize(
    ("rates", "distortions", "expected"),
    [
        ([1.0], [2.0], [0]),
        ([1.0, 1.0], [2.0, 2.0], [0]),
        ([1.0, 1.0], [3.0, 2.0], [1]),
        ([1.0, 2.0], [2.0, 2.0], [0]),  # more rate for the same distortion
        ([3.0, 1.0, 2.0], [1.0, 3.0, 2.0], [1, 0]),  # a point on the line between two others is their mixture
        ([3.0, 1.0, 2.0], [1.0, 3.0, 2.5], [1, 0]),
    ],
)
def test_hulls_of_a_few_points(rates: list[float], distortions: list[float], expected: list[int]) -> None:
    assert lower_hull(np.array(rates), np.array(distortions)).tolist() == expected


def test_points_that_have_no_hull_are_refused() -> None:
    with pytest.raises(ValueError, match=r"same length, not empty, got shapes \(2,\) and \(3,\)"):
        lower_hull(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="distortions must be finite"):
        lower_hull(np.ones(2), np.array([1.0, np.inf]))


@pytest.mark.parametrize("level", [1e-3, 0.3, 1.0, 3.0, 4.0])
def test_the_rate_of_a_water_level(level: float) -> None:
    expected = np.sum(np.maximum(0.0, np.log(_VARIANCES / level) / 2))
    assert gaussian_rate(_VARIANCES[[2, 0, 3, 1]], np.minimum(level, _VARIANCES).sum()) == pytest.approx(expected)


def test_the_slope_of_the_rate_is_that_of_its_water_level() -> None:
    error, step = np.minimum(0.7, _VARIANCES).sum(), 1e-6
    slope = (gaussian_rate(_VARIANCES, error + step) - gaussian_rate(_VARIANCES, error - step)) / (2 * step)
    assert slope == pytest.approx(-1 / (2 * 0.7), rel=1e-6)
    assert gaussian_rate(_VARIANCES, 7.25) == gaussian_rate(_VARIANCES, 100.0) == 0.0


@pytest.mark.parametrize(("variances", "error"), [([1.0, 0.0], 1.0), ([], 1.0), ([1.0], 0.0), ([1.0], np.inf)])
def test_a_source_or_an_error_that_is_not_positive_is_refused(variances: list[float], error: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        gaussian_rate(np.array(variances), error)


def _optimum(rotation: np.ndarray, variance: float, beta: float) -> dict[str, np.ndarray]:
    """Weights of the linear autoencoder of a Gaussian source with the least D + β R, that of probabilistic PCA."""
    level = beta * variance
    scale = np.sqrt(np.maximum(_VARIANCES - level, 0.0))
    encode = rotation * (scale / _VARIANCES)
    log_variances = np.log(np.minimum(level / _VARIANCES, 1.0))
    return {
        "encoder": {
            "kernel": np.concatenate([encode, np.zeros_like(encode)], axis=1),
            "bias": np.concatenate([np.zeros(4), log_variances]),
        },
        "decoder": {"kernel": (rotation * scale).T, "bias": np.zeros(4)},
    }


def test_linear_autoencoders_reach_the_rate_of_a_gaussian_source() -> None:
    """R = Σ max(0, ½ log(λ/θ)), and D is that of the squared error Σ min(θ, λ), with θ = β σ²."""
    generator, variance, examples = np.random.default_rng(0), 0.5, 4000
    rotation = np.linalg.qr(generator.normal(size=(4, 4)))[0]
    white = np.linalg.qr(generator.normal(size=(examples, 4)))[0] * np.sqrt(examples)
    x = jnp.asarray((white * np.sqrt(_VARIANCES)) @ rotation.T, jnp.float32)  # its covariance is exact
    autoencoder = variational(MLP((8,)), MLP((4,)), likelihood=gaussian(variance=variance))
    params = autoencoder.init(jax.random.key(0), x[0])
    loss = jax.jit(lambda params: autoencoder.loss(params, jax.random.key(1), x)[1])
    points = []
    for beta in (0.2, 1.0, 4.0):
        weights = _optimum(rotation, variance, beta)
        chosen = {part: {"params": {"Dense_0": weights[part]}} for part in weights}
        filled = jax.tree.map(lambda array: jnp.asarray(array, jnp.float32), {**params, **chosen})
        terms = {f"test/{name}": float(value) for name, value in loss(filled).items()}
        point = rate_and_distortion(terms, split="test")
        assert point is not None
        error = np.minimum(beta * variance, _VARIANCES).sum()
        np.testing.assert_allclose(point.rate, gaussian_rate(_VARIANCES, error), rtol=1e-4, atol=1e-5)
        expected = error / (2 * variance) + 2 * np.log(2 * np.pi * variance)
        np.testing.assert_allclose(point.distortion, expected, rtol=0.03)
        assert point.negative_elbo == pytest.approx(-terms["test/elbo"], rel=1e-5)
        points.append(point)
    assert lower_hull(*np.array(points).T).tolist() == [2, 1, 0]  # all, the largest β has the least rate
    assert points[1].negative_elbo < min(points[0].negative_elbo, points[2].negative_elbo)


def test_terms_of_other_autoencoders_have_no_rate() -> None:
    assert rate_and_distortion({"validation/loss": 1.0, "validation/reconstruction": 1.0}) is None

"""The geometric median: closed forms, optimality, an iteration that never rises; the scale of inputs."""

import numpy as np
import pytest
from scipy.optimize import minimize

from aejax.geometric_median import geometric_median, input_scale

RNG = np.random.default_rng(0)


def test_of_a_symmetric_set_it_is_the_center() -> None:
    half = RNG.normal(size=(20, 3))
    center = np.array([5.0, -1.0, 100.0])
    np.testing.assert_allclose(geometric_median(center + np.concatenate([half, -half])).point, center, atol=1e-9)


@pytest.mark.parametrize("outlier", [3.0, 1e6])
def test_of_collinear_points_it_is_the_median(outlier) -> None:
    direction = np.array([3.0, 4.0]) / 5
    places = np.array([-2.0, -1.0, 0.5, 1.0, outlier])
    found = geometric_median(places[:, None] * direction, tolerance=0, max_iterations=10_000)
    np.testing.assert_allclose(found.point, 0.5 * direction, atol=1e-3)


def test_it_is_the_point_that_another_minimizer_finds() -> None:
    x = RNG.gamma(0.5, size=(50, 4))
    reference = minimize(lambda y: np.linalg.norm(x - y, axis=1).mean(), x.mean(axis=0), tol=1e-12)
    found = geometric_median(x, tolerance=1e-15, max_iterations=10_000)
    np.testing.assert_allclose(found.point, reference.x, atol=1e-5)
    assert found.mean_distances[-1] <= reference.fun + 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_distance_never_rises(seed) -> None:
    x = np.random.default_rng(seed).standard_cauchy(size=(30, 3))
    distances = np.array(geometric_median(x, tolerance=0, max_iterations=50).mean_distances)
    assert np.all(np.diff(distances) <= 1e-12 * distances[0])


def test_a_start_on_a_vector_that_is_not_the_median_is_left() -> None:
    """The mean is the vector 0 here, where a plain iteration divides by 0, but most vectors are elsewhere."""
    x = np.array([[0.0], [1.0], [1.0], [1.0], [-3.0]])
    assert x.mean() == 0
    np.testing.assert_allclose(geometric_median(x, tolerance=0).point, [1.0], atol=1e-3)


def test_a_start_on_the_median_stays() -> None:
    cross = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert geometric_median(cross).point.tolist() == [0.0, 0.0]
    assert geometric_median(np.ones((4, 2))).point.tolist() == [1.0, 1.0]
    unbalanced = geometric_median(np.array([[0.0], [0.0], [0.0], [1.0], [3.0], [-4.0]]), max_iterations=1)
    assert unbalanced.point.tolist() == [0.0]


def test_scaled_inputs_have_a_mean_norm_of_the_root_of_their_dimension() -> None:
    x = RNG.normal(size=(1000, 16)) * RNG.gamma(2, size=(1000, 1))
    np.testing.assert_allclose(np.linalg.norm(input_scale(x) * x, axis=1).mean(), 4.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [(np.ones(3), r"got \(3,\)"), (np.ones((0, 3)), "at least one example"), ([[np.nan]], "finite")],
)
def test_what_is_no_set_of_vectors_is_refused(vectors, message) -> None:
    for function in (geometric_median, input_scale):
        with pytest.raises(ValueError, match=message):
            function(np.asarray(vectors))


def test_vectors_without_a_norm_have_no_scale() -> None:
    with pytest.raises(ValueError, match="all be 0"):
        input_scale(np.zeros((3, 2)))

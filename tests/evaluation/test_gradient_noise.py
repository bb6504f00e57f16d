"""The signal-to-noise ratio of samples with known moments, and exponents of exact power laws."""

import numpy as np
import pytest

from aejax.evaluation.gradient_noise import is_measured, power_law, signal_to_noise

RNG = np.random.default_rng(0)
DEVIATIONS = np.array([1.0, 2.0, 0.5])


def samples(mean, count=4000, rng=RNG):
    return mean + DEVIATIONS * rng.standard_normal((count, 3))


def test_the_ratio_of_known_moments():
    mean = np.array([0.3, -0.4, 1.2])
    found = signal_to_noise(samples(mean))
    assert abs(found.ratio - 1.3 / np.sqrt(5.25)) < 4 * found.error
    assert found.error < 0.03
    of_one = signal_to_noise(samples(mean)[:, :1])
    assert abs(of_one.ratio - 0.3) < 4 * of_one.error


def test_the_error_is_the_deviation_of_repeated_measurements():
    found = [signal_to_noise(samples(0.2, 400)) for _ in range(300)]
    spread = np.std([each.ratio for each in found])
    assert np.mean([each.error for each in found]) == pytest.approx(spread, rel=0.15)
    assert np.mean([each.ratio for each in found]) == pytest.approx(0.2 * np.sqrt(3 / 5.25), abs=4 * spread / 17)


def test_without_a_signal_few_ratios_count_as_measured():
    """The square of the ratio is right in the mean before it is cut off: about half of the ratios are positive."""
    found = [signal_to_noise(np.random.default_rng(seed).standard_normal((400, 30))) for seed in range(300)]
    ratios, errors = (np.array(column) for column in zip(*found, strict=True))
    assert 0.35 < np.mean(ratios > 0) < 0.55
    assert max(ratios) < 3 * (2 / 30) ** 0.25 / np.sqrt(400)
    assert np.mean(is_measured(ratios, errors)) < 0.1


def test_a_far_away_mean_leaves_the_precision():
    found = signal_to_noise(samples(1e6))
    assert found.ratio == pytest.approx(1e6 * np.sqrt(3 / 5.25), rel=0.03)


def test_an_exact_power_law_and_what_is_left_out():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    y = 5 * x**-0.5
    assert power_law(x, y, 0.1 * y).slope == pytest.approx(-0.5, abs=1e-12)
    expected = 0.1 / np.sqrt(np.sum((np.log(x) - np.log(x).mean()) ** 2))
    assert power_law(x, y, 0.1 * y).error == pytest.approx(expected, rel=1e-12)
    y[-1] = 0.0
    assert power_law(x, y, np.array([0.1, 0.1, 0.1, 0.0])).slope == pytest.approx(-0.5, abs=1e-12)
    y[-1] = 20.0  # far above the line, but only 1.9 errors from 0
    assert power_law(x, y, np.array([0.1, 0.1, 0.1, 20 / 1.9])).slope == pytest.approx(-0.5, abs=1e-12)


def test_too_little_is_refused():
    with pytest.raises(ValueError, match=r"at least 40 samples, got \(39, 3\)"):
        signal_to_noise(samples(0.0, 39))
    with pytest.raises(ValueError, match="it has no noise"):
        signal_to_noise(np.ones((50, 3)))
    with pytest.raises(ValueError, match="at 2 or more places"):
        power_law(np.array([1.0, 2.0]), np.array([1.0, 0.0]), np.ones(2))

import numpy as np
import pytest

from aejax.evaluation.disentanglement import beta_vae_score, factor_vae_score, interventional_robustness


@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
def test_the_factors_themselves_score_1(score, grid: np.ndarray) -> None:
    assert score(grid[:, [2, 0, 1]], grid) == 1.0


@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
def test_independent_codes_score_by_chance(score, grid: np.ndarray, independent: np.ndarray) -> None:
    assert abs(score(independent, grid) - 1 / 3) < 0.07


@pytest.mark.parametrize(("score", "draws"), [(factor_vae_score, {"votes": 18}), (beta_vae_score, {"points": 18})])
def test_what_was_fitted_is_not_tested(score, draws: dict[str, int], grid: np.ndarray) -> None:
    """Of 40 units that know nothing, one or another fits each of a few draws."""
    codes = np.random.default_rng(5).normal(size=(len(grid), 40))
    assert abs(np.mean([score(codes, grid, seed=seed, **draws) for seed in range(20)]) - 1 / 3) < 0.1


@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
def test_a_seed_determines_the_score(score, grid: np.ndarray, independent: np.ndarray) -> None:
    codes = grid + independent[:, :3]
    assert score(codes, grid, seed=3) == score(codes, grid, seed=3)
    assert len({score(codes, grid, seed=seed) for seed in range(4)}) > 1


def test_dead_units_do_not_win_the_vote(grid: np.ndarray) -> None:
    """Of a unit that is constant, the variance relative to its own is 0/0, and NaN is the smallest to argmin."""
    dead = np.zeros((len(grid), 2))
    assert factor_vae_score(np.column_stack([dead, grid, dead]), grid) == 1.0
    with pytest.raises(ValueError, match="all 2 units are constant"):
        factor_vae_score(dead, grid)


def test_votes_follow_the_unit_with_the_least_relative_variance(grid: np.ndarray) -> None:
    """Absolute variances would always choose the second unit."""
    codes = np.column_stack([100.0 * grid[:, 0], 1e-3 * grid[:, 1]])
    assert factor_vae_score(codes, grid[:, :2]) == 1.0


def test_one_unit_can_vote_for_one_factor_only(grid: np.ndarray) -> None:
    assert factor_vae_score(grid[:, :1], grid) == pytest.approx(1 / 3)


def test_numbers_of_votes_and_points_are_checked(grid: np.ndarray) -> None:
    with pytest.raises(ValueError, match="votes must be at least 6, got 5"):
        factor_vae_score(grid, grid, votes=5)
    with pytest.raises(ValueError, match="group must be at least 2, got 1"):
        factor_vae_score(grid, grid, group=1)
    with pytest.raises(ValueError, match="points must be at least 6, got 0"):
        beta_vae_score(grid, grid, points=0)


def test_robustness_of_the_factors_themselves_is_1(grid: np.ndarray) -> None:
    np.testing.assert_allclose(interventional_robustness(grid, grid), 1.0, atol=1e-12)


def test_robustness_of_noise_around_a_factor_is_that_by_hand() -> None:
    """Let z = v + u, with v in {0, 1} and u in {-1, 1}/4: deviations of 1/4 within a value, and of up to 3/4 in all."""
    factors = np.argwhere(np.ones((2, 2))).repeat(10, axis=0)
    codes = factors[:, :1] + (factors[:, 1:] - 0.5) / 2
    np.testing.assert_allclose(interventional_robustness(codes, factors, quantile=1.0), [1 - (1 / 4) / (3 / 4)])


def test_robustness_has_one_quantile_and_equal_weights(grid: np.ndarray, independent: np.ndarray) -> None:
    """An outlier in the denominator alone, or a unit with large values, would raise it to nearly 1."""
    codes = np.column_stack([1e4 * grid[:, 0], independent[:, :3]])
    codes[0, 1:] = 50.0
    found = interventional_robustness(codes, grid)
    assert found[0] > 0.99
    assert (found[1:] < 0.3).all()
    assert found.mean() < 0.5


def test_robustness_weights_values_by_their_frequency() -> None:
    factors = np.repeat([0, 1, 1, 1], 30)[:, None]
    codes = np.concatenate([np.tile([-1.0, 1.0], 15), np.zeros(90)])[:, None]
    np.testing.assert_allclose(interventional_robustness(codes, factors, quantile=1.0), [0.75])
    with pytest.raises(ValueError, match=r"quantile must be above 0 and at most 1, got 99"):
        interventional_robustness(codes, factors, quantile=99)

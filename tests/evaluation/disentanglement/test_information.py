import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from aejax.evaluation.disentanglement import modularity, mutual_information_gap
from aejax.evaluation.disentanglement.information import bin_codes, entropies, mutual_informations


def test_mutual_information_is_that_of_scikit_learn(grid: np.ndarray, independent: np.ndarray) -> None:
    bins = bin_codes(independent + grid[:, :1], bins=6)
    got = mutual_informations(bins, grid)
    expected = [[mutual_info_score(unit, factor) for factor in grid.T] for unit in bins.T]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(entropies(grid), np.log([8, 4, 2]), rtol=1e-12)


def test_bins_hold_equally_many_examples() -> None:
    codes = np.random.default_rng(0).standard_cauchy(size=(1000, 2))
    assert np.array_equal(np.bincount(bin_codes(codes, bins=20)[:, 1]), np.full(20, 50))
    np.testing.assert_array_equal(bin_codes(np.exp(codes.clip(-9, 9)), bins=20), bin_codes(codes, bins=20))


@pytest.mark.parametrize("examples", [50, 63, 70, 90, 101])
def test_bins_of_a_negative_unit_are_reversed(examples: int) -> None:
    """Where N is no multiple of the bins, ranks fall on their boundaries; only a value in the middle has no reverse."""
    generator = np.random.default_rng(examples)
    distinct, tied = generator.normal(size=(examples, 1)), generator.integers(0, 40, (examples, 1)) - 17.0
    for codes in (distinct, tied):
        for bins in (7, 20):
            above, below = bin_codes(codes, bins=bins)[:, 0], bin_codes(-codes, bins=bins)[:, 0]
            differ = above + below != max(above.max(), below.max())
            is_middle = [bins % 2 == 0 and np.sum(codes < code) == np.sum(codes > code) for code in codes]
            np.testing.assert_array_equal(differ, is_middle)
            assert (above[differ] == bins // 2).all()
            assert codes is tied or np.ptp(np.bincount(above, minlength=bins)) <= 2


def test_a_sign_does_nothing_to_the_gap_of_few_examples() -> None:
    generator = np.random.default_rng(0)
    factors = generator.permutation(np.repeat([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1]], 10, axis=0))
    codes = factors + 0.5 * generator.normal(size=factors.shape)
    gap = mutual_information_gap(codes, factors)
    np.testing.assert_allclose(mutual_information_gap(-codes, factors), gap, rtol=0, atol=1e-12)
    assert (gap > 0.1).all()


def test_the_gap_of_the_factors_themselves_is_1(grid: np.ndarray) -> None:
    np.testing.assert_allclose(mutual_information_gap(grid[:, [2, 0, 1]], grid), 1.0, atol=1e-12)
    np.testing.assert_allclose(modularity(-3 * grid, grid), 1.0, atol=1e-12)


def test_the_gap_of_duplicated_units_is_0(grid: np.ndarray) -> None:
    codes = np.concatenate([grid, 2.0 - grid], axis=1)
    np.testing.assert_allclose(mutual_information_gap(codes, grid), 0.0, atol=1e-12)


def test_independent_codes_have_the_bias_of_counts_as_information() -> None:
    generator = np.random.default_rng(0)
    factors, codes = generator.integers(0, 5, (20_000, 1)), generator.normal(size=(20_000, 40))
    information = mutual_informations(bin_codes(codes, bins=20), factors)[:, 0]
    np.testing.assert_allclose(information.mean(), 19 * 4 / (2 * 20_000), rtol=0.1)
    assert mutual_information_gap(codes, factors) < 2e-3  # the bias of both units cancels


def test_one_unit_is_compared_with_none(grid: np.ndarray) -> None:
    np.testing.assert_allclose(mutual_information_gap(grid[:, :1], grid), [1.0, 0.0, 0.0], atol=1e-12)


def test_a_factor_with_more_values_than_bins_has_the_gap_of_the_bins() -> None:
    factor = np.random.default_rng(0).permutation(np.repeat(np.arange(32), 10))[:, None]
    np.testing.assert_allclose(mutual_information_gap(factor, factor, bins=8), np.log(8) / np.log(32), rtol=1e-12)


def test_an_outlier_empties_no_bin(grid: np.ndarray) -> None:
    codes = grid + 0.01 * np.random.default_rng(0).normal(size=grid.shape)
    codes[0] = 1e6  # with bins of equal width, all other examples are in one
    assert (mutual_information_gap(codes, grid) > 0.8).all()


def test_examples_are_rows_however_many_units_there_are(grid: np.ndarray) -> None:
    """A transposed matrix that is reshaped instead has the same shape, and other units."""
    codes = np.column_stack([grid[:, 1], np.zeros(len(grid)), grid[:, 0], grid[:, 2], np.arange(len(grid)) % 3])
    np.testing.assert_allclose(mutual_information_gap(codes, grid), 1.0, atol=0.02)


def test_a_unit_with_equal_information_about_all_factors_has_no_modularity() -> None:
    factors = np.random.default_rng(1).permutation(np.argwhere(np.ones((4, 4, 4))).repeat(2, axis=0))
    together = factors @ np.array([16, 4, 1])
    np.testing.assert_allclose(modularity(together[:, None], factors, bins=64), 0.0, atol=1e-12)
    # half of the squared information that one factor more would need
    of_two = np.column_stack([together // 4, factors[:, 2]])
    np.testing.assert_allclose(modularity(of_two, factors, bins=64), [0.5, 1.0], atol=1e-12)


def test_dead_units_have_no_modularity(grid: np.ndarray) -> None:
    codes = np.column_stack([grid, np.zeros((len(grid), 7))])
    assert modularity(codes, grid).shape == (3,)
    np.testing.assert_allclose(modularity(codes, grid).mean(), 1.0, atol=1e-12)


def test_the_number_of_bins_is_checked(grid: np.ndarray) -> None:
    with pytest.raises(ValueError, match="bins must be at least 2, got 1"):
        mutual_information_gap(grid, grid, bins=1)
    with pytest.raises(TypeError, match=r"bins must be an integer, got 2\.5"):
        modularity(grid, grid, bins=2.5)  # type: ignore[arg-type]

import numpy as np
import pytest

from aejax.evaluation.disentanglement import explicitness, separated_predictability
from aejax.evaluation.disentanglement.entrance import halves


def test_sap_of_the_factors_themselves_is_1(grid: np.ndarray) -> None:
    np.testing.assert_allclose(separated_predictability(grid[:, [1, 2, 0]], grid), 1.0, atol=1e-12)


def test_sap_of_duplicated_units_is_0(grid: np.ndarray) -> None:
    codes = np.concatenate([grid, -5.0 * grid], axis=1)
    np.testing.assert_allclose(separated_predictability(codes, grid, categorical=[0, 2]), 0.0, atol=1e-12)


def test_sap_is_the_gap_of_squared_correlations(grid: np.ndarray, independent: np.ndarray) -> None:
    codes = independent + grid @ np.random.default_rng(0).normal(size=(3, 4))
    squared = np.square(np.corrcoef(codes.T, grid.T)[:4, 4:])
    ordered = np.sort(squared, axis=0)
    np.testing.assert_allclose(separated_predictability(codes, grid), ordered[-1] - ordered[-2], atol=1e-12)


def test_sap_of_a_class_does_not_depend_on_the_scale_of_codes(grid: np.ndarray, independent: np.ndarray) -> None:
    codes = np.column_stack([grid[:, 2] + 0.2 * independent[:, 0], independent[:, 1:]])
    found = [separated_predictability(scale * codes, grid, categorical=[2]) for scale in (1e-4, 1.0, 1e4)]
    # a machine with C = 0.01 learns nothing of codes in units of 1e-4
    np.testing.assert_allclose(found, [found[1]] * 3, atol=1e-9)
    assert 0.4 < found[0][2] <= 0.5  # 1 - 1/2 at most


def test_sap_of_one_unit_is_compared_with_a_constant(grid: np.ndarray) -> None:
    codes = np.column_stack([grid[:, 2], np.ones(len(grid))])
    np.testing.assert_allclose(separated_predictability(codes, grid), [0.0, 0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(separated_predictability(codes, grid, categorical=[2])[2], 0.5, atol=1e-12)


def test_explicitness_of_one_hot_codes_is_1(grid: np.ndarray) -> None:
    codes = np.concatenate([np.eye(8)[grid[:, 0]], np.eye(4)[grid[:, 1]], np.eye(2)[grid[:, 2]]], axis=1)
    np.testing.assert_allclose(explicitness(codes, grid), 1.0, atol=1e-12)


def test_explicitness_of_independent_codes_is_one_half(grid: np.ndarray, independent: np.ndarray) -> None:
    np.testing.assert_allclose(explicitness(independent, grid), 0.5, atol=0.07)


def test_explicitness_leaves_out_values_with_one_example(grid: np.ndarray) -> None:
    """Of a unit that is larger for one value than for the others, and of a code that knows nothing of the rare one."""
    codes, factors = np.concatenate([np.eye(4)[grid[:, 1]], grid], axis=1), grid.copy()
    rare = factors.copy()
    rare[0, 1] = 9
    for seed in range(8):  # in any division
        np.testing.assert_allclose(explicitness(codes, rare, seed=seed)[1], 1.0, atol=0.01)
    rare[1, 1] = 9  # two examples that look like others: their value is no longer left out
    assert explicitness(codes, rare)[1] < 0.97
    factors[:, 2] = 0
    factors[5, 2] = 1
    with pytest.raises(ValueError, match=r"at least two values with 2 examples .* factor 2 \(from 0\) has 1"):
        explicitness(codes, factors)


def test_halves_share_the_examples_of_every_value() -> None:
    classes = np.random.default_rng(0).integers(0, 7, 101)
    first, second = halves(classes, seed=3)
    assert sorted([*first, *second]) == list(range(101))
    assert (np.abs(np.bincount(classes[first]) - np.bincount(classes[second])) <= 1).all()
    assert not np.array_equal(np.sort(first), np.sort(halves(classes, seed=4)[0]))

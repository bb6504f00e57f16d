import numpy as np
import pytest

from aejax.evaluation.disentanglement import disentanglement_completeness_informativeness as dci
from aejax.evaluation.disentanglement.dci import scores_of_importance


def test_a_permutation_of_the_factors_has_all_three(grid: np.ndarray) -> None:
    found = dci(-grid[:, [2, 0, 1]] * 7.0, grid, categorical=[1])
    np.testing.assert_allclose(found, (1.0, 1.0, 0.0), atol=1e-9)


def test_two_factors_rotated_by_45_degrees_have_neither(grid: np.ndarray) -> None:
    generator = np.random.default_rng(0)
    factors = generator.permutation(np.argwhere(np.ones((16, 16))).repeat(4, axis=0))
    rotated = factors @ np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)
    found = dci(rotated + 0.01 * generator.normal(size=rotated.shape), factors)
    assert found.disentanglement < 0.02
    assert found.completeness < 0.02
    assert found.informativeness_error < 0.2  # nothing is lost


def test_independent_codes_predict_no_better_than_a_guess(grid: np.ndarray, independent: np.ndarray) -> None:
    found = dci(independent, grid, categorical=[0, 2])
    assert 0.9 < found.informativeness_error < 1.2
    assert found.disentanglement < 0.1


def test_scores_of_importance_are_those_by_hand() -> None:
    importance = np.array([[0.5, 0.0], [0.5, 0.25], [0.0, 0.75]])
    of_unit = 1 + (2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)) / np.log(2)
    disentangled = (0.5 * 1 + 0.75 * of_unit + 0.75 * 1) / 2
    complete = (1 - np.log(2) / np.log(3) + 1 + (0.25 * np.log(0.25) + 0.75 * np.log(0.75)) / np.log(3)) / 2
    np.testing.assert_allclose(scores_of_importance(importance), (disentangled, complete), rtol=1e-12)


def test_units_and_factors_of_no_importance() -> None:
    assert scores_of_importance(np.array([[1.0, 0.0], [0.0, 0.0]])) == (1.0, 0.5)  # nothing completes the second factor
    assert scores_of_importance(np.zeros((3, 2))) == (0.0, 0.0)
    assert scores_of_importance(np.array([[1.0, 1.0]])) == (0.0, 1.0)  # one unit: complete, and not disentangled


def test_positions_of_categorical_factors_are_checked(grid: np.ndarray) -> None:
    with pytest.raises(ValueError, match="positions of factors, from 0 to 2, got 3"):
        dci(grid, grid, categorical=[0, 3])

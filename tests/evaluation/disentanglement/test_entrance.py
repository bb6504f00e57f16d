import re
from collections.abc import Callable

import numpy as np
import pytest

from aejax.evaluation.disentanglement import (
    beta_vae_score,
    dead_share,
    disentanglement_completeness_informativeness,
    disentanglement_scores,
    explicitness,
    factor_vae_score,
    interventional_robustness,
    is_dead,
    modularity,
    mutual_information_gap,
    separated_predictability,
)
from aejax.evaluation.disentanglement.pairs import SharedValues

_ANY = (mutual_information_gap, separated_predictability, explicitness, interventional_robustness)
_COMPARE = (modularity, factor_vae_score, beta_vae_score, disentanglement_completeness_informativeness)


def _noisy(grid: np.ndarray) -> np.ndarray:
    """Codes that mix the factors, in four units of which none has two equal values."""
    generator = np.random.default_rng(3)
    mixed = grid @ np.array([[1.0, 0.2, 0.0, 0.5], [0.1, 1.0, 0.0, 0.5], [0.0, 0.3, 2.0, 0.5]])
    return mixed + 0.3 * generator.normal(size=mixed.shape)


@pytest.mark.parametrize(
    "change",
    [
        lambda codes: codes[:, [2, 0, 3, 1]],
        lambda codes: codes * np.array([1.0, -1.0, -1.0, 1.0]),
        lambda codes: codes * np.array([1e-4, 1.0, 1e3, 20.0]) + np.array([0.0, 5.0, -3.0, 0.0]),
        lambda codes: np.column_stack([np.zeros(len(codes)), codes, np.full(len(codes), 0.1)]),
    ],
    ids=["order", "sign", "scale", "dead units"],
)
def test_order_sign_scale_and_dead_units_do_nothing(grid: np.ndarray, change: Callable[..., np.ndarray]) -> None:
    codes = _noisy(grid)
    expected, got = (disentanglement_scores(each, grid, categorical=[0]) for each in (codes, change(codes)))
    dead = got.pop("dead_share")
    assert dead == (change(codes).shape[1] - 4) / change(codes).shape[1]
    assert expected.pop("dead_share") == 0
    for name, value in expected.items():
        # trees choose at random among equally good splits
        np.testing.assert_allclose(got[name], value, atol=0.03 if name.startswith("dci") else 1e-9, err_msg=name)
    assert 0.05 < expected["mig"] < 0.95  # nothing that is 0 or 1 anyway


def test_dead_units_are_constant_up_to_rounding() -> None:
    codes = np.column_stack([np.full(4, 0.1), 0.1 + 1e-9 * np.arange(4), 1e-9 * np.arange(4), [0.0, 0, 0, 1]])
    assert is_dead(codes.astype(np.float32)).tolist() == [True, True, True, False]
    assert dead_share(codes) == 0.75
    assert is_dead(codes[:, 2:3]).tolist() == [False]  # alone, it may be in another unit
    small = np.column_stack([codes[:, 3], 1e-6 * codes[:, 3], 1e-7 * codes[:, 3]])
    assert is_dead(small).tolist() == [False, False, True]


@pytest.mark.parametrize("score", [*_ANY, *_COMPARE])
def test_what_no_score_is_defined_for_is_refused(score: Callable[..., object], grid: np.ndarray) -> None:
    codes = grid.astype(np.float64)
    constant = np.column_stack([grid[:, :2], np.full(len(grid), 7)])
    for got, factors, message in (
        (np.ones((len(grid), 5)), grid, "all 5 units are constant over the 512 examples"),
        (codes, constant, "factor 2 (from 0) is constant over the 512 examples: leave it out"),
        (codes[:64], grid[:64], "at least 10 examples per value of a factor, so 80 for the 8 values of factor 0"),
        (codes[:-1], grid, "one row for each of 511 codes, (examples, factors), got (512, 3)"),
        (codes, grid[:, 0], "factors must be a matrix with one row per example, not empty, got shape (512,)"),
        (np.where(codes > 6, np.nan, codes), grid, "codes must be finite"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            score(got, factors)
    with pytest.raises(TypeError, match="factors must hold real numbers"):
        score(codes, grid.astype(str))


@pytest.mark.parametrize("score", _COMPARE)
def test_scores_that_compare_factors_refuse_one(score: Callable[..., object], grid: np.ndarray) -> None:
    with pytest.raises(ValueError, match="compares factors: expected at least 2, got 1"):
        score(grid, grid[:, :1])


@pytest.mark.parametrize("score", _ANY)
def test_other_scores_accept_one_factor(score: Callable[..., np.ndarray], grid: np.ndarray) -> None:
    assert score(grid, grid[:, 2:]).mean() > 0.3


def test_draws_share_the_value_and_pairs_differ() -> None:
    classes = np.array([0, 1, 1, 2, 2, 2, 0, 3])
    shared = SharedValues(classes, factor=0)
    generator = np.random.default_rng(0)
    groups = shared.groups(generator, (200, 5))
    assert (classes[groups] == classes[groups[:, :1]]).all()
    first, second = shared.pairs(generator, (200, 5))
    assert (classes[first] == classes[second]).all()
    assert (first != second).all()
    assert set(first.ravel()) == set(second.ravel()) == set(groups.ravel()) == {0, 1, 2, 3, 4, 5, 6}  # 7 has no other
    # every other example with the same value is as likely
    counts = np.bincount(second[first == 3], minlength=8)
    assert counts[3] == 0
    assert abs(counts[4] - counts[5]) < 4 * np.sqrt(counts[4] + counts[5])
    with pytest.raises(ValueError, match="no two examples share the value of factor 4"):
        SharedValues(np.arange(3), factor=4)

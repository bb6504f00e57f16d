"""Matches of dictionaries with known features: permutations, duplicates, exhaustive search."""

import itertools

import numpy as np
import pytest

from aejax.evaluation.dictionaries import (
    cosine_similarities,
    match_features,
    mean_matched_cosine,
    mean_max_cosine_similarity,
    uniqueness,
)

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=(6, 4))


def test_a_permuted_scaled_and_flipped_dictionary_matches() -> None:
    order, scale = RNG.permutation(6), RNG.uniform(0.1, 9, (6, 1)) * RNG.choice([-1, 1], (6, 1))
    match = match_features(scale * TRUTH[order], TRUTH)
    assert match.mean_matched_cosine == pytest.approx(1, rel=1e-14)
    assert match.uniqueness == 1
    np.testing.assert_array_equal(match.best_feature, order)
    positive = match_features(np.abs(scale) * TRUTH[order], TRUTH)
    assert positive.mean_max_cosine_of_features == pytest.approx(1, rel=1e-14)
    assert positive.mean_max_cosine_of_units == pytest.approx(1, rel=1e-14)


def test_the_matching_is_the_best_of_all() -> None:
    units = RNG.normal(size=(4, 4))
    cosines = np.abs(cosine_similarities(units, TRUTH))
    best = max(np.mean(cosines[range(4), places]) for places in itertools.permutations(range(6), 4))
    assert mean_matched_cosine(units, TRUTH) == pytest.approx(best, rel=1e-14)
    assert mean_matched_cosine(TRUTH, units) == pytest.approx(best, rel=1e-14)


def test_copies_of_a_feature_are_not_unique() -> None:
    """Counted over the pairs of a one-to-one matching, as elsewhere by mistake, it would be 1 here."""
    units = np.repeat(TRUTH[:2], 3, axis=0) + 1e-3 * RNG.normal(size=(6, 4))
    assert uniqueness(units, TRUTH) == pytest.approx(2 / 6)
    assert mean_matched_cosine(units, TRUTH) < 0.9


def test_the_two_directions_differ() -> None:
    """A dictionary of one true feature is all true, but represents one feature of two."""
    truth = np.eye(2)
    assert mean_max_cosine_similarity(truth[:1], truth) == 1
    assert mean_max_cosine_similarity(truth, truth[:1]) == 0.5
    match = match_features(truth[:1], truth)
    assert (match.mean_max_cosine_of_units, match.mean_max_cosine_of_features) == (1, 0.5)


def test_all_measures_are_those_of_their_own_functions() -> None:
    units = RNG.normal(size=(9, 4))
    units[3] = 0  # a dead unit
    match = match_features(units, TRUTH)
    assert match.mean_matched_cosine == mean_matched_cosine(units, TRUTH)
    assert match.mean_max_cosine_of_features == mean_max_cosine_similarity(TRUTH, units)
    assert match.mean_max_cosine_of_units == mean_max_cosine_similarity(units, TRUTH)
    assert match.uniqueness == uniqueness(units, TRUTH)


@pytest.mark.parametrize(
    ("units", "message"), [(np.ones((2, 3)), r"got \(2, 3\) and \(6, 4\)"), (np.full((2, 4), np.nan), "finite")]
)
def test_what_cannot_match_is_refused(units, message) -> None:
    with pytest.raises(ValueError, match=message):
        match_features(units, TRUTH)

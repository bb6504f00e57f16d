"""Neighbors of units against a loop over all pairs."""

import numpy as np
import pytest

from aejax.evaluation.dictionaries import nearest_units


def test_neighbors_are_those_of_a_loop():
    directions = np.random.default_rng(0).normal(size=(9, 4))
    found = nearest_units(directions, np.array([7, 2]), count=3)
    for row, unit in enumerate((7, 2)):
        cosines = {
            other: directions[unit] @ directions[other] / np.linalg.norm(directions[unit]) / np.linalg.norm(d)
            for other, d in enumerate(directions)
            if other != unit
        }
        expected = sorted(cosines, key=lambda other: -cosines[other])[:3]
        assert found.units[row].tolist() == expected
        np.testing.assert_allclose(found.cosines[row], [cosines[other] for other in expected], rtol=1e-12)


def test_there_are_no_more_neighbors_than_other_units():
    found = nearest_units(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([0, 1]), count=5)
    assert found.units.tolist() == [[1], [0]]
    assert found.cosines.tolist() == [[0.0], [0.0]]  # a direction of zeros has no angle
    assert nearest_units(np.eye(3), np.array([], int)).units.shape == (0, 2)


@pytest.mark.parametrize(
    ("directions", "units", "message"),
    [
        (np.eye(3), np.array([3]), "from 0 to 2"),
        (np.eye(3), np.array([0.5]), "from 0 to 2"),
        (np.ones(3), np.array([0]), r"shapes \(F, D\) and \(U,\)"),
    ],
)
def test_bad_units_are_refused(without_type_checks, directions, units, message):
    with pytest.raises(ValueError, match=message):
        nearest_units(directions, units)

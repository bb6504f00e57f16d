import math

import numpy as np
import pytest

from aejax.datasets.sprites.grid import COUNTS, FACTORS, NAMES, SPRITES, factors_at, parse_values, places_of
from aejax.errors import ArgumentError


def test_the_grid_is_that_of_dsprites() -> None:
    assert dict(zip(NAMES, COUNTS, strict=True)) == {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}
    assert SPRITES == 737_280
    factors = factors_at(np.arange(SPRITES))
    assert np.array_equal(factors.max(axis=0) + 1, COUNTS)
    assert np.array_equal(factors @ [6 * 40 * 1024, 40 * 1024, 1024, 32, 1], np.arange(SPRITES))


def test_orientations_are_different_turns_of_a_square() -> None:
    """In dSprites the first and the last of 40 angles are equal, and 40 steps of the circle would repeat a square's."""
    quarters = np.mod(FACTORS[2].values, math.pi / 2)
    assert np.min(np.diff(np.sort(quarters))) > 0.9 * math.pi / 2 / 41
    assert 0 <= FACTORS[2].values.min() <= FACTORS[2].values.max() < 2 * math.pi


def test_places_of_some_values_are_all_combinations() -> None:
    chosen = parse_values(["shape=2,square", "orientation=0:40:4", "x=3:5", "y=31"])
    factors = factors_at(places_of(chosen))
    assert len(factors) == 2 * 6 * 10 * 2
    assert len(np.unique(factors, axis=0)) == len(factors)
    assert [np.unique(column).tolist() for column in factors.T] == [
        [0, 2],
        [*range(6)],
        [*range(0, 40, 4)],
        [3, 4],
        [31],
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["size=3"], "expected FACTOR=VALUES, of shape, scale, orientation, x, y, got 'size=3'"),
        (["x=1", "x=2"], "is there twice, got 'x=2'"),
        (["x=32"], "x has the values 0 to 31, or ranges such as 0:32, got 'x=32'"),
        (["x=-1"], "x has the values 0 to 31"),
        (["scale=0:9"], "scale has the values 0 to 5"),
        (["scale=3:3"], "scale has the values 0 to 5"),
        (["scale=0:5:0"], "scale has the values 0 to 5"),
        (["scale"], "scale has the values 0 to 5"),
        (["shape=star"], "shape has the values 0 to 2 or square, ellipse, heart, or ranges such as 0:3, got"),
    ],
)
def test_values_that_do_not_exist_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        parse_values(words)

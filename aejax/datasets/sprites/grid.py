"""The grid of sprites: five factors, their values, and the place of each combination. Imports no JAX."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from aejax.errors import ArgumentError

SHAPES = ("square", "ellipse", "heart")
_ORIENTATIONS = 40
_STEPS = 41  # of the circle
_LEFT, _TOP = 16.25 / 64, 16.125 / 64  # of the first center


class Factor(NamedTuple):
    """A factor of variation: its name, and its values in order."""

    name: str
    values: Float[np.ndarray, "V"]
    unit: str
    is_categorical: bool = False  # whether the values have no order


FACTORS = (
    Factor("shape", np.arange(len(SHAPES)).astype(np.float64), "place in SHAPES", is_categorical=True),
    Factor("scale", np.linspace(0.5, 1.0, 6), "radius of the largest sprite"),
    # of 41 steps, not 40: 4 divides 40, and a square looks the same after a quarter of the circle
    Factor("orientation", 2 * math.pi * np.arange(_ORIENTATIONS) / _STEPS, "radians, counterclockwise"),
    Factor("x", _LEFT + np.arange(32) / 64, "width of the image, from the left"),
    Factor("y", _TOP + np.arange(32) / 64, "height of the image, from the top"),
)
NAMES = tuple(factor.name for factor in FACTORS)
COUNTS = tuple(len(factor.values) for factor in FACTORS)
SPRITES = math.prod(COUNTS)


def factors_at(places: Int[np.ndarray, "N"]) -> Int[np.ndarray, "N 5"]:
    """Returns the factors of sprites as positions among their values; that of y changes fastest.

    Args:
      places: of sprites in the grid, from 0 to `SPRITES` - 1, in the order of dSprites.

    >>> factors_at(np.array([0, 33, SPRITES - 1])).tolist()
    [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [2, 5, 39, 31, 31]]
    """
    return np.stack(np.unravel_index(places, COUNTS), axis=-1)


def places_of(chosen: Mapping[str, Sequence[int]] | None = None) -> Int[np.ndarray, "M"]:
    """Returns the places of all sprites whose factors are among the chosen ones, in order.

    Args:
      chosen: factor -> positions among its values; all values of a factor that is not named.

    >>> places_of({"shape": [2], "x": [0], "y": [5]}).shape, places_of().shape
    ((240,), (737280,))
    """
    positions = [np.unique((chosen or {}).get(f.name, range(len(f.values)))) for f in FACTORS]
    return np.ravel_multi_index(np.meshgrid(*positions, indexing="ij"), COUNTS).ravel()


def parse_values(words: Sequence[str]) -> dict[str, list[int]]:
    """Returns the positions of the values that words such as shape=heart, scale=0,5 or orientation=0:40:4 name.

    Args:
      words: each FACTOR=VALUES; values are positions from 0, divided by commas, ranges START:STOP or START:STOP:STEP
        without STOP, or names of shapes.

    Raises:
      ArgumentError: a factor or a value that does not exist, or a factor that is named twice.

    >>> parse_values(["shape=square,heart", "orientation=0:40:10", "y=31"])
    {'shape': [0, 2], 'orientation': [0, 10, 20, 30], 'y': [31]}
    """
    chosen: dict[str, list[int]] = {}
    for word in words:
        name, _, values = word.partition("=")
        if name not in NAMES or name in chosen:
            problem = "is there twice" if name in chosen else f"expected FACTOR=VALUES, of {', '.join(NAMES)}"
            raise ArgumentError("factor_values", f"{problem}, got {word!r}")
        count = COUNTS[NAMES.index(name)]
        chosen[name] = sorted({place for value in values.split(",") for place in _positions(word, name, value, count)})
    return chosen


def _positions(word: str, name: str, value: str, count: int) -> Sequence[int]:
    if name == "shape" and value in SHAPES:
        return [SHAPES.index(value)]
    try:
        numbers = [int(number) for number in value.split(":")]
        found = numbers if len(numbers) == 1 else range(*numbers)
    except (ValueError, TypeError):
        found = []
    if not len(found) or not 0 <= min(found) <= max(found) < count:
        names = f" or {', '.join(SHAPES)}" if name == "shape" else ""
        raise ArgumentError(
            "factor_values", f"{name} has the values 0 to {count - 1}{names}, or ranges such as 0:{count}, got {word!r}"
        )
    return found

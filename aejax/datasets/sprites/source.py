"""Sprites with known factors as a data set: `--dataset sprites`."""

from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Int

from aejax.datasets.dataset import Dataset, Factors, Splits, split, take
from aejax.datasets.source import Request, Source
from aejax.datasets.sprites.drawing import SIZE, draw_sprites
from aejax.datasets.sprites.grid import FACTORS, NAMES, SHAPES, factors_at, parse_values, places_of
from aejax.datasets.stored import LARGE, StoredArray
from aejax.errors import ArgumentError
from aejax.host.memory import check_fits

_NAME = "sprites"


class SpriteRows:
    """Images of sprites that are drawn when they are read: `Rows` of a `StoredArray`, without a file."""

    def __init__(self, factors: Int[np.ndarray, "N 5"], size: int) -> None:
        """Takes the factors of the sprites, and the size of their images in pixels; nothing is drawn."""
        self.path, self.dtype = Path(_NAME), np.dtype(np.uint8)
        self.shape: tuple[int, ...] = (len(factors), size, size, 1)
        self._factors = factors

    def read(self, index: np.ndarray) -> np.ndarray:
        """Returns the images at positions `index`."""
        return draw_sprites(self._factors[index], size=self.shape[1])


def sprites(places: Int[np.ndarray, "N"], *, size: int = SIZE, stored: bool | None = None) -> Dataset:
    """Returns sprites as examples (N, size, size, 1) of 0 and 1, with their shapes as labels, and their factors.

    Args:
      places: of the sprites in the grid, such as from `places_of`.
      size: of the images, in pixels.
      stored: whether images are drawn whenever they are read, instead of once; None: if they exceed one GiB as float32.

    Raises:
      UserError: the images do not fit into the memory.

    >>> dataset = sprites(np.arange(0, 737280, 100_000), size=32)
    >>> dataset.x.shape, dataset.labels.tolist()
    ((8, 32, 32, 1), [0, 0, 0, 1, 1, 2, 2, 2])
    """
    factors = factors_at(places)
    x = StoredArray(SpriteRows(factors, size))
    known = Factors(factors, NAMES, tuple(factor.name for factor in FACTORS if factor.is_categorical))
    if not (x.nbytes > LARGE if stored is None else stored):
        check_fits(x.nbytes, f"{len(x):,} sprites", advice="draw fewer, or smaller ones", host=True)
        x = cast(StoredArray, x[:])
    return Dataset(cast(np.ndarray, x), factors[:, 0].astype(np.int32), factors=known)


def _load_splits(
    request: Request, *, examples: int, image_size: tuple[int, ...] | None, factor_values: tuple[str, ...]
) -> Splits:
    sides = set(image_size or (SIZE,))
    if len(sides) > 1:
        raise ArgumentError("image_size", f"sprites are squares: expected one number, got {image_size}")
    places = places_of(parse_values(factor_values))
    count, of_all, generator = min(examples, len(places)), len(places), np.random.default_rng(request.seed)
    if count < of_all:
        places = np.sort(generator.choice(places, count, replace=False))
    dataset = sprites(places, size=sides.pop(), stored=request.stored)
    note = f"sprites: {count:,} of the {of_all:,} combinations of {', '.join(NAMES)}, which are known factors"
    parts = split(dataset._replace(notes=(note,)), fractions=request.fractions, seed=request.seed)
    # the first examples of a split, which figures show, are of all shapes
    return Splits(*(take(part, generator.permutation(len(part.x))) for part in parts))


SOURCE = Source(
    _load_splits,
    layout="image",
    name=_NAME,
    is_embedded=True,
    knobs=("examples", "image_size", "factor_values"),
    class_names=lambda request: dict(enumerate(SHAPES)),
)

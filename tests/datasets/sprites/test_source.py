import numpy as np
import pytest

from aejax.datasets.dataset import fingerprint, take
from aejax.datasets.sprites.drawing import draw_sprites
from aejax.datasets.sprites.grid import SPRITES
from aejax.datasets.sprites.source import sprites
from aejax.datasets.stored import StoredArray
from aejax.errors import ArgumentError
from aejax.experiment.configuration import Data
from aejax.experiment.loading import load_splits, names_of_classes

_SMALL = Data(dataset="sprites", examples=300, image_size=(16,))


def test_splits_are_disjoint_samples_of_the_grid() -> None:
    splits = load_splits(_SMALL)
    assert [part.x.shape for part in splits] == [(210, 16, 16, 1), (30, 16, 16, 1), (60, 16, 16, 1)]
    factors = np.concatenate([part.factors.values for part in splits if part.factors is not None])
    assert len(np.unique(factors, axis=0)) == 300
    for part in splits:
        assert part.factors is not None
        assert part.factors.categorical == ("shape",)
        assert np.array_equal(part.x, draw_sprites(part.factors.values, size=16))
        assert np.array_equal(part.labels, part.factors.values[:, 0])
        assert len(np.unique(part.labels[:20])) == 3  # of all shapes, in figures of the first examples
    assert names_of_classes(_SMALL) == {0: "square", 1: "ellipse", 2: "heart"}
    assert "300 of the 737,280 combinations" in splits.train.notes[0]
    assert fingerprint(splits) == fingerprint(load_splits(_SMALL))


def test_images_that_are_drawn_when_they_are_read_are_the_same() -> None:
    drawn, stored = (load_splits(_SMALL, stored=stored) for stored in (False, True))
    assert isinstance(stored.test.x, StoredArray)
    assert fingerprint(stored) == fingerprint(drawn)
    few = take(stored.train, np.array([5, 3, 3]))
    assert isinstance(few.x, StoredArray)
    assert np.array_equal(few.x[:], drawn.train.x[[5, 3, 3]])
    assert few.factors is not None
    assert np.array_equal(few.x[1], draw_sprites(few.factors.values[1:2], size=16)[0])


def test_the_whole_grid_is_not_in_memory() -> None:
    whole = sprites(np.arange(SPRITES))
    assert isinstance(whole.x, StoredArray)
    assert whole.x.shape == (737_280, 64, 64, 1)
    assert whole.x[[0, -1]].sum() > 0


def test_a_part_of_the_grid_is_used_whole() -> None:
    values = ("shape=heart", "scale=5", "orientation=0:40:2", "x=0:32:8", "y=4")
    splits = load_splits(Data(dataset="sprites", factor_values=values, image_size=(16, 16)))
    found = np.concatenate([part.factors.values for part in splits if part.factors is not None])
    assert len(found) == len(np.unique(found, axis=0)) == 20 * 4
    assert np.array_equal(np.unique(found[:, 3]), [0, 8, 16, 24])
    sample = load_splits(Data(dataset="sprites", factor_values=values, image_size=(16,), examples=70))
    found = np.concatenate([part.factors.values for part in sample if part.factors is not None])
    assert len(found) == len(np.unique(found, axis=0)) == 70
    with pytest.raises(ArgumentError, match=r"sprites are squares: expected one number, got \(16, 8\)"):
        load_splits(Data(dataset="sprites", image_size=(16, 8)))

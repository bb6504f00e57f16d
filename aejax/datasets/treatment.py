"""Treatment of values that a likelihood depends on: binarized, or dequantized by uniform noise; drawn once, by a seed.

Draws that change with every epoch are augmentations (`aejax.augmentation`).
"""

import math
import zlib
from typing import Literal, NamedTuple, cast

import numpy as np

from aejax.datasets.dataset import Dataset
from aejax.datasets.stored import StoredArray, blocks_of
from aejax.errors import UserError

Binarize = Literal["none", "fixed", "dynamic", "stochastic"]
Dequantize = Literal["none", "uniform"]
_LEVEL_TOLERANCE = 1e-3  # of a level: bytes divided by 255 in single precision deviate by up to 2e-5


class Treatment(NamedTuple):
    """How the values of all examples are changed before anything else."""

    binarize: Binarize = "none"  # fixed: 1 from 1/2 on; else 1 with the value as its probability
    dequantize: Dequantize = "none"  # uniform: level k of n becomes (k + u)/n
    levels: int = 256  # n of dequantize
    seed: int = 0  # of what is drawn once

    @property
    def is_identity(self) -> bool:
        """Whether values stay as they are."""
        return self.binarize == "none" and self.dequantize == "none"

    @property
    def is_drawn_anew(self) -> bool:
        """Whether training examples are drawn in every epoch, and those of other splits once."""
        return self.binarize == "dynamic" or self.dequantize == "uniform"


def treated(dataset: Dataset, treatment: Treatment, *, split: str, name: str) -> Dataset:
    """Returns examples whose values are binarized or dequantized once; those in a file stay there, with the same draws.

    - fixed: x ≥ 1/2
    - stochastic, dynamic: b with P(b = 1) = x, independently for each value
    - uniform: (k + u)/n, u uniform on [0, 1), for x = k/(n - 1)

    Args:
      dataset: examples with values in [0, 1].
      treatment: what is done, and the seed of what is drawn.
      split: the name of the split, which has random numbers of its own.
      name: what messages call the data.

    Raises:
      UserError: the data are a table, pairs or padded sequences; a value is outside [0, 1], or between two levels.

    >>> gray = Dataset(np.array([[0.0, 0.2, 0.5, 1.0]], np.float32))
    >>> treated(gray, Treatment("fixed"), split="test", name="gray.npy").x.tolist()
    [[0.0, 0.0, 1.0, 1.0]]
    >>> drawn = treated(gray, Treatment("stochastic"), split="test", name="gray.npy").x
    >>> drawn[0, 0].item(), drawn[0, 3].item()
    (0.0, 1.0)
    """
    if treatment.is_identity:
        return dataset
    check_treatable(dataset, treatment, name=name)
    rows = _TreatedRows(dataset.x, treatment, split)
    if isinstance(dataset.x, StoredArray):
        return dataset._replace(x=cast(np.ndarray, StoredArray(rows)))
    x, first = np.empty(dataset.x.shape, np.float32), 0
    for block in blocks_of(dataset.x):
        x[first : first + len(block)] = rows.treated(block, np.arange(first, first + len(block)))
        first += len(block)
    return dataset._replace(x=x)


def check_treatable(dataset: Dataset, treatment: Treatment, *, name: str) -> None:
    """Raise UserError unless examples can be binarized or dequantized; the message names the data."""
    what = "binarize" if treatment.binarize != "none" else "dequantize"
    if treatment.is_identity:
        return
    if dataset.columns is not None or dataset.input is not None:
        kind = "a table" if dataset.columns is not None else "pairs of noisy and clean examples"
        raise UserError(f"{what}: expects examples of one kind of values, but {name} is {kind}")
    for block in blocks_of(dataset.x):
        low, high = float(np.min(block)), float(np.max(block))
        if not (low >= 0 and high <= 1):
            found = "some are padding" if np.isnan(low) else f"they range from {low:g} to {high:g}"
            raise UserError(f"{what}: expects values in [0, 1], but in {name} {found}")
        if what == "dequantize":
            places = block.astype(np.float64) * (treatment.levels - 1)
            if (between := block[np.abs(places - np.round(places)) > _LEVEL_TOLERANCE]).size:
                raise UserError(
                    f"levels: of {treatment.levels} levels the values are multiples of 1/{treatment.levels - 1}, but "
                    f"{name} has other values, such as {between[0]:g}"
                )


class _TreatedRows:
    """Rows of a split that are treated when they are read; what is drawn depends on a row's position alone."""

    dtype = np.dtype(np.float32)

    def __init__(self, x: np.ndarray, treatment: Treatment, split: str) -> None:
        """Takes the examples of a split, in memory or in their file; none is read."""
        self._x, self._treatment = x, treatment
        self._entropy = [treatment.seed, zlib.crc32(split.encode())]
        self.shape = x.shape
        if isinstance(x, StoredArray):
            self.path = x.path

    def read(self, index: np.ndarray) -> np.ndarray:
        """Returns the treated rows at positions `index`, in this order."""
        return self.treated(self._x[index], index)

    def treated(self, block: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Returns a block of rows, which are those at positions `index`, binarized or dequantized."""
        treatment = self._treatment
        if treatment.binarize == "fixed":
            return (block >= 0.5).astype(np.float32)
        uniform = self._uniform(index).reshape(block.shape)
        if treatment.binarize != "none":
            return (uniform < block).astype(np.float32)
        levels = np.round(block * (treatment.levels - 1))
        return np.minimum((levels + uniform) / treatment.levels, np.nextafter(np.float32(1), np.float32(0)))

    def _uniform(self, index: np.ndarray) -> np.ndarray:
        """Returns the random numbers of rows: those that one pass over all rows in order would draw."""
        bits = np.random.PCG64(self._entropy)
        first, size = bits.state, math.prod(self.shape[1:])
        uniform = np.empty(len(index) * size, np.float32)
        ends = np.flatnonzero(np.diff(index) != 1) + 1
        for start, stop in zip([0, *ends.tolist()], [*ends.tolist(), len(index)], strict=True) if len(index) else ():
            bits.state = first
            skipped = int(index[start]) * size
            bits.advance(skipped // 2)  # a step of the generator is two numbers in single precision
            rng = np.random.Generator(bits)
            if skipped % 2:
                rng.random(dtype=np.float32)
            rng.random(dtype=np.float32, out=uniform[start * size : stop * size])
        return uniform


def describe_treatment(treatment: Treatment) -> str:
    """Returns in words how the data were binarized or dequantized, for a line beside every likelihood.

    >>> describe_treatment(Treatment("stochastic", seed=3))
    'binarized: every value drawn once (stochastic), by seed 3'
    >>> describe_treatment(Treatment())
    'neither binarized nor dequantized'
    """
    once = f"validation and test examples once, by seed {treatment.seed}"
    if treatment.binarize == "fixed":
        return "binarized: 1 from 1/2 on (fixed)"
    if treatment.binarize == "stochastic":
        return f"binarized: every value drawn once (stochastic), by seed {treatment.seed}"
    if treatment.binarize == "dynamic":
        return f"binarized: training examples drawn in every epoch (dynamic), {once}"
    if treatment.dequantize == "uniform":
        noise = f"uniform noise within {treatment.levels} levels"
        return f"dequantized: {noise}, of training examples drawn in every epoch, of {once}"
    return "neither binarized nor dequantized"

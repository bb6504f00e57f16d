"""What a source of data is: how it is read, and which knobs of a configuration it uses."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from aejax.datasets.byte_values import BytesAs
from aejax.datasets.dataset import Splits
from aejax.errors import UserError

# what the axes of an example are: (H, W) or (H, W, C); (T,) or (T, C); (T, keys); columns of a table; or unknown
Layout = Literal["image", "series", "roll", "row", "vector"]


class Request(NamedTuple):
    """Which examples are asked of a source, and how they are to be divided."""

    dataset: str  # its name, or a path
    data_dir: Path | None = None  # where prepared data lie; None for the source's own default
    validation_fraction: float = 0.1
    test_fraction: float = 0.2
    seed: int = 0  # of the division
    stored: bool | None = None  # whether examples stay in their file; None leaves it to their size
    bytes_as: BytesAs | None = None  # what bytes stand for, where that is decided; else the source decides

    @property
    def fractions(self) -> tuple[float, float]:
        """Of validation and test examples; UserError where they leave nothing to train on."""
        if self.validation_fraction + self.test_fraction >= 1:
            raise UserError(
                "validation_fraction and test_fraction leave nothing to train on: "
                f"{self.validation_fraction} + {self.test_fraction}"
            )
        return self.validation_fraction, self.test_fraction


class Source(NamedTuple):
    """Where examples come from: a data set of a name, or whatever a path leads to."""

    load: Callable[..., Splits]  # (request, **knobs)
    layout: Layout | None  # of an example; None where only its shape is known
    name: str | None = None  # of a data set that has one
    matches: Callable[[str], bool] | None = None  # whether it reads a data set of another name; None: of no other
    reads_paths: bool = False  # whether such a name is a path
    normal: str | None = None  # what training examples are called, where they are of one class and test ones of more
    is_embedded: bool = False  # whether the data come with the package, and lie in no place of the user's
    knobs: tuple[str, ...] = ()  # that it alone uses, and `load` is given by keyword
    fixed: tuple[str, ...] = ()  # knobs of the division without effect, since the data come divided

    @property
    def title(self) -> str:
        """What messages call it."""
        return "a file of your own" if self.name is None else f"the dataset {self.name}"

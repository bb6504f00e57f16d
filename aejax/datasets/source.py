"""The record that describes a source of data: how it is read, and which knobs of a configuration it uses."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from aejax.datasets.byte_values import BytesAs
from aejax.datasets.dataset import Splits
from aejax.errors import UserError

# the axes of an example: (H, W) or (H, W, C); (T,) or (T, C); (T, keys); columns of a table; or unknown
Layout = Literal["image", "series", "roll", "row", "vector"]


class Request(NamedTuple):
    """The examples that a source is to load, and how they are split."""

    dataset: str  # a name or a path
    data_dir: Path | None = None  # the folder of prepared data; None for the source's default
    validation_fraction: float = 0.1
    test_fraction: float = 0.2
    seed: int = 0  # of the splits
    stored: bool | None = None  # whether examples stay in their file; None decides by their size
    bytes_as: BytesAs | None = None  # the meaning of bytes, if it is already known; None: the source decides
    condition: tuple[str, ...] = ()  # columns of a table, or entries of a .npz file, that are the condition
    on_read: Callable[[str, int, int], None] | None = None  # (what is done, how much, of how much), for progress

    @property
    def fractions(self) -> tuple[float, float]:
        """The fractions of validation and test examples; raises UserError if no training examples remain."""
        if self.validation_fraction + self.test_fraction >= 1:
            raise UserError(
                "validation_fraction and test_fraction leave no training examples: their sum must be below 1, got "
                f"{self.validation_fraction} + {self.test_fraction}"
            )
        return self.validation_fraction, self.test_fraction


class Source(NamedTuple):
    """A source of examples: a data set with a name, or files at a path."""

    load: Callable[..., Splits]  # (request, **knobs) -> splits
    layout: Layout | None  # of an example; None if only its shape is known
    name: str | None = None  # of the data set; None for a source of paths or of many data sets
    matches: Callable[[str], bool] | None = None  # whether the source reads a data set that is not `name`; None: no
    reads_paths: bool = False  # whether a data set that matches is a path
    normal: str | None = None  # the name of training examples of one class only, where the test has other classes too
    is_embedded: bool = False  # whether the data are installed with the package, not in a folder of the user's
    knobs: tuple[str, ...] = ()  # used by this source only, keyword arguments of `load`
    class_names: Callable[[Request], Mapping[int, str]] | None = None  # label -> name of the class; None: not known
    fixed: tuple[str, ...] = ()  # knobs of the splits that have no effect, because the data have fixed splits
    load_whole: Callable[[Request], Any] | None = None  # -> PageSplits: the images that examples are cut from
    has_conditions: bool = False  # whether `load` reads the names in `Request.condition`
    kind: str = "a file of your own"  # what a source of paths reads, in messages

    @property
    def title(self) -> str:
        """The name of the source in messages."""
        return self.kind if self.name is None else f"the dataset {self.name}"

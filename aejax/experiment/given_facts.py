"""Facts of a condition that is not a class: numbers, an image, or columns of a table, as a run stores them."""

from dataclasses import dataclass

from pydantic import ConfigDict, PositiveFloat, PositiveInt

from aejax.datasets.halves import HALVES, Half
from aejax.datasets.tables.columns import TableColumn


@dataclass(frozen=True)
class Given:
    """What encoder and decoder are conditioned on, with statistics of the training examples."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    names: tuple[str, ...]
    """Columns of a table, entries of a .npz file, or the half of images that is given."""
    shape: tuple[PositiveInt, ...]
    """The shape of the condition of one example, before it is encoded."""
    mean: tuple[float, ...] = (0.0,)
    """Subtracted from numbers; one value for all, or one per number."""
    standard_deviation: tuple[PositiveFloat, ...] = (1.0,)
    """What numbers are then divided by; one value for all, or one per number."""
    columns: tuple[TableColumn, ...] | None = None
    """The columns of a table, with statistics of the training rows; None for other conditions."""

    @property
    def half(self) -> Half | None:
        """The half of images that is given; None for other conditions."""
        return next((half for half in HALVES if self.names == (half,)), None)

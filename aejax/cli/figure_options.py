"""The option of every verb that writes figures: their file format."""

from dataclasses import dataclass, field

from aejax.host.files import FigureFormat


@dataclass(frozen=True)
class FigureOptions:
    """How figures are written."""

    format: FigureFormat = field(default="png", kw_only=True)
    """The format of figures: png (300 dots per inch), or pdf or svg, whose lines and letters can be scaled."""

"""What a reproduction is, and what it finds: rows of measured and published numbers, and claims."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from matplotlib.figure import Figure

from aejax.studies.claims import Claim
from aejax.studies.reproductions.bench import Bench

Budget = Literal["full", "reduced", "smoke"]


class Row(NamedTuple):
    """A setting of a table."""

    setting: str
    measured: Mapping[str, Sequence[float]]  # column -> the value of every seed
    published: Mapping[str, float] = MappingProxyType({})  # column -> the paper's value


class Result(NamedTuple):
    """What a reproduction finds."""

    columns: Mapping[str, str]  # column -> its title, with the unit
    rows: Sequence[Row]
    claims: Sequence[Claim]
    draw: Callable[[], Mapping[str, Figure]]  # returns the figures by the names of their files


class Scale(NamedTuple):
    """What a budget means for a table."""

    minutes: float  # on two cores with nothing else running
    what: str  # the setting, and what is smaller than in the paper
    seeds: int  # by default


class Reproduction(NamedTuple):
    """A table of a paper that one command reproduces."""

    title: str
    source: str
    scales: Mapping[str, Scale]  # budget -> its meaning
    run: Callable[[Bench], Result]

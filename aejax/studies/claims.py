"""Claims of papers: whether they hold in what was measured."""

from collections.abc import Sequence
from typing import NamedTuple


class Claim(NamedTuple):
    """A claim, whether it held, and the measured values that decide."""

    text: str
    held: bool
    measured: str


def claim_lines(claims: Sequence[Claim], *, bullet: str = "  ") -> list[str]:
    """Returns a line for each claim: whether it held, and the values that decide.

    >>> claim_lines([Claim("A is below B", False, "2 and 1")])
    ['  did not hold: A is below B (2 and 1)']
    """
    return [f"{bullet}{'held' if claim.held else 'did not hold'}: {claim.text} ({claim.measured})" for claim in claims]

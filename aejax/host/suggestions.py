"""What a misspelled name was meant to be: the one place where names are compared."""

import contextlib
import difflib
import os
from collections.abc import Iterable
from pathlib import Path

_ALIKE = (
    0.7  # from which ratio of characters in common on; "faces" and "race" have 0.67, "digit-vae" and its preset 0.95
)


def did_you_mean(word: str, known: Iterable[str], *, count: int = 3) -> str:
    """The known names that are nearest to a word, as the end of a message; nothing where none is near.

    >>> did_you_mean("MNST", ["digits", "mnist", "kmnist"])
    '; did you mean mnist or kmnist?'
    >>> did_you_mean("faces", ["race"])
    ''
    """
    by_lower = {name.lower().replace("_", "-"): name for name in known}
    close = difflib.get_close_matches(word.lower().replace("_", "-"), by_lower, n=count, cutoff=_ALIKE)
    return f"; did you mean {' or '.join(by_lower[name] for name in close)}?" if close else ""


def unknown(kind: str, word: str, known: Iterable[str], *, kinds: str) -> str:
    """A message about a name that is not known: the nearest ones, or all where none is near.

    >>> unknown("preset", "digit-vae", ["digits-vae", "mnist-vae"], kinds="presets")
    "there is no preset 'digit-vae'; did you mean digits-vae?"
    >>> unknown("study", "weather", ["digits", "mnist"], kinds="studies")
    "there is no study 'weather'; the studies are digits, mnist"
    """
    known = list(known)
    return f"there is no {kind} {word!r}" + (did_you_mean(word, known) or f"; the {kinds} are {', '.join(known)}")


def no_such_file(path: Path, what: str = "no such file") -> str:
    """A message about a path at which nothing lies: the nearest names in its folder."""
    names: list[str] = []
    with contextlib.suppress(OSError):  # of a folder that must not be listed there is nothing to suggest
        names += os.listdir(path.parent)
    return f"{path}: {what}{did_you_mean(path.name, names, count=1)}"

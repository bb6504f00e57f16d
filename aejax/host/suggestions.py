"""Suggestions for misspelled names: the only module that compares names."""

import contextlib
import difflib
import os
from collections.abc import Iterable
from pathlib import Path

# ratio of matching characters; "faces" and "race" have 0.67, "digit-vae" and "digits-vae" 0.95
_MIN_SIMILARITY = 0.7
_MIN_FRAGMENT = 3  # characters of a word of a name that stands for the name


def did_you_mean(word: str, known: Iterable[str], *, count: int = 3) -> str:
    """Returns the known names most similar to a word, as the end of a message; empty if none is similar.

    Args:
      word: the misspelled name; case, underscores and hyphens are ignored.
      known: the valid names.
      count: the largest number of names to suggest.

    >>> did_you_mean("MNST", ["digits", "mnist", "kmnist"])
    '; did you mean mnist or kmnist?'
    >>> did_you_mean("faces", ["race"])
    ''
    >>> did_you_mean("vae", ["digits-ae", "digits-vae"])
    '; did you mean digits-vae?'
    """
    by_lower = {name.lower().replace("_", "-"): name for name in known}
    lower = word.lower().replace("_", "-")
    close = difflib.get_close_matches(lower, by_lower, n=count, cutoff=_MIN_SIMILARITY)
    if not close and len(lower) >= _MIN_FRAGMENT:  # a part of a longer name
        close = [name for name in by_lower if lower in name.split("-")][:count]
    return f"; did you mean {' or '.join(by_lower[name] for name in close)}?" if close else ""


def unknown(kind: str, word: str, known: Iterable[str], *, kinds: str) -> str:
    """Returns a message about an unknown name with the most similar known names, or with all if none is similar.

    Args:
      kind: what the name is of, in the singular.
      word: the unknown name.
      known: the valid names.
      kinds: `kind` in the plural.

    >>> unknown("preset", "digit-vae", ["digits-vae", "mnist-vae"], kinds="presets")
    "there is no preset 'digit-vae'; did you mean digits-vae?"
    >>> unknown("study", "weather", ["digits", "mnist"], kinds="studies")
    "there is no study 'weather'; the studies are digits, mnist"
    """
    known = list(known)
    return f"there is no {kind} {word!r}" + (did_you_mean(word, known) or f"; the {kinds} are {', '.join(known)}")


def no_such_file(path: Path, what: str = "no such file") -> str:
    """Returns a message about a path that does not exist, with the most similar name in its folder.

    Args:
      path: the path.
      what: what the message says about it.
    """
    names: list[str] = []
    with contextlib.suppress(OSError):  # no suggestion if the folder cannot be listed
        names += os.listdir(path.parent)
    return f"{path}: {what}{did_you_mean(path.name, names, count=1)}"

"""Results that a larger result does without: where one fails, the rest goes on, and says what is missing and why."""

import contextlib
import traceback
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def optional(what: str, say: Callable[[str], None]) -> Iterator[None]:
    """Goes on where a measure or a figure fails that the result does without, and says which and why.

    What is neither a ValueError nor an OSError is a bug, and leaves its traceback on stderr besides.

    Args:
      what: would be missing.
      say: called with the line that says so, such as a console's `print`, or a list's `append`.

    >>> with optional("figures", print):
    ...     raise ValueError("there is nothing to draw")
    figures: left out, there is nothing to draw
    """
    try:
        yield
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        say(f"{what}: left out, {lines[0]}")
        if not isinstance(error, ValueError | OSError):
            traceback.print_exc()

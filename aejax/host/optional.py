"""Optional results: if a measure or a figure fails, the program reports it and continues."""

import contextlib
import traceback
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def optional(what: str, say: Callable[[str], None]) -> Iterator[None]:
    """Context manager that reports an exception of its body in one line instead of raising it.

    Exceptions other than ValueError and OSError are bugs: their traceback is also printed to stderr.

    Args:
      what: the name of the result that is missing if the body fails.
      say: called with the line, such as a console's `print` or a list's `append`.

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

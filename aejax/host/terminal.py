"""The console that scripts print to: what users name things with is shown there as it is, and never obeyed."""

from typing import Any

from rich.console import Console
from rich.text import Text

from aejax.host.escaping import printable


class PlainConsole(Console):
    r"""A console of rich without markup, emoji codes and highlighting; control characters are shown as escapes.

    It holds for all that is printed, the cells of tables too. A string is one line: print several one by one.

    >>> PlainConsole().print("[/b] :smile: \x1b[31m")
    [/b] :smile: \x1b[31m
    """

    def __init__(self, **options: Any) -> None:
        """Options are those of rich's `Console`; lines are not wrapped."""
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, "soft_wrap": True, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Returns what rich makes of a string, which is how every string comes to be printed."""
        return super().render_str(printable(text), **options)

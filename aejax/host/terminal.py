"""The console that scripts print to; names that users choose are shown literally and never interpreted."""

from typing import Any

from rich.console import Console
from rich.text import Text

from aejax.host.escaping import printable


class PlainConsole(Console):
    r"""A rich `Console` without markup, emoji codes and highlighting; unprintable characters are shown as escapes.

    This applies to everything printed, including cells of tables. Line breaks are escaped too: print lines one by one.

    >>> PlainConsole().print("[/b] :smile: \x1b[31m")
    [/b] :smile: \x1b[31m
    """

    def __init__(self, **options: Any) -> None:
        """Accepts the options of rich's `Console`; by default, lines are not wrapped."""
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, "soft_wrap": True, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Returns rich's `Text` of an escaped string; rich calls this for every string that it prints."""
        return super().render_str(printable(text), **options)

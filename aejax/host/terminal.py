"""The console that scripts print to; names that users choose are shown literally and never interpreted."""

from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from aejax.host.escaping import printable

_WIDEST = 10_000  # characters of a table


class PlainConsole(Console):
    r"""A rich `Console` without markup, emoji codes and highlighting; unprintable characters are shown as escapes.

    This applies to everything printed, including cells of tables. Line breaks are escaped too: print lines one by one.

    >>> PlainConsole().print("[/b] :smile: \x1b[31m")
    [/b] :smile: \x1b[31m
    """

    def __init__(self, **options: Any) -> None:
        """Accepts the options of rich's `Console`; by default, lines are not wrapped."""
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, "soft_wrap": True, **options})

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints objects as rich's `Console` does; a table is never cut: its cells are wrapped between words.

        A table whose longest words do not fit is wider than the terminal. A table's title is a line above it.
        """
        if not (len(objects) == 1 and isinstance(objects[0], Table)):
            super().print(*objects, **options)
            return
        table, options = objects[0], {"soft_wrap": False, "crop": False, **options}
        unlimited = self.options.update(width=_WIDEST)
        for column in table.columns:
            words = (Measurement.get(self, unlimited, cell).minimum for cell in (column.header, *column.cells))
            column.min_width = max(words)
        title, table.title = table.title, None
        least = Measurement.get(self, unlimited, table).minimum
        with self._lock:
            width, self._width = self._width, max(self.width, least)
            try:
                if title is not None:
                    super().print(title, style="table.title", soft_wrap=True)
                super().print(table, **options)
            finally:
                self._width, table.title = width, title

    def render_str(self, text: str, **options: Any) -> Text:
        """Returns rich's `Text` of an escaped string; rich calls this for every string that it prints."""
        return super().render_str(printable(text), **options)

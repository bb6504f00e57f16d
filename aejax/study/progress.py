"""How far a part of a study has come: a bar on a terminal, a line every few seconds elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 10.0


class StudyProgress:
    """Shows steps of one kind of work as they are done."""

    def __init__(self, console: Console, work: str, total: int, units: str) -> None:
        """Show so many steps of some work on a console; it begins when it is entered as a context."""
        self._console, self._total = console, total
        self._text = f"  {work}: {{}}/{total} {units}"
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(self._text.format(0), total=total, status="compiling")
        self._begun = self._last_line = time.perf_counter()

    def __enter__(self) -> "StudyProgress":
        """Begin."""
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End."""
        self._bar.__exit__(kind, error, traceback)

    def show(self, done: int, status: str) -> None:
        """Take note of the steps done; a line comes every few seconds, and for the last."""
        self._bar.update(self._task, completed=done, description=self._text.format(done), status=status)
        now = time.perf_counter()
        if not self._console.is_terminal and (done == self._total or now - self._last_line >= _SECONDS_BETWEEN_LINES):
            self._console.print(f"{self._text.format(done)}, {status}, {now - self._begun:.1f} s")
            self._last_line = now

"""How far a part of a study has come."""

import time

from rich.console import Console

from aejax.experiment.progress import WorkProgress


class StudyProgress(WorkProgress):
    """Shows steps of one kind of work as they are done."""

    def __init__(self, console: Console, work: str, total: int, units: str) -> None:
        """Show so many steps of some work on a console."""
        self._text, self._total = f"  {work}: {{}}/{total} {units}", total
        super().__init__(console, total, self._text.format(0), seconds_between_lines=10.0)
        self._begun = time.perf_counter()

    def show(self, done: int, status: str) -> None:
        """Take note of the steps done."""
        text = self._text.format(done)
        line = f"{text}, {status}, {time.perf_counter() - self._begun:.1f} s"
        self.advance_to(done, text, status, line=line, finished=done == self._total)

"""Progress display of a study."""

import time

from rich.console import Console

from aejax.experiment.progress import WorkProgress


class StudyProgress(WorkProgress):
    """Shows how many steps of a task are done."""

    def __init__(self, console: Console, work: str, total: int, units: str) -> None:
        """Shows the task on a console.

        Args:
          console: the console.
          work: the name of the task.
          total: its number of steps.
          units: what a step is, in the plural.
        """
        self._text, self._total = f"  {work}: {{}}/{total} {units}", total
        super().__init__(console, total, self._text.format(0))
        self._begun = time.perf_counter()

    def show(self, done: int, status: str) -> None:
        """Shows the number of steps done and a status."""
        text = self._text.format(done)
        line = f"{text}, {status}, {time.perf_counter() - self._begun:.1f} s"
        self.advance_to(done, text, (status, ""), line=line, finished=done == self._total)

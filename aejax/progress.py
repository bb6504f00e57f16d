"""What a person sees of a run while it trains: a bar on a terminal, plain lines elsewhere; and the table at its end."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from aejax.training import Report

_SECONDS_BETWEEN_LINES = 2.0


class TrainingProgress:
    """Shows reports as they come: epoch, training and validation loss, images per second."""

    def __init__(self, console: Console, epochs: int, start_epoch: float) -> None:
        """Show a run of so many epochs in all on a console; it begins when it is entered as a context."""
        self._console = console
        self._epochs = epochs
        self._bar = Progress(
            TextColumn("epoch {task.completed:.1f}/{task.total:g}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=epochs, status="compiling")
        self._bar.update(self._task, completed=start_epoch)
        self._validation = ""
        self._images = 0
        self._clock = time.perf_counter()
        self._last_line = self._clock

    def __enter__(self) -> "TrainingProgress":
        """Begin."""
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End."""
        self._bar.__exit__(kind, error, traceback)

    def show(self, report: Report) -> None:
        """Take note of a report; lines come every few seconds, and for the last report."""
        if report.evaluation is not None:
            self._validation = f", validation {report.evaluation['validation/loss']:.4g}"
        self._images += report.images
        now = time.perf_counter()
        rate = self._images / (now - self._clock)
        status = f"loss {report.loss:.4g}{self._validation}, {rate:,.0f} images/s"
        self._bar.update(self._task, completed=report.epoch, status=status)
        if not self._console.is_terminal and (report.finished or now - self._last_line >= _SECONDS_BETWEEN_LINES):
            self._console.print(f"epoch {report.epoch:.1f}/{self._epochs}: {status}", highlight=False)
            self._last_line = now
        if now - self._clock > 1.0:
            self._images, self._clock = 0, now


def summary_table(title: str, columns: dict[str, dict[str, float]]) -> Table:
    """Means of every loss term, a column per split.

    Args:
      title: of the table.
      columns: split -> term -> mean.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for term in sorted(next(iter(columns.values())), key=lambda term: (term != "loss", term)):
        table.add_row(term.replace("_", " "), *(f"{terms[term]:.4f}" for terms in columns.values()))
    return table

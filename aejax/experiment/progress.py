"""Output of a training run: a progress bar on a terminal, plain lines elsewhere, and the table at the end."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from aejax.autoencoders import Term
from aejax.host.escaping import printable
from aejax.training import Report

_FIRST_LINE, _GROWTH, _LONGEST = 2.0, 1.5, 600.0  # seconds between lines of a log: they grow up to the longest
_BAR, _LEFT = 8, 13  # characters: the shortest bar, and what the time left needs


class WorkProgress:
    """Shows progress: a bar with the time left on a terminal, lines at growing intervals in a log.

    Use it as a context manager.
    """

    def __init__(
        self, console: Console, total: float, description: str, *, status: str = "compiling", transient: bool = False
    ) -> None:
        """Show work of `total` steps on a console; the display starts when the context is entered.

        Args:
          console: where it is shown.
          total: the number of steps.
          description: what is done first, in front of the bar.
          status: the text behind the bar before the first step is done.
          transient: whether the bar disappears at the end.
        """
        self._console, self._seconds_between_lines = console, _FIRST_LINE
        self._is_live = _is_live(console)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[status]}", markup=False),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            disable=not self._is_live,
            expand=True,
            transient=transient,
        )
        self._task = self._bar.add_task(printable(description), total=total, status=status)
        self._last_line = time.perf_counter()

    def __enter__(self) -> Self:
        """Start the display."""
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the display."""
        self._bar.__exit__(kind, error, traceback)

    def advance_to(
        self, completed: float, description: str, status: Sequence[str], *, line: str, finished: bool
    ) -> None:
        """Update the bar to the completed steps; in a log, print the line if it is time for one, and at the end.

        Args:
          completed: the number of steps done.
          description: what is done, in front of the bar.
          status: the text behind the bar, as it should be and shorter; the first one that fits is shown.
          line: what a log shows instead of the bar.
          finished: whether this is the end.
        """
        room = self._console.width - len(description) - _BAR - _LEFT - 4
        shown = next((text for text in status if len(text) <= room), status[-1])
        self._bar.update(self._task, completed=completed, description=printable(description), status=printable(shown))
        now = time.perf_counter()
        if not self._is_live and (finished or now - self._last_line >= self._seconds_between_lines):
            self._console.print(printable(line), highlight=False, markup=False, emoji=False)
            self._last_line = now
            self._seconds_between_lines = min(_GROWTH * self._seconds_between_lines, _LONGEST)


class TrainingProgress(WorkProgress):
    """Shows the reports of training: epoch, training and validation loss, examples per second."""

    def __init__(self, console: Console, epochs: int, start_epoch: float) -> None:
        """Show a run of `epochs` epochs on a console, beginning at `start_epoch`."""
        super().__init__(console, epochs, _epoch_of(start_epoch, epochs))
        self._bar.update(self._task, completed=start_epoch)
        self._epochs = epochs
        self._validation: float | None = None
        self._examples = 0
        self._rate = ""
        self._clock: float | None = None  # starts at the first report, because compilation comes before it

    def show(self, report: Report) -> None:
        """Update the display with a report."""
        if report.evaluation is not None:
            self._validation = report.evaluation["validation/loss"]
        now = time.perf_counter()
        if self._clock is None:
            self._clock = now
        else:
            self._examples += report.examples
            rate = self._examples / (now - self._clock)
            self._rate = f", {rate:,.0f} examples/s" if rate >= 10 else f", {rate:.2g} examples/s"
        loss, short = f"loss {report.loss:.4g}", f"loss {report.loss:.4g}"
        if self._validation is not None:
            loss += f", validation {self._validation:.4g}"
            short = f"loss {self._validation:.4g}"
        texts = (f"training {loss}{self._rate}", f"{loss}{self._rate}", f"{short}{self._rate}", short)
        epoch = _epoch_of(report.epoch, self._epochs)
        self.advance_to(report.epoch, epoch, texts, line=f"{epoch}: {texts[0]}", finished=report.finished)
        if now - self._clock > 1.0:
            self._examples, self._clock = 0, now


@contextlib.contextmanager
def reading(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Context manager: a function of (what is done, how much, of how much) that shows data being read."""
    with contextlib.ExitStack() as stack:
        bars: dict[str, WorkProgress] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in bars:
                stack.close()  # the bar of what was done before
                bars[what] = stack.enter_context(WorkProgress(console, total, what, status="", transient=True))
            amount = f"{done:,} of {total:,}"
            bars[what].advance_to(done, what, (amount, ""), line=f"{what}: {amount}", finished=False)

        yield show


@contextlib.contextmanager
def working(console: Console, what: str) -> Iterator[None]:
    """Context manager that shows what is being done and for how long, where the number of steps is not known.

    A terminal shows it at once and removes it at the end; a log has one line if the work takes over two seconds.
    """
    if _is_live(console):
        columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        with Progress(*columns, console=console, transient=True) as bar:
            bar.add_task(printable(what), total=None)
            yield
        return
    timer = threading.Timer(_FIRST_LINE, console.print, args=(f"{what} ...",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _is_live(console: Console) -> bool:
    """Returns whether a display can be redrawn in place."""
    return console.is_terminal and not console.is_dumb_terminal


def _epoch_of(epoch: float, epochs: int) -> str:
    return f"epoch {f'{epoch:.1f}'.removesuffix('.0')}/{epochs}"


def summary_table(title: str, columns: dict[str, dict[str, float]], *, term_of: Callable[[str], Term]) -> Table:
    """Returns a table of the means of every term of the loss, a column per split.

    Args:
      title: the title of the table.
      columns: split -> term -> mean.
      term_of: maps a term to its title.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for term in sorted(next(iter(columns.values())), key=lambda term: (term != "loss", term)):
        table.add_row(term_of(term).title, *(f"{terms[term]:.4f}" for terms in columns.values()))
    return table

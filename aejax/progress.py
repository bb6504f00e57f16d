"""What a person sees of a run while it trains: a bar on a terminal, plain lines elsewhere; and the table at its end."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from aejax.evaluation import CodeStatistics
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
            disable=not _is_live(console),
        )
        self._task = self._bar.add_task("", total=epochs, status="compiling")
        self._bar.update(self._task, completed=start_epoch)
        self._validation = ""
        self._images = 0
        self._clock: float | None = None  # from the first report on, since until then it compiles
        self._last_line = time.perf_counter()

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
        now = time.perf_counter()
        status = f"loss {report.loss:.4g}{self._validation}"
        if self._clock is None:
            self._clock = now
        else:
            self._images += report.images
            status += f", {self._images / (now - self._clock):,.0f} images/s"
        self._bar.update(self._task, completed=report.epoch, status=status)
        if not _is_live(self._console) and (report.finished or now - self._last_line >= _SECONDS_BETWEEN_LINES):
            self._console.print(f"epoch {report.epoch:.1f}/{self._epochs}: {status}", highlight=False)
            self._last_line = now
        if now - self._clock > 1.0:
            self._images, self._clock = 0, now


def _is_live(console: Console) -> bool:
    """Whether a bar can be redrawn in place."""
    return console.is_terminal and not console.is_dumb_terminal


def describe_code(code: CodeStatistics) -> str:
    """What a code tells, in words, a line each; and whether the decoder makes no use of it.

    >>> print(describe_code(CodeStatistics(10, 9, 0.25, 1.5)))
    code: 9 of 10 units vary over the test examples, 25 % of all entries are not 0; mean norm of the Jacobian 1.5
    """
    of_posterior = "units are active (the variance of the posterior's mean is above 0.01)"
    used = of_posterior if code.mutual_information is not None else "units vary over the test examples"
    line = f"code: {code.active_units} of {code.units} {used}"
    if code.nonzero_fraction < 1:
        line += f", {code.nonzero_fraction:.0%} of all entries are not 0".replace("%", " %")
    if code.saturation is not None:
        line += f", {code.saturation:.0%} are saturated".replace("%", " %")
    lines = [f"{line}; mean norm of the Jacobian {code.frobenius_norm:.3g}"]
    if code.mutual_information is not None:
        line = f"mutual information of example and code {code.mutual_information:.2f} nats"
        if code.kl_per_unit is not None:
            line += f"; KL by unit from {code.kl_per_unit.min():.3f} to {code.kl_per_unit.max():.3f} nats"
        lines.append(line)
    if code.is_collapsed:
        lines.append(
            "the posterior has collapsed: the decoder ignores nearly all of the code; "
            "a smaller --beta, --beta-schedule linear or --free-bits may help"
        )
    return "\n".join(lines)


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

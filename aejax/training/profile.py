"""A trace of some training steps, for TensorBoard and for Perfetto."""

from pathlib import Path
from types import TracebackType
from typing import Self

import jax

from aejax.training.loop import Report

_MOST_STEPS, _MOST_CALLS = 200, 20


class Profile:
    """Traces a few compiled calls from the second on, when nothing is left to be compiled; a context.

    The trace is written when it ends: `tensorboard --logdir FOLDER` (with the profile plug-in) shows it, and
    perfetto_trace.json.gz in the innermost folder is opened by https://ui.perfetto.dev.
    """

    def __init__(self, folder: str | Path | None) -> None:
        """Trace into a folder, which is made where there is none; without one nothing is traced."""
        self.folder = None if folder is None else Path(folder)
        self.steps: int | None = None  # traced, when the trace is written
        self._first: int | None = None  # step before the trace
        self._last = 0
        self._calls = 0
        self._is_open = False

    def __enter__(self) -> Self:
        """Begin with the next report."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what has been traced, if that has not happened yet."""
        self._stop()

    def note(self, report: Report) -> None:
        """Take note of a report: the first one starts the trace, a later one ends it."""
        if self.folder is None:
            return
        if self._first is None:
            self._first, self._is_open = report.step, True
            jax.profiler.start_trace(str(self.folder), create_perfetto_trace=True)
        elif self._is_open:
            self._calls, self._last = self._calls + 1, report.step
            if report.finished or report.step - self._first >= _MOST_STEPS or self._calls >= _MOST_CALLS:
                self._stop()

    def _stop(self) -> None:
        if self._is_open:
            self._is_open = False
            jax.profiler.stop_trace()
            assert self._first is not None
            self.steps = max(self._last - self._first, 0)

"""Profiles of some training steps, for TensorBoard and Perfetto."""

from pathlib import Path
from types import TracebackType
from typing import Self

import jax

from aejax.training.loop import Report

_MAX_STEPS, _MAX_CALLS = 200, 20


class Profile:
    """Context manager that traces a few compiled calls, from the second one on, after compilation.

    The trace is written at its end. `tensorboard --logdir FOLDER` (with the profile plug-in) shows it, and
    https://ui.perfetto.dev opens the file perfetto_trace.json.gz in the innermost folder.
    """

    def __init__(self, folder: str | Path | None) -> None:
        """Sets the folder of the trace, which is created if it does not exist; None disables tracing."""
        self.folder = None if folder is None else Path(folder)
        self.steps: int | None = None  # the number of traced steps, once the trace is written
        self._first: int | None = None  # the step before the trace
        self._last = 0
        self._calls = 0
        self._is_open = False

    def __enter__(self) -> Self:
        """Returns the profile; the next report starts the trace."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Writes the trace, unless it is already written."""
        self._stop()

    def note(self, report: Report) -> None:
        """Processes a report: the first one starts the trace, a later one ends it."""
        if self.folder is None:
            return
        if self._first is None:
            self._first, self._is_open = report.step, True
            jax.profiler.start_trace(str(self.folder), create_perfetto_trace=True)
        elif self._is_open:
            self._calls, self._last = self._calls + 1, report.step
            if report.finished or report.step - self._first >= _MAX_STEPS or self._calls >= _MAX_CALLS:
                self._stop()

    def _stop(self) -> None:
        if self._is_open:
            self._is_open = False
            jax.profiler.stop_trace()
            assert self._first is not None
            self.steps = max(self._last - self._first, 0)

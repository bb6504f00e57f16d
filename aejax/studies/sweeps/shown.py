"""Progress display of a sweep: one line of progress for each group that is trained, and for each that is measured."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console

from aejax.studies.progress import StudyProgress
from aejax.studies.sweeps.study import Step


@contextlib.contextmanager
def steps_shown(console: Console) -> Iterator[Callable[[Step], None]]:
    """Yields the function that shows every step of a sweep on a console, for `train_members`."""
    with contextlib.ExitStack() as stack:
        displays: dict[tuple[int, bool], StudyProgress] = {}

        def on_step(step: Step) -> None:
            measured = step.trained.measured
            place = (step.group, measured > 0)
            if place not in displays:
                stack.close()
                of_all = "" if step.groups == 1 else f"[{step.group + 1}/{step.groups}] "
                work = ("measuring", step.members, "autoencoders") if measured else ("training", step.epochs, "epochs")
                displays[place] = stack.enter_context(StudyProgress(console, f"{of_all}{work[0]}", *work[1:]))
            autoencoders = "" if measured else f"{step.members} autoencoders, "
            status = f"{autoencoders}mean loss {step.trained.loss:.4g}"
            displays[place].show(measured or step.trained.epoch, status)

        yield on_step

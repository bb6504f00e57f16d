"""Training of all groups of a sweep from the terminal: progress, a folder to continue from, and its lock."""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aejax.host.commands import verb_command

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    import jax

    from aejax.host.terminal import PlainConsole
    from aejax.studies.sweeps.members import Measure, Member
    from aejax.studies.sweeps.study import Step, Sweep


def train_all(
    ready: "Sweep",
    folder: Path,
    *,
    resume: Sequence[str],
    devices: "Sequence[jax.Device]",
    console: "PlainConsole",
    measure: "Measure | None" = None,
) -> "list[Member]":
    """Trains all groups of a sweep with a progress display for each, and returns its members.

    A folder with nothing in it to continue from is removed if training fails.

    Args:
      ready: the sweep.
      folder: its folder.
      resume: the words of the command that continues it, without the folder.
      devices: the devices among which members are divided.
      console: where progress is shown.
      measure: as for `aejax.studies.sweeps.study.train_members`.
    """
    from aejax.studies.progress import StudyProgress
    from aejax.studies.sweeps.study import GROUPS, lock, train_members

    with contextlib.ExitStack() as stack:
        displays: dict[tuple[int, bool], StudyProgress] = {}

        def on_step(step: "Step") -> None:
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

        held = lock(folder)
        try:
            return train_members(ready, folder=folder, devices=devices, on_step=on_step, measure=measure)
        except KeyboardInterrupt:
            console.print(f"stopped; continue with: {verb_command(*resume, folder)}")
            raise
        except Exception:
            if not any((folder / GROUPS).iterdir()):  # nothing to keep, and the folder would block another sweep
                shutil.rmtree(folder)
            raise
        finally:
            held.release()

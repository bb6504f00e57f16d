"""Training of all groups of a sweep from the terminal: progress, a folder to continue from, and its lock."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aejax.host.commands import verb_command

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    import jax

    from aejax.host.terminal import PlainConsole
    from aejax.studies.sweeps.members import Measure, Member
    from aejax.studies.sweeps.study import Sweep


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
    from aejax.studies.sweeps.shown import steps_shown
    from aejax.studies.sweeps.study import GROUPS, lock, train_members

    with steps_shown(console) as on_step:
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

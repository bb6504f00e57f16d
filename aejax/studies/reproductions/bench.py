"""Where a reproduction works: runs that are trained once and continued, and numbers that are measured once."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from aejax.datasets.dataset import Splits
from aejax.experiment.configuration import Data, Experiment
from aejax.experiment.job import make_job
from aejax.experiment.loading import bytes_of, load_splits, locate
from aejax.experiment.run import train_run
from aejax.experiment.run_folder import check_unchanged, is_unbegun, read_experiment, read_records
from aejax.experiment.trained import TrainedRun, open_run
from aejax.host.files import read_text, write_text
from aejax.host.terminal import PlainConsole
from aejax.studies.sweeps.members import Measure, Member
from aejax.studies.sweeps.shown import steps_shown
from aejax.studies.sweeps.study import Sweep, check_same_data, create, lock, train_members
from aejax.training.devices import choose_devices

_RUNS, _SWEEPS, _NUMBERS = "runs", "sweeps", "measured"
_MAX_BYTES = 2**24


class Bench:
    """A folder of runs and of measured numbers; what it holds is not trained or measured again."""

    def __init__(
        self, folder: Path, *, budget: str, seeds: int, data_dir: str | None = None, console: Console | None = None
    ) -> None:
        """Stores the arguments.

        Args:
          folder: an existing folder, in which runs and numbers are kept.
          budget: full, reduced or smoke.
          seeds: the number of seeds of every setting.
          data_dir: the folder of prepared data sets, as the knob of this name; None for its default.
          console: the console for progress; None prints nothing.
        """
        self.folder, self.budget, self.seeds, self.console = folder, budget, seeds, console
        self._data_dir = data_dir
        self._loaded: dict[Data, Splits] = {}

    def train(self, name: str, experiment: Experiment) -> TrainedRun:
        """Returns a run that is trained to its end: opened if it is there, continued if it was stopped.

        Args:
          name: of its folder, different for every experiment of the reproduction.
          experiment: its configuration.

        Raises:
          UserError: the data are not at hand, or the folder holds a run of another experiment.
          StoppedError: the training was stopped by Ctrl-C or SIGTERM.
        """
        experiment = replace(experiment, data=self.data(experiment.data))
        folder = self.folder / _RUNS / name
        begun = folder.exists() and not is_unbegun(folder)
        if begun and _is_finished(folder):
            check_unchanged(read_experiment(folder), experiment, folder)
            return open_run(folder)._replace(load_splits=lambda: self.splits(experiment))
        folder.parent.mkdir(exist_ok=True)
        devices = _devices_for(experiment.training.batch_size)
        if begun:
            return train_run(
                experiment, folder, resume=True, devices=devices, figures=False, console=self.console, title=name
            )
        job = make_job(experiment, self.splits(experiment))
        return train_run(job, folder, devices=devices, figures=False, console=self.console, title=name)

    def sweep(self, name: str, ready: Sweep, *, measure: Measure | None = None) -> list[Member]:
        """Returns the members of a sweep that is trained to its end, continued if it was stopped.

        Args:
          name: of its folder, different for every sweep of the reproduction.
          ready: the sweep, from `prepare` or `arrange`.
          measure: what is measured of every member besides the terms of its loss; None for nothing.

        Raises:
          UserError: the folder holds a sweep on other data, or another process is running it.
        """
        folder = self.folder / _SWEEPS / name
        if folder.exists():
            check_same_data(folder, ready)
        else:
            create(folder, ready)
        held = lock(folder)
        try:
            with steps_shown(self.console or PlainConsole(quiet=True)) as on_step:
                return train_members(ready, folder=folder, devices=jax.devices(), on_step=on_step, measure=measure)
        finally:
            held.release()

    def data(self, data: Data) -> Data:
        """Returns the data with the folder of data sets that the user named, if any."""
        return locate(data if self._data_dir is None else replace(data, data_dir=self._data_dir))

    def splits(self, experiment: Experiment) -> Splits:
        """Returns the examples of an experiment, read once for all experiments with the same data."""
        data = self.data(experiment.data)
        if data not in self._loaded:
            self._loaded[data] = load_splits(data, bytes_as=bytes_of(experiment))
        return self._loaded[data]

    def measured(self, name: str, measure: Callable[[], Any]) -> Any:
        """Returns numbers that are measured once: read from their file if they are there.

        Args:
          name: of the file, without its suffix.
          measure: returns what JSON can hold.
        """
        path = self.folder / _NUMBERS / f"{name}.json"
        if path.exists():
            return json.loads(read_text(path, limit=_MAX_BYTES))
        found = measure()
        path.parent.mkdir(exist_ok=True)
        write_text(path, json.dumps(found) + "\n")
        return found

    def note(self, line: str) -> None:
        """Print a line, if there is a console."""
        if self.console is not None:
            self.console.print(line)


def _devices_for(batch_size: int) -> list[jax.Device]:
    """Returns as many devices as divide a batch: papers' batches are small, and the result does not depend on them."""
    devices = choose_devices(None)
    number = max(number for number in range(1, len(devices) + 1) if batch_size % number == 0)
    return devices[:number]


def _is_finished(folder: Path) -> bool:
    """Returns whether a run has its last record, that of test examples."""
    records = read_records(folder)
    return bool(records) and "test/loss" in records[-1]

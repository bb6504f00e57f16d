"""The folder that a run leaves behind: config.json, data.sha256, metrics.jsonl, events/, checkpoints/, figures/."""

import json
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from aejax.configuration import Experiment, differences, from_json, to_json
from aejax.errors import UserError
from aejax.training.checkpoints import Checkpoints

_CONFIG, _DATA = "config.json", "data.sha256"
Record = dict[str, Any]  # step, epoch, and means named train/..., validation/... and test/...


class RunFolder:
    """An open run: its experiment, its records so far, and where the next ones go."""

    def __init__(self, path: Path, experiment: Experiment) -> None:
        """Use `create` or `resume`."""
        self.path = path
        self.experiment = experiment
        self.checkpoints = Checkpoints(path / "checkpoints")
        self.figures = path / "figures"
        self.figures.mkdir(exist_ok=True)
        self._metrics = path / "metrics.jsonl"
        self._events: SummaryWriter | None = None

    @classmethod
    def create(cls, path: Path, experiment: Experiment, data_fingerprint: str) -> "RunFolder":
        """Make the folder of a new run; UserError where something of that name exists."""
        check_absent(path)
        try:
            path.mkdir(parents=True)
            (path / _CONFIG).write_text(to_json(experiment))
            (path / _DATA).write_text(data_fingerprint + "\n")
            return cls(path, experiment)
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from error

    @classmethod
    def resume(cls, path: Path) -> "RunFolder":
        """Open the folder of a run; UserError where it is none, or where config and checkpoints are not of one run."""
        experiment = read_experiment(path)
        if not (path / "checkpoints").is_dir():
            raise UserError(f"{path}: cannot be resumed, it has no checkpoints")
        run = cls(path, experiment)
        if changed := differences(run.checkpoints.experiment(), experiment):
            raise UserError(f"{path / _CONFIG}: does not match the checkpoints: {_list_changes(changed)}")
        return run

    def check_data(self, data_fingerprint: str, dataset: str) -> None:
        """As `check_data_of_run` of this folder."""
        check_data_of_run(self.path, data_fingerprint, dataset)

    def records(self) -> list[Record]:
        """Every record written so far, in order; a last line that was cut off is left out."""
        if not self._metrics.exists():
            return []
        records = []
        for line in self._metrics.read_text().splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                break  # the process was killed while it wrote this line
        return records

    def rewind(self, step: int) -> None:
        """Forget the records after a step, and those of the test examples: they will be written again."""
        kept = [
            record
            for record in self.records()
            if record["step"] <= step and not any(name.startswith("test/") for name in record)
        ]
        partial = self._metrics.with_suffix(".partial")
        partial.write_text("".join(json.dumps(record) + "\n" for record in kept))
        partial.replace(self._metrics)
        self._events = SummaryWriter(str(self.path / "events"), purge_step=step + 1)

    def write(self, record: Record) -> None:
        """Append one record to metrics.jsonl and to the TensorBoard events."""
        with self._metrics.open("a") as file:
            file.write(json.dumps(record) + "\n")
        if self._events is None:
            self._events = SummaryWriter(str(self.path / "events"))
        for name, value in record.items():
            if "/" in name:
                self._events.add_scalar(name, value, record["step"])
        self._events.flush()

    def close(self) -> None:
        """Let go of the files."""
        self.checkpoints.close()
        if self._events is not None:
            self._events.close()


def check_absent(path: Path) -> None:
    """Raise UserError where a new run would meet something that exists."""
    if path.exists():
        raise UserError(f"{path}: exists already; take another --run-dir, or continue that run with --resume {path}")


def read_experiment(path: Path) -> Experiment:
    """The experiment of a run folder; UserError where the folder is no run."""
    config = path / _CONFIG
    try:
        return from_json(config.read_bytes(), name=str(config))
    except OSError as error:
        raise UserError(f"{path}: is no run folder, {config.name} cannot be read: {error.strerror}") from error


def check_data_of_run(path: Path, data_fingerprint: str, dataset: str) -> None:
    """Raise UserError where the data are not those that the run in a folder was begun with."""
    saved = path / _DATA
    if saved.exists() and saved.read_text().strip() != data_fingerprint:
        raise UserError(f"{dataset}: is not what {path} was begun with: examples or labels have changed")


def check_unchanged(saved: Experiment, given: Experiment, path: Path) -> None:
    """Raise UserError where a run would be resumed with another experiment than its own."""
    if changed := differences(saved, given):
        raise UserError(
            f"{path}: was made with other values: {_list_changes(changed)}; to change them, start a new run"
        )


def _list_changes(changed: dict[str, tuple[Any, Any]]) -> str:
    return ", ".join(f"{knob} was {was} and is now {now}" for knob, (was, now) in changed.items())

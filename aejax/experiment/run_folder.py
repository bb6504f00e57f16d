"""Run folders: config.json, facts.json, data.sha256, metrics.jsonl, events/, checkpoints/, figures/, scores."""

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from aejax.errors import UserError, knob_name
from aejax.experiment.configuration import Experiment, differences, from_json, to_json
from aejax.experiment.facts import FILE, Facts, write_facts
from aejax.experiment.own_autoencoder import DIGEST, copy_own
from aejax.experiment.own_autoencoder import FILE as OWN_AUTOENCODER
from aejax.experiment.presets import training_command
from aejax.host.commands import verb_command
from aejax.host.files import check_tree, read_bytes, read_text, write_text
from aejax.host.schema import MAX_VALUE, check_record, parse_json
from aejax.training.checkpoints import Checkpoints
from aejax.training.loop import Snapshot

if TYPE_CHECKING:  # imported where it is used: it takes seconds to import where PyTorch is installed
    from tensorboardX.event_file_writer import EventsWriter

_CONFIG, _DATA, _METRICS, _LOCK = "config.json", "data.sha256", "metrics.jsonl", ".lock"
STARTED_FROM = "started_from.json"  # of a run that goes on from another one
PLACES = frozenset({"dataset", "labels", "data_dir"})  # knobs that say where the data are
_MAX_CONFIG, _MAX_METRICS = 2**20, 2**30  # bytes
_FILES = {_CONFIG, FILE, _DATA, _METRICS, _LOCK, OWN_AUTOENCODER, DIGEST, STARTED_FROM}
_CONTENTS = _FILES | {"events", "checkpoints", "figures"}
Record = dict[str, Any]  # step, epoch, and means named train/..., validation/... and test/...


class RunFolder:
    """A run folder that is open for writing: its experiment, records and checkpoints."""

    def __init__(self, path: Path, experiment: Experiment) -> None:
        """Use `create` or `resume`."""
        self._lock = _lock(path)
        self.path = path
        self.experiment = experiment
        self.checkpoints = Checkpoints(path / "checkpoints")
        self.figures = path / "figures"
        self._metrics = path / _METRICS
        self._events: "EventsWriter | None" = None

    @classmethod
    def create(
        cls,
        path: Path,
        experiment: Experiment,
        data_fingerprint: str,
        facts: Facts | None = None,
        *,
        started_from: str | None = None,
    ) -> "RunFolder":
        """Returns the folder of a new run, which is created.

        Args:
          path: the folder; a folder that `is_unbegun` is replaced.
          experiment: the run's experiment.
          data_fingerprint: the fingerprint of the data, with which a continued run is checked.
          facts: the facts of the training examples; None to write none.
          started_from: the document about the run that this one goes on from; None for random parameters.

        Raises:
          UserError: the path exists and is not the folder of an unbegun run, or it cannot be written.
        """
        check_absent(path)
        unfinished = path.with_name(f".{path.name}.partial")  # renamed when complete, so `path` is never incomplete
        with _in_one_line(path):
            shutil.rmtree(unfinished, ignore_errors=True)
            if path.exists():
                another = f"use another {knob_name('run_dir')}"
                with _lock(path, taken=f"exists already, and another process is writing to it; {another}"):
                    shutil.rmtree(path)
            unfinished.mkdir(parents=True)
            write_text(unfinished / _CONFIG, to_json(experiment))
            write_text(unfinished / _DATA, data_fingerprint + "\n")
            if facts is not None:
                write_facts(unfinished, facts)
            if started_from is not None:
                write_text(unfinished / STARTED_FROM, started_from)
            if experiment.model.autoencoder is not None:
                copy_own(Path(experiment.model.autoencoder), unfinished)
            (unfinished / "figures").mkdir()
            unfinished.rename(path)
        return cls(path, experiment)

    @classmethod
    def resume(cls, path: Path) -> "RunFolder":
        """Returns the folder of a run that is continued.

        Raises:
          UserError: the folder is not a run folder; its configuration does not match its checkpoints; it holds links or
            special files; another process is writing to it.
        """
        experiment = read_experiment(path)
        check_tree(path, links=False)  # a continued run must not write outside its folder
        with _in_one_line(path):
            (path / "figures").mkdir(exist_ok=True)
        run = cls(path, experiment)
        try:
            # records are written after a complete checkpoint, so a folder with records must have one
            saved = run.saved_experiment() if run.checkpoints.has_begun or run.records() else experiment
            if changed := differences(saved, experiment):
                raise UserError(f"{path / _CONFIG}: does not match the checkpoints: {list_changes(changed)}")
        except BaseException:
            run.close()
            raise
        return run

    def save(self, snapshot: Snapshot) -> None:
        """Write a checkpoint of this run, as `Checkpoints.save` does."""
        self.checkpoints.save(snapshot, to_json(self.experiment))

    def saved_experiment(self) -> Experiment:
        """Returns the experiment of the newest complete checkpoint; UserError if there is none."""
        text, name = self.checkpoints.experiment()
        return from_json(text, name=name)

    def check_data(self, data_fingerprint: str, dataset: str) -> None:
        """Calls `check_data_of_run` for this folder."""
        check_data_of_run(self.path, data_fingerprint, dataset)

    def records(self) -> list[Record]:
        """Returns the records of this folder, as `read_records` does."""
        return read_records(self.path)

    def rewind(self, step: int, *, evaluating: bool = False) -> None:
        """Remove the records after a step, and those of the test examples, which will be written again.

        Args:
          step: the step of the checkpoint that the run continues from.
          evaluating: whether the checkpoint was written during the evaluation after that step, so that the record of
            this step will be written again too.
        """
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        last = step - evaluating
        kept = [
            record
            for record in self.records()
            if record["step"] <= last and not any(name.startswith("test/") for name in record)
        ]
        partial = self._metrics.with_suffix(".partial")
        with _in_one_line(self.path):
            partial.unlink(missing_ok=True)
            partial.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
            partial.replace(self._metrics)
            start = SessionLog(status=SessionLog.START)  # makes TensorBoard discard the events after the step
            self._open_events().write_event(Event(step=last + 1, wall_time=time.time(), session_log=start))

    def write(self, record: Record) -> None:
        """Append one record to metrics.jsonl and to the TensorBoard events, after pending checkpoints are complete.

        Values that are not finite, which JSON cannot represent, and values beyond `schema.MAX_VALUE` are left out.

        Raises:
          UserError: `schema.check_record` refuses the record, or it cannot be written.
        """
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        self.checkpoints.wait()
        record = check_record({name: value for name, value in record.items() if abs(value) <= MAX_VALUE})
        with _in_one_line(self.path):
            with self._metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record, allow_nan=False) + "\n")
            events = self._events or self._open_events()
            for name, value in record.items():
                if "/" in name:
                    events.write_event(Event(step=record["step"], wall_time=time.time(), summary=scalar(name, value)))
            events.flush()

    def close(self) -> None:
        """Close all files, and release the folder for other processes."""
        self.checkpoints.close()
        if self._events is not None:
            events, self._events = self._events, None
            with _in_one_line(self.path):
                events.close()
        self._lock.release()

    def _open_events(self) -> "EventsWriter":
        from tensorboardX.event_file_writer import EventsWriter

        if self._events is not None:
            self._events.close()
        (self.path / "events").mkdir(exist_ok=True)
        self._events = EventsWriter(str(self.path / "events" / "events"), f".{os.getpid()}.{time.monotonic_ns()}")
        return self._events


def _lock(path: Path, taken: str = "another process is writing to this run; stop it, or wait for its end") -> FileLock:
    """Lock the folder until it is released or the process ends; UserError if another process holds the lock."""
    lock = FileLock(path / _LOCK, thread_local=False)
    with _in_one_line(path):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(f"{path}: {taken}") from error
    return lock


def check_absent(path: Path) -> None:
    """Raise UserError if the folder of a new run exists, unless it `is_unbegun`."""
    if (path / _CONFIG).is_file():
        if not is_unbegun(path):
            raise UserError(
                f"{path}: exists already; use another {knob_name('run_dir')}, or continue that run with "
                f"{verb_command('train', '--resume', path)}"
            )
    elif os.path.lexists(path):
        raise UserError(f"{path}: exists already, and is no run folder; use another {knob_name('run_dir')}")


def is_unbegun(path: Path) -> bool:
    """Returns whether a folder is that of a run that was stopped before its first step, so that nothing would be lost.

    Such a folder holds only files of a run, no record, and no checkpoint after a step; of a run that goes on from
    another one, at most the first checkpoint.
    """
    if path.is_symlink() or not (path / _CONFIG).is_file() or set(os.listdir(path)) - _CONTENTS:
        return False
    metrics, checkpoints = path / _METRICS, path / "checkpoints"
    if os.path.lexists(metrics) and not (metrics.is_file() and metrics.stat().st_size == 0):
        return False
    names = os.listdir(checkpoints) if checkpoints.is_dir() else []
    steps = [int(name) for name in names if name.isdecimal()]
    return len(steps) <= 1 if (path / STARTED_FROM).is_file() else not any(steps)


def discard_unbegun(path: Path) -> None:
    """Remove a run folder if it `is_unbegun`."""
    if is_unbegun(path):
        with _in_one_line(path):
            shutil.rmtree(path)


@contextlib.contextmanager
def _in_one_line(path: Path) -> Iterator[None]:
    """Convert an OSError about a file of the run to a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be read or written: {error.strerror}") from error


def read_records(path: Path) -> list[Record]:
    """Returns every record that a run has written so far, in order; an incomplete last line is left out.

    Raises:
      UserError: a complete line is not a valid record.
    """
    metrics = path / _METRICS
    if not metrics.exists() and not metrics.is_symlink():
        return []
    lines = read_bytes(metrics, limit=_MAX_METRICS).split(b"\n")
    records = []
    for number, line in enumerate(lines[:-1], 1):  # text after the last line end is incomplete: the run was killed
        try:
            records.append(check_record(parse_json(line, name="the line")))
        except UserError as error:
            damage = f"line {number} is not a record of a run; the file was changed or damaged: {error}"
            raise UserError(f"{metrics}: {damage}") from error
    return records


def read_experiment(path: Path) -> Experiment:
    """Returns the experiment of a run folder; UserError if the folder is not a run folder."""
    config = path / _CONFIG
    if not config.exists() and not config.is_symlink():
        raise UserError(f"{path}: is no run folder, {config.name} cannot be read: No such file or directory")
    return from_json(read_bytes(config, limit=_MAX_CONFIG), name=str(config))


def read_fingerprint(path: Path) -> str:
    """Returns the fingerprint of the data that a run began with; UserError if its file is damaged."""
    saved = read_text(path / _DATA, limit=_MAX_CONFIG).strip()
    if not re.fullmatch("[0-9a-f]+", saved):
        raise UserError(f"{path / _DATA}: holds no fingerprint of data; it was changed or damaged")
    return saved


def check_data_of_run(path: Path, data_fingerprint: str, dataset: str) -> None:
    """Raise UserError if the data are not those that a run began with."""
    if read_fingerprint(path) != data_fingerprint:
        raise UserError(f"{dataset}: is not the data that {path} began with: examples or labels have changed")


def check_unchanged(saved: Experiment, given: Experiment, path: Path) -> None:
    """Raise UserError, with advice, if a run would be continued with another experiment than its own."""
    changed = differences(saved, given)
    if not changed:
        return
    if set(changed) <= PLACES:
        raise UserError(
            f"{path}: began with other data: {list_changes(changed)}; if the same data are now in another place, give "
            f"it by {knob_name('data')}"
        )
    raise UserError(
        f"{path}: began with other values: {list_changes(changed)}; a run keeps the values that it began with. A new "
        f"run can go on from it by {knob_name('started_from')}, or begin with {training_command(given)}"
    )


def list_changes(changed: dict[str, tuple[Any, Any]]) -> str:
    """Returns the knobs in which two experiments differ, with both values, as text."""
    return ", ".join(f"{knob} was {was} and is now {now}" for knob, (was, now) in changed.items())

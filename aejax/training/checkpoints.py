"""Checkpoints of a run: a snapshot and its experiment, written atomically by Orbax, proved whole when they are read."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import jax
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from aejax.configuration import Experiment, from_json, to_json
from aejax.errors import UserError
from aejax.training.early_stopping import EarlyStopping
from aejax.training.loop import Snapshot

KEEP = 2  # the newest, and one to fall back on
_CHECKSUMS = "sha256sums"


class Checkpoints:
    """The checkpoints in one folder, named by their step; the newest `KEEP` stay.

    Beside Orbax's files each holds the SHA-256 of every one of them. Where the newest is not whole (torn, damaged, not
    finished), the one before it is read, and `faults` says what was wrong. Files are written while training goes on:
    an error in writing is raised by the next `save`, or by `close`.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Open a folder, and make it where there is none; read-only, as one of several processes that do not write."""
        self._folder = folder.absolute()
        if not read_only:
            self._folder.mkdir(parents=True, exist_ok=True)
        here = jax.process_index()  # by itself: of several processes each opens the folder at its own time
        options = ocp.CheckpointManagerOptions(
            max_to_keep=None if read_only else KEEP,
            read_only=read_only,
            create=False,
            multiprocessing_options=ocp.options.MultiprocessingOptions(
                primary_host=here, active_processes={here}, barrier_sync_key_prefix=f"process{here}"
            ),
        )
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._written: Future[None] | None = None  # of the checkpoint that was begun last
        self._manager = ocp.CheckpointManager(self._folder, options=options)
        self.faults: dict[int, str] = {}  # by step: of the checkpoints after the newest whole one
        for step in sorted(self._manager.all_steps(), reverse=True):
            if (fault := _fault(self._folder / str(step))) is None:
                break
            self.faults[step] = f"checkpoint {step} {fault}"

    def save(self, snapshot: Snapshot, experiment: Experiment) -> None:
        """Write a snapshot; a checkpoint of its step that is there already stays as it is.

        The arrays are copied before this returns, so that the next step may use their buffers.

        Raises:
          UserError: this checkpoint or the one before it cannot be written.
        """
        self.wait()
        step = int(snapshot.state.step)
        if step in self._manager.all_steps():
            return
        record = {
            "experiment": to_json(experiment),
            "stopping": snapshot.stopping._asdict(),
            "sums": snapshot.sums,
            "steps_summed": snapshot.steps_summed,
        }
        arguments = ocp.args.Composite(
            arrays=ocp.args.StandardSave(_arrays(snapshot)), record=ocp.args.JsonSave(record)
        )
        with _cannot_write(self._folder):
            self._manager.save(step, args=arguments)
        self._written = self._writer.submit(self._finish, step)

    def wait(self) -> None:
        """Return when what is being written is on disk; UserError where it cannot be."""
        if self._written is not None:
            written, self._written = self._written, None
            with _cannot_write(self._folder):
                written.result()

    def experiment(self) -> Experiment:
        """The experiment of the newest whole checkpoint; UserError where there is none."""
        step = self._newest_step()
        content = self._manager.restore(step, args=ocp.args.Composite(record=ocp.args.JsonRestore()))
        return from_json(content.record["experiment"], name=f"checkpoint {step}")

    def restore(self, template: Snapshot) -> Snapshot:
        """The newest whole checkpoint; UserError where there is none.

        Args:
          template: a snapshot of the same experiment, for its structure, shapes and dtypes.
        """
        expected = _arrays(template)
        if jax.process_count() == 1:
            expected = jax.tree.map(ocp.utils.to_shape_dtype_struct, expected)
        content = self._manager.restore(
            self._newest_step(),
            args=ocp.args.Composite(arrays=ocp.args.StandardRestore(expected), record=ocp.args.JsonRestore()),
        )
        state, record = content.arrays["state"], content.record
        return Snapshot(
            state._replace(key=jax.random.wrap_key_data(state.key)),
            content.arrays["best_params"],
            EarlyStopping(**record["stopping"]),
            record["sums"],
            record["steps_summed"],
        )

    def remove_faulty(self) -> None:
        """Remove what lies after the newest whole checkpoint: it will be written again."""
        for step in self.faults:
            self._manager.delete(step)

    def close(self) -> None:
        """Let go of the folder, when what is being written is on disk; UserError where it cannot be."""
        try:
            self.wait()
        finally:
            self._writer.shutdown()
            with _cannot_write(self._folder):
                self._manager.close()

    def _finish(self, step: int) -> None:
        self._manager.wait_until_finished()
        _write_checksums(self._folder / str(step))

    def _newest_step(self) -> int:
        whole = set(self._manager.all_steps()) - set(self.faults)
        if not whole:
            raise UserError("; ".join([f"{self._folder} holds no whole checkpoint", *self.faults.values()]))
        return max(whole)


@contextlib.contextmanager
def _cannot_write(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of TensorStore, Orbax or the system: of no common type
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{folder}: a checkpoint cannot be written: {reason}") from error


def _arrays(snapshot: Snapshot) -> PyTree:
    state = snapshot.state._replace(key=jax.random.key_data(snapshot.state.key))
    arrays = {"state": state, "best_params": snapshot.best_params}
    # of several processes Orbax takes arrays that are spread over all, and these are whole in each
    return arrays if jax.process_count() == 1 else jax.device_get(arrays)


def _checksums(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _CHECKSUMS)
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files)


def _write_checksums(folder: Path) -> None:
    partial = folder / f"{_CHECKSUMS}.partial"
    partial.write_text(_checksums(folder))
    os.replace(partial, folder / _CHECKSUMS)


def _fault(folder: Path) -> str | None:
    checksums = folder / _CHECKSUMS
    if not checksums.is_file():
        return "was not finished"
    return (
        None if checksums.read_bytes() == _checksums(folder).encode() else "is torn: a file has changed or is missing"
    )

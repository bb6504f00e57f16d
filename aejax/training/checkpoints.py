"""Checkpoints of a run: a snapshot and its experiment, written atomically by Orbax and verified when they are read."""

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
import tensorstore as ts
from jaxtyping import PyTree
from orbax.checkpoint.checkpoint_managers import PreservationContext

from aejax.errors import UserError
from aejax.host.files import check_tree, read_bytes
from aejax.host.schema import CheckpointRecord, validated
from aejax.training.early_stopping import EarlyStopping
from aejax.training.loop import Snapshot

KEEP = 2  # the newest one and the one before it, which must be complete while the newest is written
_CHECKSUMS = "sha256sums"
_MAX_CHECKSUMS = 2**24  # bytes
_ARRAY_METADATA = "/.zarray"
_BYTES_OF_OTHER_FILES = 2**17  # of a checkpoint: about ten small files


class Checkpoints:
    """The checkpoints in one folder, named by their step; the newest `KEEP` and the best are kept.

    The best checkpoint is the first one written after the evaluation with the lowest validation loss so far.

    Each checkpoint contains the SHA-256 of all its files. If the newest one is incomplete or damaged, the one before it
    is read, and `faults` describes what was wrong. Files are written while training continues: an error in writing is
    raised by the next `save`, or by `close`.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Opens a folder, and creates it unless it exists; read-only for processes that do not write.

        Raises:
          UserError: the folder cannot be created or read.
        """
        self._folder = folder.resolve()  # TensorStore refuses paths with ".."
        try:
            if not read_only:
                self._folder.mkdir(parents=True, exist_ok=True)
            with _no_warnings_of_orbax() if read_only else contextlib.nullcontext():
                self._open(read_only)
        except Exception as error:  # errors of Orbax and the system have no common type
            raise UserError(f"{folder}: checkpoints cannot be kept or read there: {_reason(error)}") from error

    def _open(self, read_only: bool) -> None:
        process = jax.process_index()  # each process opens the folder on its own, without waiting for the others
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self,
            read_only=read_only,
            create=False,
            multiprocessing_options=ocp.options.MultiprocessingOptions(
                primary_host=process, active_processes={process}, barrier_sync_key_prefix=f"process{process}"
            ),
        )
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._written: Future[None] | None = None  # of the last checkpoint whose writing has started
        self._manager = ocp.CheckpointManager(self._folder, options=options)
        self._best_epochs: dict[int, int] = {}  # by step: the epoch of the best evaluation so far, 0 before the first
        self.faults: dict[int, str] = {}  # by step: of the checkpoints after the newest complete one
        for step in sorted(self._manager.all_steps(), reverse=True):
            if (fault := _fault(self._folder / str(step))) is None:
                break
            self.faults[step] = f"checkpoint {step} {fault}"

    @property
    def has_begun(self) -> bool:
        """Whether there is a complete checkpoint, or a faulty one of a step after 0.

        Otherwise the run was stopped before its first checkpoint was complete, and starts from the beginning.
        """
        return bool(self._complete_steps()) or any(step > 0 for step in self.faults)

    def save(self, snapshot: Snapshot, experiment: str) -> None:
        """Writes a snapshot, and the text that describes its experiment, unless its step already has a checkpoint.

        A checkpoint that was written during the evaluation of the same step is replaced by the one after the
        evaluation: this happens if a run was stopped during an evaluation and resumed. Until the new one is complete,
        the newest complete checkpoint is the one before it.

        The arrays are copied before this method returns, so that the next step can use their buffers.

        Raises:
          UserError: this checkpoint or the one before it cannot be written.
        """
        self.wait()
        step = int(snapshot.state.step)
        if step in self._manager.all_steps():
            if snapshot.steps_summed or not self._record(step).steps_summed:
                return
            with _cannot_write(self._folder):
                self._manager.delete(step)
        self._best_epochs[step] = snapshot.stopping.best_epoch
        record = {
            "experiment": experiment,
            "stopping": snapshot.stopping._asdict(),
            "sums": snapshot.sums,
            "steps_summed": snapshot.steps_summed,
        }
        arrays = _arrays(snapshot)
        arguments = ocp.args.Composite(arrays=ocp.args.StandardSave(arrays), record=ocp.args.JsonSave(record))
        with _cannot_write(self._folder):
            # errors are detected here, because Orbax's threads would wait for each other and print tracebacks
            tempfile.TemporaryFile(dir=self._folder).close()
            needed = sum(leaf.nbytes for leaf in jax.tree.leaves(arrays)) + _BYTES_OF_OTHER_FILES
            if (free := shutil.disk_usage(self._folder).free) < needed:
                raise OSError(f"No space left on device: it needs about {needed:,} bytes, and {free:,} are free")
            self._manager.save(step, args=arguments)
        self._written = self._writer.submit(self._finish, step)

    def wait(self) -> None:
        """Waits until the current checkpoint is on disk; raises UserError if it cannot be written."""
        if self._written is not None:
            written, self._written = self._written, None
            with _cannot_write(self._folder):
                written.result()

    def experiment(self) -> tuple[str, str]:
        """Returns the text that describes the newest complete checkpoint's experiment, and its place for messages."""
        step = self._newest_step()
        return self._record(step).experiment, f"{self._folder / str(step)}: experiment"

    def restore(self, template: Snapshot) -> Snapshot:
        """Returns the snapshot of the newest complete checkpoint.

        Args:
          template: a snapshot of the same experiment, for its structure, shapes and dtypes.

        Raises:
          UserError: there is no complete checkpoint, or it cannot be read.
        """
        expected = _arrays(template)
        if jax.process_count() == 1:
            expected = jax.tree.map(ocp.utils.to_shape_dtype_struct, expected)
        step = self._newest_step()
        record = self._record(step)
        with self._cannot_read(step):
            _check_arrays(self._folder / str(step) / "arrays")
            content = self._manager.restore(step, args=ocp.args.Composite(arrays=ocp.args.StandardRestore(expected)))
            state = content.arrays["state"]
            return Snapshot(
                state._replace(key=jax.random.wrap_key_data(state.key)),
                content.arrays["best_params"],
                EarlyStopping(**record.stopping.model_dump()),
                record.sums,
                record.steps_summed,
            )

    def should_preserve(self, checkpoints: Sequence[Any], *, context: PreservationContext) -> Sequence[bool]:
        """Returns which of the checkpoints, oldest first, are kept; a method of Orbax's `PreservationPolicy`."""
        del context
        steps = [checkpoint.step for checkpoint in checkpoints]
        best_epochs = {step: self._best_epoch(step) for step in steps}
        best_epoch = best_epochs[steps[-1]]
        best = next((step for step in steps if best_epoch and best_epochs[step] == best_epoch), None)
        return [step == best or step in steps[-KEEP:] for step in steps]

    def remove_faulty(self) -> None:
        """Removes the faulty checkpoints after the newest complete one, which will be written again."""
        with _cannot_write(self._folder):
            for step in self.faults:
                self._manager.delete(step)

    def close(self) -> None:
        """Closes the folder after the current checkpoint is on disk; raises UserError if it cannot be written."""
        try:
            self.wait()
        finally:
            self._writer.shutdown()
            with _cannot_write(self._folder):
                self._manager.close()

    def _finish(self, step: int) -> None:
        self._manager.wait_until_finished()
        _write_checksums(self._folder / str(step))

    def _best_epoch(self, step: int) -> int | None:
        """Returns the best epoch so far in a checkpoint of this run, or of the run it resumes; None if it is faulty."""
        if step not in self._best_epochs:
            folder = self._folder / str(step)
            if step in self.faults or _fault(folder) is not None:
                return None
            self._best_epochs[step] = self._record(step).stopping.best_epoch
        return self._best_epochs[step]

    def _record(self, step: int) -> CheckpointRecord:
        """Returns the content of a checkpoint other than arrays; raises UserError if it cannot be read."""
        with self._cannot_read(step):
            content = self._manager.restore(step, args=ocp.args.Composite(record=ocp.args.JsonRestore()))
            return validated(CheckpointRecord, content.record)

    @contextlib.contextmanager
    def _cannot_read(self, step: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # errors of TensorStore and Orbax have no common type
            raise UserError(f"{self._folder / str(step)}: cannot be read: {_reason(error)}") from error

    def _newest_step(self) -> int:
        complete = self._complete_steps()
        if not complete:
            raise UserError("; ".join([f"{self._folder} holds no complete checkpoint", *self.faults.values()]))
        return max(complete)

    def _complete_steps(self) -> set[int]:
        return set(self._manager.all_steps()) - set(self.faults)


@contextlib.contextmanager
def _no_warnings_of_orbax() -> Iterator[None]:
    """Context manager that silences Orbax's warning that a folder opened as read-only is read-only."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _cannot_write(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # errors of TensorStore, Orbax and the system have no common type
        raise UserError(f"{folder}: a checkpoint cannot be written: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _arrays(snapshot: Snapshot) -> PyTree:
    state = snapshot.state._replace(key=jax.random.key_data(snapshot.state.key))
    arrays = {"state": state, "best_params": snapshot.best_params}
    # with several processes Orbax expects arrays that are split over all of them, but these are replicated
    return arrays if jax.process_count() == 1 else jax.device_get(arrays)


def _check_arrays(folder: Path) -> None:
    """Reads the arrays one by one, because Orbax reads them concurrently and waits only for the first error.

    Later errors would find its event loop closed and print a traceback from another thread.
    """
    store = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder}/"}}
    for key in ts.KvStore.open(store).result().list().result():
        name = key.decode()
        if name.endswith(_ARRAY_METADATA):
            array_store = {**store, "path": name.removesuffix(_ARRAY_METADATA)}
            ts.open({"driver": "zarr", "kvstore": array_store}, read=True).result().read().result()


def _checksums(folder: Path) -> bytes:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _CHECKSUMS)
    lines = (f"{hashlib.sha256(read_bytes(path)).hexdigest()}  {path.relative_to(folder)}\n" for path in files)
    return "".join(lines).encode("utf-8", "surrogateescape")


def _write_checksums(folder: Path) -> None:
    partial = folder / f"{_CHECKSUMS}.partial"
    partial.write_bytes(_checksums(folder))
    os.replace(partial, folder / _CHECKSUMS)


def _fault(folder: Path) -> str | None:
    checksums = folder / _CHECKSUMS
    if not checksums.is_file():
        return "was not finished"
    try:
        check_tree(folder, links=False)  # reading a pipe or a device might never end
        is_complete = read_bytes(checksums, limit=_MAX_CHECKSUMS) == _checksums(folder)
    except UserError as error:
        return f"is damaged: {error}"
    return None if is_complete else "is damaged: a file has changed or is missing"

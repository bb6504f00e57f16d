"""Checkpoints of a run: a snapshot and its experiment, written atomically by Orbax, proved whole when they are read."""

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

KEEP = 2  # the newest, and one to fall back on: while one is written, the one before it must be whole
_CHECKSUMS = "sha256sums"
_MAX_CHECKSUMS = 2**24  # bytes
_HEAD_OF_ARRAY = "/.zarray"
_BYTES_BESIDE_ARRAYS = 2**17  # of a checkpoint: about ten small files


class Checkpoints:
    """The checkpoints in one folder, named by their step; the newest `KEEP` stay, and the best.

    The best is the first checkpoint that was written with the best validation loss so far: that of the best evaluation
    itself where every evaluation is followed by a checkpoint.

    Beside Orbax's files each holds the SHA-256 of every one of them. Where the newest is not whole (torn, damaged, not
    finished), the one before it is read, and `faults` says what was wrong. Files are written while training goes on:
    an error in writing is raised by the next `save`, or by `close`.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Open a folder, and make it where there is none; read-only, as one of several processes that do not write.

        Raises:
          UserError: the folder cannot be made or read.
        """
        self._folder = folder.absolute()
        try:
            if not read_only:
                self._folder.mkdir(parents=True, exist_ok=True)
            with _no_warnings_of_orbax() if read_only else contextlib.nullcontext():
                self._open(read_only)
        except Exception as error:  # of Orbax or the system: of no common type
            raise UserError(f"{folder}: checkpoints cannot be kept or read there: {_reason(error)}") from error

    def _open(self, read_only: bool) -> None:
        here = jax.process_index()  # by itself: of several processes each opens the folder at its own time
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self,
            read_only=read_only,
            create=False,
            multiprocessing_options=ocp.options.MultiprocessingOptions(
                primary_host=here, active_processes={here}, barrier_sync_key_prefix=f"process{here}"
            ),
        )
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._written: Future[None] | None = None  # of the checkpoint that was begun last
        self._manager = ocp.CheckpointManager(self._folder, options=options)
        self._best_epochs: dict[int, int] = {}  # by step: the epoch of the best evaluation so far, 0 before the first
        self.faults: dict[int, str] = {}  # by step: of the checkpoints after the newest whole one
        for step in sorted(self._manager.all_steps(), reverse=True):
            if (fault := _fault(self._folder / str(step))) is None:
                break
            self.faults[step] = f"checkpoint {step} {fault}"

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to go on from, or to mourn: more than a checkpoint of step 0 that was not finished.

        Where there is not, a run was stopped before its first checkpoint was whole, and starts from its beginning.
        """
        return bool(self._whole_steps()) or any(step > 0 for step in self.faults)

    def save(self, snapshot: Snapshot, experiment: str) -> None:
        """Write a snapshot, and the text that describes its experiment; a checkpoint of its step that exists stays.

        But for one that was written in the evaluation of that step: where a run was stopped there, and has gone on, it
        gives way to the one after the evaluation. For as long as that takes, the one before it is what there is.

        The arrays are copied before this returns, so that the next step may use their buffers.

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
            # an error that is met here is not left to Orbax's threads, which wait for each other and print tracebacks
            tempfile.TemporaryFile(dir=self._folder).close()
            needed = sum(leaf.nbytes for leaf in jax.tree.leaves(arrays)) + _BYTES_BESIDE_ARRAYS
            if (free := shutil.disk_usage(self._folder).free) < needed:
                raise OSError(f"No space left on device: it takes about {needed:,} bytes, and {free:,} are free")
            self._manager.save(step, args=arguments)
        self._written = self._writer.submit(self._finish, step)

    def wait(self) -> None:
        """Return when what is being written is on disk; UserError where it cannot be."""
        if self._written is not None:
            written, self._written = self._written, None
            with _cannot_write(self._folder):
                written.result()

    def experiment(self) -> tuple[str, str]:
        """The text that describes the newest whole checkpoint's experiment, and where it stands."""
        step = self._newest_step()
        return self._record(step).experiment, f"{self._folder / str(step)}: experiment"

    def restore(self, template: Snapshot) -> Snapshot:
        """The newest whole checkpoint; UserError where there is none.

        Args:
          template: a snapshot of the same experiment, for its structure, shapes and dtypes.
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
        """Which of the checkpoints stay, oldest first; Orbax asks for it as its `PreservationPolicy`."""
        del context
        steps = [checkpoint.step for checkpoint in checkpoints]
        best_epochs = {step: self._best_epoch(step) for step in steps}
        best_epoch = best_epochs[steps[-1]]
        best = next((step for step in steps if best_epoch and best_epochs[step] == best_epoch), None)
        return [step == best or step in steps[-KEEP:] for step in steps]

    def remove_faulty(self) -> None:
        """Remove what lies after the newest whole checkpoint: it will be written again."""
        with _cannot_write(self._folder):
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

    def _best_epoch(self, step: int) -> int | None:
        """Of a checkpoint of this run, or of the one that it continues; None where that cannot be told any more."""
        if step not in self._best_epochs:
            folder = self._folder / str(step)
            if step in self.faults or _fault(folder) is not None:
                return None
            self._best_epochs[step] = self._record(step).stopping.best_epoch
        return self._best_epochs[step]

    def _record(self, step: int) -> CheckpointRecord:
        """What a checkpoint holds besides arrays; UserError where that is none."""
        with self._cannot_read(step):
            content = self._manager.restore(step, args=ocp.args.Composite(record=ocp.args.JsonRestore()))
            return validated(CheckpointRecord, content.record)

    @contextlib.contextmanager
    def _cannot_read(self, step: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of TensorStore or Orbax: of no common type
            raise UserError(f"{self._folder / str(step)}: cannot be read: {_reason(error)}") from error

    def _newest_step(self) -> int:
        whole = self._whole_steps()
        if not whole:
            raise UserError("; ".join([f"{self._folder} holds no whole checkpoint", *self.faults.values()]))
        return max(whole)

    def _whole_steps(self) -> set[int]:
        return set(self._manager.all_steps()) - set(self.faults)


@contextlib.contextmanager
def _no_warnings_of_orbax() -> Iterator[None]:
    """Orbax warns that a folder which is opened to be read only is opened to be read only."""
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
    except Exception as error:  # of TensorStore, Orbax or the system: of no common type
        raise UserError(f"{folder}: a checkpoint cannot be written: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _arrays(snapshot: Snapshot) -> PyTree:
    state = snapshot.state._replace(key=jax.random.key_data(snapshot.state.key))
    arrays = {"state": state, "best_params": snapshot.best_params}
    # of several processes Orbax takes arrays that are spread over all, and these are whole in each
    return arrays if jax.process_count() == 1 else jax.device_get(arrays)


def _check_arrays(folder: Path) -> None:
    """Read every array one by one: the first error of several at a time is all that Orbax waits for.

    What fails after it meets an event loop that is closed, and prints a traceback from a thread of its own.
    """
    store = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder}/"}}
    for key in ts.KvStore.open(store).result().list().result():
        name = key.decode()
        if name.endswith(_HEAD_OF_ARRAY):
            place = {**store, "path": name.removesuffix(_HEAD_OF_ARRAY)}
            ts.open({"driver": "zarr", "kvstore": place}, read=True).result().read().result()


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
        check_tree(folder, links=False)  # a pipe or a device would be waited for, or read, for ever
        is_whole = read_bytes(checksums, limit=_MAX_CHECKSUMS) == _checksums(folder)
    except UserError as error:
        return f"is torn: {error}"
    return None if is_whole else "is torn: a file has changed or is missing"

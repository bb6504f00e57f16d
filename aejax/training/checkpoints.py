"""Checkpoints of a run: a snapshot and its experiment, written atomically by Orbax, proved whole when they are read."""

import hashlib
import os
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
    finished), the one before it is read, and `faults` says what was wrong.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder, and make it where there is none."""
        options = ocp.CheckpointManagerOptions(max_to_keep=KEEP, enable_async_checkpointing=False)
        self._folder = folder.absolute()
        self._manager = ocp.CheckpointManager(self._folder, options=options)
        self.faults: dict[int, str] = {}  # by step: of the checkpoints after the newest whole one
        for step in sorted(self._manager.all_steps(), reverse=True):
            if (fault := _fault(self._folder / str(step))) is None:
                break
            self.faults[step] = f"checkpoint {step} {fault}"

    def save(self, snapshot: Snapshot, experiment: Experiment) -> None:
        """Write a snapshot; a checkpoint of its step that is there already stays as it is."""
        step = int(snapshot.state.step)
        if step in self._manager.all_steps():
            return
        record = {
            "experiment": to_json(experiment),
            "stopping": snapshot.stopping._asdict(),
            "sums": snapshot.sums,
            "steps_summed": snapshot.steps_summed,
        }
        self._manager.save(
            step,
            args=ocp.args.Composite(arrays=ocp.args.StandardSave(_arrays(snapshot)), record=ocp.args.JsonSave(record)),
        )
        _write_checksums(self._folder / str(step))

    def experiment(self) -> Experiment:
        """The experiment of the newest whole checkpoint; UserError where there is none."""
        step = self._newest_step()
        content = self._manager.restore(step, args=ocp.args.Composite(record=ocp.args.JsonRestore()))
        return from_json(content.record["experiment"], name=f"checkpoint {step}")

    def restore(self, template: Snapshot) -> Snapshot:
        """The newest whole checkpoint; UserError where there is none. Those after it are removed.

        Args:
          template: a snapshot of the same experiment, for its structure, shapes and dtypes.
        """
        expected = jax.tree.map(ocp.utils.to_shape_dtype_struct, _arrays(template))
        content = self._manager.restore(
            self._newest_step(),
            args=ocp.args.Composite(arrays=ocp.args.StandardRestore(expected), record=ocp.args.JsonRestore()),
        )
        for step in self.faults:
            self._manager.delete(step)
        state, record = content.arrays["state"], content.record
        return Snapshot(
            state._replace(key=jax.random.wrap_key_data(state.key)),
            content.arrays["best_params"],
            EarlyStopping(**record["stopping"]),
            record["sums"],
            record["steps_summed"],
        )

    def close(self) -> None:
        """Let go of the folder."""
        self._manager.close()

    def _newest_step(self) -> int:
        whole = set(self._manager.all_steps()) - set(self.faults)
        if not whole:
            raise UserError("; ".join([f"{self._folder} holds no whole checkpoint", *self.faults.values()]))
        return max(whole)


def _arrays(snapshot: Snapshot) -> PyTree:
    state = snapshot.state._replace(key=jax.random.key_data(snapshot.state.key))
    return {"state": state, "best_params": snapshot.best_params}


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

"""Checkpoints return every bit, and one that is not whole is never restored."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import undercomplete
from aejax.errors import UserError
from aejax.networks import MLP
from aejax.training import Snapshot, start
from aejax.training.checkpoints import KEEP, Checkpoints
from aejax.training.early_stopping import EarlyStopping

EXPERIMENT = "what these checkpoints are of"


def snapshot_at(step: int, seed: int = 0, best_epoch: int = 0) -> Snapshot:
    autoencoder = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(1e-3, 10)))
    snapshot = start(autoencoder, optimizer, jax.random.key(seed), jnp.ones(5))
    return snapshot._replace(
        state=snapshot.state._replace(step=jnp.array(step, jnp.int32)),
        stopping=EarlyStopping(0.1 + 0.2, best_epoch, 4),
        sums={"loss": 1 / 3},
        steps_summed=5,
    )


def save(folder: Path, *steps: int, best_epochs: Mapping[int, int] = MappingProxyType({})) -> None:
    checkpoints = Checkpoints(folder)
    for step in steps:
        checkpoints.save(snapshot_at(step, best_epoch=best_epochs.get(step, 0)), EXPERIMENT)
    checkpoints.close()


def restore(folder: Path) -> tuple[Snapshot, Checkpoints]:
    checkpoints = Checkpoints(folder)
    snapshot = checkpoints.restore(snapshot_at(0, seed=1))
    checkpoints.remove_faulty()
    checkpoints.close()
    return snapshot, checkpoints


def steps_in(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def files_of(folder: Path, step: int) -> list[Path]:
    return sorted(path for path in (folder / str(step)).rglob("*") if path.is_file())


@pytest.mark.slow
def test_every_bit_returns(tmp_path: Path) -> None:
    save(tmp_path, 20)
    saved, (restored, _) = snapshot_at(20), restore(tmp_path)
    assert jax.tree.structure(restored) == jax.tree.structure(saved)
    as_arrays = [
        jax.tree.leaves(snapshot._replace(state=snapshot.state._replace(key=jax.random.key_data(snapshot.state.key))))
        for snapshot in (restored, saved)
    ]
    for got, wanted in zip(*as_arrays, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert restored.stopping == saved.stopping
    assert (restored.sums, restored.steps_summed) == (saved.sums, saved.steps_summed)


def test_the_experiment_comes_along(tmp_path: Path) -> None:
    save(tmp_path, 1)
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.experiment()[0] == EXPERIMENT
    checkpoints.close()


@pytest.mark.slow
def test_after_an_evaluation_takes_the_place_of_within_it(tmp_path: Path) -> None:
    within = snapshot_at(20)
    after = snapshot_at(20, best_epoch=2)._replace(sums={}, steps_summed=0)
    for snapshot in (snapshot_at(10, best_epoch=1), within, after, within, after._replace(stopping=EarlyStopping())):
        checkpoints = Checkpoints(tmp_path)
        checkpoints.save(snapshot, EXPERIMENT)
        checkpoints.close()
    restored, _ = restore(tmp_path)
    assert (restored.stopping, restored.sums, restored.steps_summed) == (after.stopping, {}, 0)
    assert steps_in(tmp_path) == [10, 20]


@pytest.mark.slow
def test_the_newest_stay(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3, 4)
    assert steps_in(tmp_path) == [3, 4]
    assert all((tmp_path / step / "sha256sums").is_file() for step in ("3", "4"))
    assert KEEP == 2


@pytest.mark.slow
def test_the_best_stays_until_there_is_a_better_one(tmp_path: Path) -> None:
    """Steps 10, 20, ... are epochs 1, 2, ...; the best evaluations are those of epoch 2, then of epoch 6."""
    best_epochs = {10: 1, 20: 2, 30: 2, 40: 2, 50: 2, 60: 6, 70: 6, 80: 6}
    save(tmp_path, 0, 10, 20, 30, 40, best_epochs=best_epochs)
    assert steps_in(tmp_path) == [20, 30, 40]
    save(tmp_path, 50, best_epochs=best_epochs)  # opened anew, it is read from the files which is the best
    assert steps_in(tmp_path) == [20, 40, 50]
    save(tmp_path, 60, 70, best_epochs=best_epochs)
    assert steps_in(tmp_path) == [60, 70]
    save(tmp_path, 80, best_epochs=best_epochs)
    assert steps_in(tmp_path) == [60, 70, 80]


@pytest.mark.slow
def test_what_goes_on_from_the_best_finds_all_of_it(tmp_path: Path) -> None:
    save(tmp_path, 10, 20, 30, 40, best_epochs={10: 1, 20: 1, 30: 1, 40: 1})
    for step in (30, 40):
        shutil.rmtree(tmp_path / str(step))
    assert restore(tmp_path)[0].state.step == 10


HARMS = {
    "flip a bit": lambda content: content[: len(content) // 2] + flipped(content) + content[len(content) // 2 + 1 :],
    "truncate": lambda content: content[: len(content) // 2],
    "empty": lambda _: b"",
    "zero": lambda content: bytes(len(content)),
    "extend": lambda content: content + b"\0",
}


def flipped(content: bytes) -> bytes:
    return bytes([content[len(content) // 2] ^ 1]) if content else b"\1"


@pytest.mark.slow
@pytest.mark.parametrize("harm", [*HARMS, "remove"])
def test_any_changed_file_makes_the_one_before_the_newest(tmp_path: Path, harm: str) -> None:
    """Every file of a checkpoint in turn, and another one added."""
    save(tmp_path, 1, 2)
    files = [path.relative_to(tmp_path) for path in files_of(tmp_path, 2)]
    assert len(files) > 5
    for path in [Path("2", "another"), *files]:
        victim = tmp_path / path
        before = victim.read_bytes() if victim.exists() else None
        if harm == "remove":
            victim.unlink(missing_ok=True)
        else:
            victim.write_bytes(HARMS[harm](before or b""))
        if before == (victim.read_bytes() if victim.exists() else None):
            continue  # what was empty, or not there, already
        checkpoints = Checkpoints(tmp_path, read_only=True)
        snapshot = checkpoints.restore(snapshot_at(0, seed=1))
        checkpoints.close()
        assert snapshot.state.step == 1, (path, harm)
        assert list(checkpoints.faults) == [2]
        if before is None:
            victim.unlink()
        else:
            victim.write_bytes(before)
    assert restore(tmp_path)[0].state.step == 2


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["truncate", "remove", "unfinished"])
def test_torn_checkpoints_are_passed_over_and_cleared_away(tmp_path: Path, harm: str) -> None:
    save(tmp_path, 1, 2)
    victim = (
        tmp_path / "2" / "sha256sums"
        if harm == "unfinished"
        else max(files_of(tmp_path, 2), key=lambda f: f.stat().st_size)
    )
    if harm == "truncate":
        victim.write_bytes(victim.read_bytes()[:10])
    else:
        victim.unlink()
    snapshot, checkpoints = restore(tmp_path)
    assert snapshot.state.step == 1
    assert list(checkpoints.faults) == [2]
    save(tmp_path, 2)  # the way is free again
    assert restore(tmp_path)[0].state.step == 2


def test_who_only_reads_changes_nothing(tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    (tmp_path / "2" / "sha256sums").unlink()
    before = sorted(tmp_path.rglob("*"))
    checkpoints = Checkpoints(tmp_path, read_only=True)
    assert checkpoints.restore(snapshot_at(0, seed=1)).state.step == 1
    checkpoints.close()
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_is_removed_where_nothing_is_whole(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / "1" / "sha256sums").unlink()
    with pytest.raises(UserError, match="no complete checkpoint; checkpoint 1 was not finished"):
        restore(tmp_path)
    assert (tmp_path / "1").is_dir()


def test_what_was_never_whole_has_not_begun(tmp_path: Path) -> None:
    """A run that was killed before its first checkpoint was whole starts from its beginning; no other does."""

    def has_begun() -> bool:
        checkpoints = Checkpoints(tmp_path, read_only=True)
        checkpoints.close()
        return checkpoints.has_begun

    assert not has_begun()
    save(tmp_path, 0)
    assert has_begun()
    (tmp_path / "0" / "sha256sums").unlink()
    assert not has_begun()
    (tmp_path / "0").rename(tmp_path / "1")
    assert has_begun()


def test_an_empty_folder_has_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no complete checkpoint"):
        restore(tmp_path)


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: checkpoints cannot be kept or read there") as error:
        Checkpoints(tmp_path / "file")
    assert "\n" not in str(error.value)


def test_what_is_whole_but_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    """As where it was written for other networks than those that the code makes of the same configuration now."""
    save(tmp_path, 1)
    checkpoints = Checkpoints(tmp_path)
    other = snapshot_at(1)._replace(best_params={"another": jnp.ones(3)})
    with pytest.raises(UserError, match=r"1: cannot be read: ") as error:
        checkpoints.restore(other)
    assert "\n" not in str(error.value)


def test_an_error_in_writing_is_one_line_of_the_next_call(tmp_path: Path) -> None:
    """A folder that is taken away while a checkpoint is written."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(snapshot_at(1), EXPERIMENT)
    checkpoints.wait()
    shutil.rmtree(tmp_path / "checkpoints")
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(UserError, match="a checkpoint cannot be written") as error:  # noqa: PT012
        checkpoints.save(snapshot_at(2), EXPERIMENT)
        checkpoints.wait()
    assert "\n" not in str(error.value)


def fit_checksums(folder: Path) -> None:
    """Make the checksums of a checkpoint those of what lies in it now."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "sha256sums")
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files)
    (folder / "sha256sums").write_text("".join(lines), encoding="utf-8")


RECORDS = {
    "[]": "input should be a valid dictionary",
    "{}": "experiment: field required",
    '{"experiment": 5}': "experiment: input should be a valid string",
    "best_epoch": "stopping.best_epoch: input should be a valid integer",
    "best_loss": "stopping.best_loss: input should be a valid number",
    "evaluations_since": "stopping.evaluations_since: input should be a valid integer",
    "steps_summed": "steps_summed: input should be a valid integer",
    "sums": "sums: input should be a valid dictionary",
    "extra": "extra: extra inputs are not permitted",
}


@pytest.mark.slow_after_first
@pytest.mark.parametrize(("change", "message"), RECORDS.items())
def test_a_record_that_someone_has_changed_is_one_line(tmp_path: Path, change: str, message: str) -> None:
    save(tmp_path, 1)
    path = tmp_path / "1" / "record" / "metadata"
    if change[0] in "[{":
        path.write_text(change, encoding="utf-8")
    else:
        record = json.loads(path.read_text(encoding="utf-8"))
        (record["stopping"] if change in record["stopping"] else record)[change] = "x"
        path.write_text(json.dumps(record), encoding="utf-8")
    fit_checksums(tmp_path / "1")
    checkpoints = Checkpoints(tmp_path)
    for read in (checkpoints.experiment, lambda: checkpoints.restore(snapshot_at(0, seed=1))):
        with pytest.raises(UserError, match=rf"1: cannot be read: {message}") as error:
            read()
        assert "\n" not in str(error.value)
    checkpoints.close()


RESTORE_ALL = """
import importlib.util, logging, pathlib, sys
logging.getLogger("absl").setLevel(logging.CRITICAL)
specification = importlib.util.spec_from_file_location("of_checkpoints", sys.argv[1])
tests = importlib.util.module_from_spec(specification)
specification.loader.exec_module(tests)
for folder in sys.argv[2:]:
    try:
        tests.restore(pathlib.Path(folder))
    except tests.UserError as error:
        print(error)
"""


@pytest.mark.slow
def test_torn_arrays_print_no_traceback_of_a_thread(tmp_path: Path) -> None:
    """Of checkpoints whose checksums someone has made to fit; threads print when a process of its own ends, too."""
    save(tmp_path / "whole", 1)
    torn = []
    for path in sorted((tmp_path / "whole" / "1" / "arrays").rglob("d/*")):
        folder = tmp_path / f"torn{len(torn)}"
        shutil.copytree(tmp_path / "whole", folder)
        victim = folder / path.relative_to(tmp_path / "whole")
        victim.write_bytes(np.random.default_rng(0).bytes(victim.stat().st_size))
        fit_checksums(folder / "1")
        torn.append(folder)
    done = subprocess.run([sys.executable, "-c", RESTORE_ALL, __file__, *torn], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert 0 < done.stdout.count("1: cannot be read: ") == len(done.stdout.splitlines())


@pytest.mark.slow_after_first
@pytest.mark.parametrize("kind", ["pipe", "device", "link"])
def test_a_checkpoint_with_something_that_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    save(tmp_path, 1, 2)
    victim = tmp_path / "2" / "arrays" / "d" / "more"
    if kind == "pipe":
        os.mkfifo(victim)
    else:
        victim.symlink_to("/dev/zero" if kind == "device" else tmp_path / "1")
    snapshot, checkpoints = restore(tmp_path)
    assert snapshot.state.step == 1
    assert "more: is a " in checkpoints.faults[2]

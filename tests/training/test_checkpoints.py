"""Checkpoints return every bit, and one that is not whole is never restored."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import undercomplete
from aejax.configuration import Experiment, Training
from aejax.errors import UserError
from aejax.networks import MLP
from aejax.training import Snapshot, start
from aejax.training.checkpoints import KEEP, Checkpoints
from aejax.training.early_stopping import EarlyStopping

EXPERIMENT = Experiment(training=Training(seed=7))


def snapshot_at(step: int, seed: int = 0) -> Snapshot:
    autoencoder = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(1e-3, 10)))
    snapshot = start(autoencoder, optimizer, jax.random.key(seed), jnp.ones(5))
    return snapshot._replace(
        state=snapshot.state._replace(step=jnp.array(step, jnp.int32)),
        stopping=EarlyStopping(0.1 + 0.2, 3, 4),
        sums={"loss": 1 / 3},
        steps_summed=5,
    )


def save(folder: Path, *steps: int) -> None:
    checkpoints = Checkpoints(folder)
    for step in steps:
        checkpoints.save(snapshot_at(step), EXPERIMENT)
    checkpoints.close()


def restore(folder: Path) -> tuple[Snapshot, Checkpoints]:
    checkpoints = Checkpoints(folder)
    snapshot = checkpoints.restore(snapshot_at(0, seed=1))
    checkpoints.remove_faulty()
    checkpoints.close()
    return snapshot, checkpoints


def files_of(folder: Path, step: int) -> list[Path]:
    return sorted(path for path in (folder / str(step)).rglob("*") if path.is_file())


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
    assert checkpoints.experiment() == EXPERIMENT
    checkpoints.close()


def test_the_newest_stay(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3, 4)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.isdigit()) == ["3", "4"]
    assert all((tmp_path / step / "sha256sums").is_file() for step in ("3", "4"))
    assert KEEP == 2


def test_any_changed_file_makes_the_one_before_the_newest(tmp_path: Path) -> None:
    """One bit is flipped in the middle of each file in turn."""
    save(tmp_path, 1)
    files = files_of(tmp_path, 1)
    assert len(files) > 5
    for number, name in enumerate(path.relative_to(tmp_path / "1") for path in files):
        step = number + 2
        save(tmp_path, step)
        victim = tmp_path / str(step) / name
        if not victim.exists():  # Orbax names some files at random
            victim = max(files_of(tmp_path, step), key=lambda path: path.stat().st_size)
        content = bytearray(victim.read_bytes() or b"\0")
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
        snapshot, checkpoints = restore(tmp_path)
        assert snapshot.state.step == 1
        assert list(checkpoints.faults) == [step]
        assert "torn" in checkpoints.faults[step]


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
    with pytest.raises(UserError, match="no whole checkpoint; checkpoint 1 was not finished"):
        restore(tmp_path)
    assert (tmp_path / "1").is_dir()


def test_an_empty_folder_has_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no whole checkpoint"):
        restore(tmp_path)

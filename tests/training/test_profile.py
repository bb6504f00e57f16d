"""A trace holds the steps after the first call, in both formats."""

import gzip
import json
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from aejax.autoencoders import undercomplete
from aejax.networks import MLP
from aejax.training import start, train
from aejax.training.profile import Profile


def learn(profile: Profile, epochs: int) -> None:
    x = np.zeros((16, 5), np.float32)
    autoencoder, optimizer = undercomplete(MLP((2,)), MLP((5,))), optax.sgd(0.1)
    snapshot = start(autoencoder, optimizer, jax.random.key(0), x[0])
    options = {"batch_size": 8, "epochs": epochs, "devices": jax.local_devices()[:1], "evaluate_every": 100}
    with profile:
        for report in train(autoencoder, optimizer, snapshot, x, x, **options):
            profile.note(report)


@pytest.mark.slow
def test_a_trace_is_written_for_tensorboard_and_for_perfetto(tmp_path: Path) -> None:
    profile = Profile(tmp_path / "trace")
    learn(profile, epochs=30)
    assert profile.steps == 40  # 20 calls of an epoch each
    (written,) = (tmp_path / "trace" / "plugins" / "profile").iterdir()
    assert [path.stat().st_size > 1000 for path in written.glob("*.xplane.pb")] == [True]
    with gzip.open(written / "perfetto_trace.json.gz") as file:
        names = [event.get("name", "") for event in json.load(file)["traceEvents"]]
    assert sum("steps" in name for name in names) >= 20, sorted(set(names))


@pytest.mark.slow
def test_a_run_that_ends_early_is_traced_as_far_as_it_went(tmp_path: Path) -> None:
    profile = Profile(tmp_path / "trace")
    learn(profile, epochs=3)
    assert profile.steps == 4
    assert list(tmp_path.rglob("*.xplane.pb"))


def test_without_a_folder_nothing_is_traced(tmp_path: Path) -> None:
    profile = Profile(None)
    learn(profile, epochs=3)
    assert profile.steps is None

"""Environment variables for JAX, and executables from the cache, which must equal those that were compiled."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import aejax.host.environment
from aejax.host.environment import avoid_slow_fusions, make_deterministic, use_compilation_cache


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """The environment of a user who has set nothing, with a home folder of its own; changes are undone."""
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name in ("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


def test_deterministic_adds_to_the_flags_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=there")
    make_deterministic()
    assert os.environ["XLA_FLAGS"] == "--xla_dump_to=there --xla_gpu_deterministic_ops=true"


def test_slow_fusions_are_avoided_once_and_where_the_version_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=there")
    monkeypatch.setattr(aejax.host.environment, "version", lambda name: "0.10.2")
    for _ in range(2):
        avoid_slow_fusions()
        assert os.environ["XLA_FLAGS"] == "--xla_dump_to=there --xla_cpu_experimental_ynn_fusion_type="
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(aejax.host.environment, "version", lambda name: "99.0")
    avoid_slow_fusions()
    assert os.environ["XLA_FLAGS"] == ""


@pytest.mark.parametrize("home", ["XDG_CACHE_HOME", "HOME"])
def test_the_cache_lies_in_the_folder_of_the_user(environment, tmp_path: Path, home: str) -> None:
    environment.setenv(home, str(tmp_path / "mine"))
    with warnings.catch_warnings():
        folder = use_compilation_cache()
    assert folder is not None
    root = tmp_path / "mine" / ("" if home == "XDG_CACHE_HOME" else ".cache")
    assert folder.parent == root / "aejax"
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"), [("JAX_COMPILATION_CACHE_DIR", "/elsewhere"), ("JAX_ENABLE_COMPILATION_CACHE", "false")]
)
def test_the_users_settings_of_the_cache_are_kept(environment, tmp_path: Path, name: str, value: str) -> None:
    environment.setenv(name, value)
    with warnings.catch_warnings():
        assert use_compilation_cache() is None
    assert os.environ.get("JAX_COMPILATION_CACHE_DIR") == (value if name.endswith("DIR") else None)
    assert list(tmp_path.iterdir()) == []


def test_without_a_writable_folder_there_is_no_cache(environment, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environment.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with warnings.catch_warnings():
        assert use_compilation_cache() is None
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ


PROGRAM = """
from aejax.host.environment import use_compilation_cache
use_compilation_cache()
import jax, numpy as np, optax
from aejax.autoencoders import contractive, variational
from aejax.networks import MLP
from aejax.training import start, train
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name) if name.endswith("cache_hits") else None)
x = np.random.default_rng(0).uniform(size=(64, 30)).astype(np.float32)
vae = contractive(variational(MLP((6,), (16,)), MLP((30,), (16,))), weight=0.1)
optimizer = optax.adam(1e-2)
snapshot = start(vae, optimizer, jax.random.key(0), x[0])
for report in train(vae, optimizer, snapshot, x, x[:20], batch_size=8, epochs=3):
    params = report.snapshot.state.params
print(len(hits), report.evaluation, *(leaf.tobytes().hex() for leaf in jax.device_get(jax.tree.leaves(params))))
"""


@pytest.mark.slow
@pytest.mark.parametrize("damage", [False, True])
def test_executables_from_the_cache_give_the_bits_of_those_that_were_compiled(tmp_path: Path, damage: bool) -> None:
    """Damaged entries are compiled again, without a message."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}

    def run() -> tuple[int, str]:
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
        )
        assert result.stderr == ""
        hits, _, rest = result.stdout.partition(" ")
        return int(hits), rest

    hits, compiled = run()
    assert hits == 0
    entries = list(tmp_path.rglob("*-cache"))
    assert len(entries) > 3
    for entry in entries if damage else []:
        entry.write_bytes(entry.read_bytes()[:-20])
    hits, loaded = run()
    assert (hits == 0) is damage
    assert loaded == compiled

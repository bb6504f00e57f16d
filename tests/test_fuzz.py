"""Files mutated at random: read as what they hold, or refused in one line; nothing is run, nothing written elsewhere.

2,000 cases from fixed seeds: arrays, configurations, records and checkpoints. A tenth of them is fast, all are slow.
"""

import gc
import hashlib
import io
import json
import logging
import os
import pickle
import random
import resource
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import undercomplete
from aejax.datasets.arrays import load_arrays
from aejax.datasets.dataset import Dataset
from aejax.errors import UserError
from aejax.experiment.configuration import Experiment, from_json, to_json
from aejax.experiment.run_folder import RunFolder
from aejax.networks import MLP
from aejax.training import Snapshot, start

PARTS = [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 6))]
ARRAYS, CONFIGURATIONS, RECORDS, CHECKPOINTS = 100, 70, 20, 10  # cases of each part: 1,200 in all


@pytest.fixture(autouse=True)
def dtype_promotion() -> Iterator[None]:
    """As in the tests of training."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(autouse=True)
def quiet_orbax() -> Iterator[None]:
    """As in scripts; what Orbax logs would also keep its failed work alive, into other tests."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


@pytest.fixture
def bystander(tmp_path: Path) -> Iterator[Path]:
    """A folder beside the one that is worked in, and what is checked of it: nothing in it is touched."""
    folder = tmp_path / "bystander"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    yield folder
    assert [path.name for path in folder.iterdir()] == ["mine"]
    assert (folder / "mine").read_text() == "mine"


class Payload:
    """What makes a file where it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, int]]:
        return os.open, (str(self.target), os.O_CREAT)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """One to four of: bits flipped, a part cut out, repeated, zeroed or replaced by noise, an end cut off."""
    for _ in range(draw.randint(1, 4)):
        low, high = sorted(draw.randint(0, len(content)) for _ in range(2))
        high = min(high, low + draw.choice([1, 4, 100, 10_000]))
        part = content[low:high]
        kind = draw.randrange(6)
        if kind == 0:
            part = bytes(byte ^ (1 << draw.randrange(8)) for byte in part)
        elif kind == 1:
            part = b""
        elif kind == 2:
            part = part * 3
        elif kind == 3:
            part = bytes(len(part))
        elif kind == 4:
            part = draw.randbytes(len(part))
        content = content[:low] + part if kind == 5 else content[:low] + part + content[high:]
    return content


def assert_one_line(error: UserError) -> None:
    message = str(error)
    assert message
    assert "\n" not in message
    message.encode()  # it can be printed


# --- arrays -------------------------------------------------------------------------------------------------------

SHAPES = [(), (0,), (4,), (4, 0), (4, 3), (4, -3), (2**62, 2), (10**12, 10), (2**31, 2**31), (10**11,), (4, 3, 2, 1)]
DTYPES = [
    "f4",
    "f8",
    "f2",
    "u1",
    "i8",
    "u8",
    "b1",
    "c8",
    "O",
    "S3",
    "U2",
    "M8[s]",
    "m8[D]",
    "V5",
    ">f4",
    "f4,i4",
    "(2,)f4",
    "i4,O",
    "g",
    "f999",
    ",",
]


def header(shape: object, dtype: str, draw: random.Random) -> bytes:
    """The head of a .npy file that says whatever it is told to."""
    described = f"{{'descr': {dtype!r}, 'fortran_order': {draw.choice([True, False, 3])}, 'shape': {shape!r}, }}"
    described = draw.choice([described] * 6 + ["__import__('os')", described * 9, "(" * 9000, "{}", "", "lambda: 0"])
    version = draw.choice([(1, 0), (1, 0), (2, 0), (3, 0), (9, 9)])
    size = len(described).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + described.encode()


def array_file(draw: random.Random, target: Path) -> tuple[str, bytes]:
    """A suffix, and the content of a file."""
    stream = io.BytesIO()
    kind = draw.randrange(6)
    x = np.arange(60).astype(draw.choice(["f4", "f8", "u1", "i8", "b1", "f2"])).reshape(12, 5)
    if kind == 0:
        return ".npy", header(draw.choice(SHAPES), draw.choice(DTYPES), draw) + draw.randbytes(
            draw.choice([0, 48, 500])
        )
    if kind == 1:
        return draw.choice([".npy", ".npz"]), draw.choice([pickle.dumps, pickle_in_array])(Payload(target))
    if kind == 2:
        np.save(stream, x)
        return ".npy", mutated(stream.getvalue(), draw)
    if kind == 3:
        np.savez(stream, **{"x": x, draw.choice(["labels", "y", "x.npy"]): np.arange(draw.choice([12, 11, 0]))})
        return ".npz", mutated(stream.getvalue(), draw)
    with zipfile.ZipFile(stream, "w", draw.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for name in draw.sample(["x.npy", "x", "../mine", str(target), "labels.npy", "x.npy/y.npy"], 3):
            entry = header(draw.choice(SHAPES), draw.choice(DTYPES), draw) + draw.randbytes(48)
            archive.writestr(name, draw.choice([entry, pickle_in_array(Payload(target)), b""]))
    return ".npz", stream.getvalue() if kind == 4 else mutated(stream.getvalue(), draw)


def pickle_in_array(payload: Payload) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([payload]), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("part", PARTS)
def test_arrays(tmp_path: Path, bystander: Path, part: int) -> None:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read = 0
    for case in range(part * ARRAYS, (part + 1) * ARRAYS):
        draw = random.Random(case)
        suffix, content = array_file(draw, bystander / "made")
        path = tmp_path / f"x{suffix}"
        path.write_bytes(content)
        try:
            dataset = load_arrays(path)
        except UserError as error:
            assert_one_line(error)
        else:
            assert isinstance(dataset, Dataset)
            assert dataset.x.dtype == np.float32
            assert np.isfinite(dataset.x).all()
            read += 1
    assert 0 < read < ARRAYS  # neither is everything refused nor nothing
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory  # of the process at its largest, in KiB
    assert grown < 200 * 1024, f"{grown} KiB for files of some KiB"


# --- configurations ------------------------------------------------------------------------------------------------

VALUES = [
    None,
    True,
    -1,
    0,
    1,
    2**70,
    1e308,
    -0.0,
    "",
    "x" * 1000,
    "\ud800",
    "../../x",
    "\n",
    [],
    [1] * 9,
    {},
    {"a": 1},
]


def configuration(draw: random.Random) -> bytes:
    if draw.random() < 0.5:
        return mutated(to_json(Experiment()).encode(), draw)
    document = json.loads(to_json(Experiment()))
    for _ in range(draw.randint(1, 3)):
        group = document[draw.choice(list(document))]
        if isinstance(group, dict):
            knob = draw.choice([*group, *group, "new", "\n", "\ud800"])
            group[knob] = draw.choice([*VALUES, 0.5, 2, 3, *[group.get(knob)] * 9])
        if draw.random() < 0.05:
            document[draw.choice([*document, "new"])] = draw.choice(VALUES)
    text = json.dumps(document)
    return draw.choice(
        [text, text, text, text.replace("1.0", "NaN"), text.replace("0.1", "1e999"), "[" * 9999 + text]
    ).encode()


@pytest.mark.parametrize("part", PARTS)
def test_configurations(part: int) -> None:
    read = 0
    for case in range(part * CONFIGURATIONS, (part + 1) * CONFIGURATIONS):
        content = configuration(random.Random(case))
        try:
            experiment = from_json(content, name="config.json")
        except UserError as error:
            assert_one_line(error)
        else:
            assert from_json(to_json(experiment), name="again") == experiment
            read += 1
    assert 0 < read < CONFIGURATIONS


# --- run folders ---------------------------------------------------------------------------------------------------


def snapshot_at(step: int) -> Snapshot:
    autoencoder = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    snapshot = start(autoencoder, optax.adam(1e-3), jax.random.key(step), jnp.ones(5))
    return snapshot._replace(state=snapshot.state._replace(step=jnp.array(step, jnp.int32)))


SNAPSHOTS = (10, 20)  # the checkpoints of the run that is harmed


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = RunFolder.create(tmp_path_factory.mktemp("whole") / "run", Experiment(), "0af3")
    for step in SNAPSHOTS:
        run.write({"step": step, "epoch": step / 10, "train/loss": 0.1, "validation/loss": 0.1 * step})
        run.save(snapshot_at(step))
    run.close()
    return run.path


@pytest.fixture
def copied_run(whole_run: Path, tmp_path: Path) -> Callable[[], Path]:
    """Each call: the path of a fresh copy, in the place of the one before."""

    def copy() -> Path:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        return Path(shutil.copytree(whole_run, tmp_path / "run"))

    return copy


def go_on(path: Path) -> tuple[Snapshot, list[dict[str, float]]]:
    """What `train.py --resume` does with a run folder, up to the first step, and its next record."""
    run = RunFolder.resume(path)
    try:
        run.check_data("0af3", "digits")
        snapshot = run.checkpoints.restore(snapshot_at(0))
        run.checkpoints.remove_faulty()
        step = int(snapshot.state.step)
        run.rewind(step)
        run.write({"step": step + 10, "epoch": 3.0, "train/loss": 0.1})
        run.save(snapshot_at(step + 10))
        return snapshot, run.records()
    finally:
        run.close()


def assert_saved(snapshot: Snapshot, steps: tuple[int, ...] = SNAPSHOTS) -> None:
    """It is one of those that were saved, bit for bit."""
    step = int(snapshot.state.step)
    assert step in steps
    expected = snapshot_at(step)
    for got, wanted in zip(jax.tree.leaves(snapshot), jax.tree.leaves(expected), strict=True):
        if isinstance(wanted, jax.Array) and jax.dtypes.issubdtype(wanted.dtype, jax.dtypes.prng_key):
            got, wanted = jax.random.key_data(got), jax.random.key_data(wanted)
        np.testing.assert_array_equal(got, wanted)


def harm_records(path: Path, bystander: Path, draw: random.Random) -> None:
    metrics = path / "metrics.jsonl"
    content = metrics.read_bytes()
    kind = draw.randrange(8)
    if kind < 4:
        metrics.write_bytes(mutated(content, draw))
    elif kind < 6:
        lines = content.splitlines(keepends=True)
        odd = [
            b"5",
            b"null",
            b'{"step": 1}',
            b'{"step": 1e400, "epoch": 1}',
            b'{"step": "1", "epoch": []}',
            b"[" * 9999,
        ]
        odd += [b'{"step": ' + b"9" * 5000 + b', "epoch": 1}', b"\xff", b"", b'{"step": true, "epoch": null}']
        lines.insert(draw.randint(0, len(lines)), draw.choice(odd) + b"\n")
        metrics.write_bytes(b"".join(lines))
    else:  # a link that leads to another's file
        victim = path / draw.choice(
            ["metrics.jsonl", "metrics.partial", "events", "figures/codes.png", "checkpoints/x"]
        )
        if victim.is_dir():
            shutil.rmtree(victim)
        victim.unlink(missing_ok=True)
        victim.symlink_to(draw.choice([bystander, bystander / "mine", bystander / "made"]))


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_records(copied_run: Callable[[], Path], bystander: Path, part: int) -> None:
    read = 0
    for case in range(part * RECORDS, (part + 1) * RECORDS):
        path = copied_run()
        harm_records(path, bystander, random.Random(case))
        try:
            snapshot, records = go_on(path)
        except UserError as error:
            assert_one_line(error)
        else:
            assert_saved(snapshot)
            assert records[-1] == {"step": 30, "epoch": 3.0, "train/loss": 0.1}
            assert all(record["step"] <= 30 for record in records)
            read += 1
    assert 0 < read < RECORDS


def harm_checkpoints(path: Path, bystander: Path, draw: random.Random) -> None:
    """Files of a checkpoint are mutated, and in every second case their checksums made to fit."""
    folder = path / "checkpoints" / str(draw.choice(SNAPSHOTS))
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for victim in draw.sample(files, draw.randint(1, 2)):
        kind = draw.randrange(8)
        if kind == 0:
            victim.unlink()
        elif kind == 1:
            victim.rename(victim.with_name(draw.choice(["another", "\udcff", "a\nb", ".zarray"])))
        elif kind == 2 and victim.suffix == "":
            text = victim.read_bytes().replace(b"d/", b"../../../bystander/").replace(b"arrays", b"/tmp")
            victim.write_bytes(text)
        else:
            victim.write_bytes(mutated(victim.read_bytes(), draw))
    if draw.random() < 0.2:
        odd = path / "checkpoints" / draw.choice(["30", "-1", "007", "1e3", "30.orbax-checkpoint-tmp", "\u0663", "x"])
        draw.choice([Path.mkdir, Path.touch])(odd)
    if draw.random() < 0.5:
        sums = folder / "sha256sums"
        files = sorted(file for file in folder.rglob("*") if file.is_file() and file != sums)
        lines = [
            hashlib.sha256(file.read_bytes()).hexdigest().encode()
            + b"  "
            + os.fsencode(file.relative_to(folder))
            + b"\n"
            for file in files
        ]
        sums.write_bytes(b"".join(lines))


# where checksums were made to fit what is damaged, Orbax leaves coroutines behind that nobody waits for
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("part", PARTS)
def test_checkpoints(copied_run: Callable[[], Path], bystander: Path, part: int) -> None:
    """Restored is what was saved; where someone has made the checksums fit, a whole snapshot at least."""

    def is_read(case: int) -> bool:
        path = copied_run()
        harm_checkpoints(path, bystander, random.Random(case))
        try:
            snapshot, _ = go_on(path)
        except UserError as error:
            assert_one_line(error)
            return False
        expected = snapshot_at(0)
        assert jax.tree.structure(snapshot) == jax.tree.structure(expected)
        assert jax.tree.map(np.shape, snapshot) == jax.tree.map(np.shape, expected)
        return True

    read = [is_read(case) for case in range(part * CHECKPOINTS, (part + 1) * CHECKPOINTS)]
    gc.collect()  # for what Orbax has left behind, within this test
    assert any(read)

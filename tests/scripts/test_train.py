"""The main job as a user runs it: its folder, its resumption, its refusals."""

import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from aejax.cli import train
from aejax.experiment import summary
from aejax.experiment.configuration import Regularization
from aejax.experiment.presets import training_command
from aejax.experiment.run_folder import read_experiment
from aejax.host.commands import verb_command

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"
FEW, EPOCHS = 3, 40
SMALL = ("--hidden", "16", "--code-size", "3", "--checkpoint-every", "1", "--epochs", str(EPOCHS), "--patience", "None")
ENVIRONMENT = os.environ | {"XLA_FLAGS": ""}  # one device, as on a user's machine


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def final_checkpoint(run_dir: Path) -> Path:
    return max((path for path in (run_dir / "checkpoints").iterdir() if path.name.isdigit()), key=lambda p: int(p.name))


def parameters(run_dir: Path) -> dict[str, np.ndarray]:
    """Every array of the newest checkpoint, as the files hold them."""
    import jax
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as checkpointer:
        tree = checkpointer.restore(final_checkpoint(run_dir) / "arrays")
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A whole run of a few epochs, with what it printed."""
    folder = tmp_path_factory.mktemp("main")
    result = run(*SMALL, "--epochs", str(FEW), "--run-dir", "run", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder / "run", result.stdout


@pytest.fixture(scope="module")
def not_stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run that takes long enough to be stopped on its way."""
    folder = tmp_path_factory.mktemp("long")
    result = run(*SMALL, "--run-dir", "run", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder / "run"


def test_the_run_folder_holds_all_that_it_should(finished: tuple[Path, str], drawn_fraction) -> None:
    folder, output = finished
    config = json.loads((folder / "config.json").read_text())
    assert config["training"]["epochs"] == FEW
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records[:-1]] == list(range(1, FEW + 1))
    terms = {"loss", "reconstruction", "kl", "elbo"}
    watched = {"step", "epoch", "validation/code/frobenius_norm"}
    assert set(records[0]) == watched | {f"{s}/{t}" for s in ("train", "validation") for t in terms}
    of_code = {"units", "active_units", "nonzero_fraction", "frobenius_norm"}
    of_code |= {"mutual_information", "mutual_information_limit"}
    of_code |= {f"kl/{unit}" for unit in (1, 2, 3)}
    expected = {f"test/{term}" for term in terms} | {f"test/code/{name}" for name in of_code}
    assert set(records[-1]) == {"step", "epoch"} | expected
    assert records[-1]["test/loss"] < records[0]["validation/loss"]
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "facts.json",
        "data.sha256",
        "metrics.jsonl",
        "events",
        "checkpoints",
        ".lock",
        "figures",
        "samples.json",
        "validation_scores.npy",
    }
    for name in ("training_curves", "reconstructions", "samples", "latent_space", "code_units"):
        assert drawn_fraction(folder / "figures" / f"{name}.png") > 0.015, name
    assert "test" in output
    assert re.search(r"\d of the 3 code units are active", output)
    assert "The codes hold at least" in output
    assert re.search(r"samples: \d+ decoded from the prior, the decoder's means, against \d+ test examples", output)
    assert "means over examples, for the parameters after that epoch" in output
    assert "loss = reconstruction + 0.3 × KL divergence from the prior; terms are shown without their weights" in output
    assert "examples/s" in output
    assert "\x1b" not in output  # plain lines where there is no terminal


EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 75}


@pytest.mark.slow
@pytest.mark.parametrize("interruption", [signal.SIGINT, signal.SIGTERM])  # SIGKILL: test_train_killed.py
def test_a_stopped_run_ends_as_if_it_had_not_been(
    not_stopped: Path, tmp_path: Path, interruption: signal.Signals
) -> None:
    """Stopped by Ctrl-C (SIGINT) or preempted (SIGTERM): the resumed run has the same bits, records too."""
    whole, stopped = not_stopped, tmp_path / "stopped run"
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), *SMALL, "--run-dir", str(stopped)],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    metrics = stopped / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_text().count("\n") >= 10):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(interruption)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == EXIT_CODES[interruption]
    assert f"continue with: {verb_command('train', '--resume', stopped)}\n" in output
    assert int(final_checkpoint(stopped).name) < int(final_checkpoint(whole).name)

    resumed = run("--resume", stopped, cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    expected, got = parameters(whole), parameters(stopped)
    assert expected.keys() == got.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array, err_msg=name)
    assert metrics.read_text() == (whole / "metrics.jsonl").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_no_test_example_reaches_training(run_script: Callable, tmp_path: Path) -> None:
    """Runs on examples of which the test part alone differs are one run, to the last bit."""
    from aejax.experiment.configuration import Data
    from aejax.experiment.loading import load_splits

    rng = np.random.default_rng(0)
    x = rng.uniform(size=(60, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    splits = load_splits(Data(dataset=str(tmp_path / "x.npy")))
    changed = x.copy()
    changed[(x[:, None] == splits.test.x).all(axis=2).any(axis=1)] = rng.uniform(size=splits.test.x.shape)
    records, tested = {}, {}
    for name, examples in (("first", x), ("second", changed)):
        np.save(tmp_path / "x.npy", examples)
        knobs = ("--family", "undercomplete", "--hidden", "5", "--code-size", "2", "--loss", "squared_error")
        size = ("--epochs", "6", "--patience", "2", "--batch-size", "8", "--devices", "1")
        result = run_script("train", "--dataset", tmp_path / "x.npy", *knobs, *size, "--run-dir", tmp_path / name)
        assert (result.code, result.errors) == (0, "")
        *records[name], tested[name] = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
    assert records["first"] == records["second"]
    assert tested["first"] != tested["second"]
    expected, got = parameters(tmp_path / "first"), parameters(tmp_path / "second")
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array, err_msg=name)


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_masks_in_bytes_and_classes_by_their_names(
    run_script: Callable, complaint_of: Callable, tmp_path: Path
) -> None:
    """Trained, continued, encoded, generated: masks stay 0 and 1, classes are what the user calls them."""
    rng = np.random.default_rng(0)
    names = np.array(["cat", "dog", "Käse"])[rng.integers(0, 3, 90)]
    masks = (rng.random((90, 6)) > 0.5).astype(np.uint8)
    np.savez(tmp_path / "mine.npz", x=masks, labels=names)
    run, size = tmp_path / "run", ("--epochs", "2", "--batch-size", "16", "--devices", "1")
    knobs = ("--conditional", "--hidden", "5", "--code-size", "2")
    result = run_script("train", "--dataset", tmp_path / "mine.npz", *knobs, *size, "--run-dir", run)
    assert (result.code, result.errors) == (0, "")
    assert "mine.npz: bytes from 0 to 1 are masks, classes or counts, kept unchanged (--byte-values" in result.output
    facts = json.loads((run / "facts.json").read_text(encoding="utf-8"))
    assert facts["classes"] == ["Käse", "cat", "dog"]
    assert facts["targets"]["high"] == 1
    assert run_script("train", "--resume", run).code == 0

    np.save(tmp_path / "x.npy", masks[:3].astype(bool))
    np.save(tmp_path / "labels.npy", np.array(["dog", "cat", "dog"]))
    encode = ("encode", run, tmp_path / "x.npy", tmp_path / "codes.npy", "--labels", tmp_path / "labels.npy")
    assert run_script(*encode).code == 0
    result = run_script("generate", run, tmp_path / "made", "--what", "classes")
    assert (result.code, result.errors) == (0, "")
    assert np.load(tmp_path / "made" / "examples.npy").shape == (3, 10, 6)
    assert run_script("evaluate", run).code == 0

    np.save(tmp_path / "labels.npy", np.array(["dog", "cow", "Cat"]))
    said = complaint_of(*encode[:3], tmp_path / "codes2.npy", *encode[4:])
    assert "was trained on classes 'Käse', 'cat', 'dog', but there are labels of classes 'Cat', 'cow'" in said
    np.save(tmp_path / "labels.npy", np.array(["dog", "cat", "dog"]))
    np.save(tmp_path / "x.npy", 255 * masks[:3])
    said = complaint_of("detect_anomalies", run, tmp_path / "x.npy", tmp_path / "found", *encode[4:])
    assert "holds values from 0 to 255 (uint8), but" in said


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        (np.zeros((200_000, 2), np.uint8), np.arange(200_000), "at most 10,000 classes, got 140,000 distinct labels"),
        (np.zeros((60, 2)), np.arange(60).astype(str), " are held out, but training examples have labels of"),
        (np.zeros((60, 3, 8, 8)), None, "channels first; leave out --channels last"),
    ],
)
def test_data_that_a_network_cannot_be_trained_on(
    complaint_of: Callable, tmp_path: Path, x: np.ndarray, labels: np.ndarray | None, message: str
) -> None:
    np.save(tmp_path / "x.npy", x)
    knobs = (
        ("--network", "conv", "--hidden", "4", "--channels", "last")
        if labels is None
        else ("--conditional", "--labels", "labels.npy")
    )
    if labels is not None:
        np.save(tmp_path / "labels.npy", labels)
    knobs += ("--batch-size", "8", "--dataset", "x.npy", "--run-dir", "run")
    assert message in complaint_of("train", *knobs)


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_an_alpha_channel_is_noticed(run_script: Callable, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 4)).astype(np.uint8)
    x[..., 3] = 255
    np.save(tmp_path / "x.npy", x)
    knobs = ("--epochs", "1", "--batch-size", "16", "--devices", "1", "--hidden", "5", "--code-size", "2")
    result = run_script("train", "--dataset", tmp_path / "x.npy", *knobs, "--run-dir", tmp_path / "run")
    assert "x.npy: the fourth channel is 1 everywhere, like the alpha channel of opaque RGBA images" in result.output
    assert "x.npy: bytes from 0 to 255 are gray values, divided by 255 (--byte-values as_is" in result.output


@pytest.mark.slow
def test_a_reader_that_goes_does_not_end_the_run(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), *SMALL, "--epochs", "3", "--run-dir", "run"]
    process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, b"")
    assert (tmp_path / "run" / "figures" / "samples.png").exists()


@pytest.mark.slow
def test_a_disk_that_is_full_is_one_line_and_the_run_goes_on_from_what_it_has(tmp_path: Path) -> None:
    """No file may grow beyond 64 KiB, which is less than the TensorBoard events of 150 epochs are."""
    command = shlex.join([sys.executable, str(SCRIPT), *SMALL, "--epochs", "150", "--run-dir", "run"])
    limited = f"ulimit -f 64; unset JAX_COMPILATION_CACHE_DIR; XDG_CACHE_HOME=cache exec {command}"
    full = subprocess.run(
        ["bash", "-c", limited], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert full.returncode == 2, full.stderr
    assert re.fullmatch(r"train\.py: error: .*[Tt]oo large.*\n", full.stderr)
    resumed = run("--resume", "run", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr


@pytest.mark.slow
def test_data_that_have_changed_are_refused_and_a_path_may_be_relative(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(size=(40, 5)).astype(np.float32)
    np.save(tmp_path / "mine.npy", x)
    arguments = ("--batch-size", "8", "--epochs", "2", "--hidden", "4", "--code-size", "2")
    first = run("--dataset", "mine.npy", *arguments, "--run-dir", "run", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (tmp_path / "elsewhere").mkdir()
    assert run("--resume", "../run", cwd=tmp_path / "elsewhere").returncode == 0
    np.save(tmp_path / "mine.npy", 1 - x)
    changed = run("--resume", "run", cwd=tmp_path)
    assert changed.returncode == 2
    assert "mine.npy: is not the data that run began with" in changed.stderr


@pytest.mark.slow
def test_examples_that_stay_in_their_file_train_as_those_in_memory(tmp_path: Path) -> None:
    """Records to 1e-6, with a corruption that wants to know the extremes; a trace and a cache of executables beside."""
    x = np.random.default_rng(0).integers(0, 256, (120, 6, 5), np.uint8)
    np.save(tmp_path / "mine.npy", x)
    arguments = ("--dataset", "mine.npy", "--batch-size", "8", "--epochs", "4", "--hidden", "8", "--code-size", "2")
    arguments += ("--corruption", "salt_and_pepper", "--accumulation-steps", "2", "--rematerialize", "--deterministic")
    records = []
    for stream in ("always", "never"):
        result = run(*arguments, "--stream", stream, "--run-dir", stream, "--profile", f"trace-{stream}", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert re.search(rf"a trace of \d+ steps is in trace-{stream}", result.stdout)
        assert list((tmp_path / f"trace-{stream}").rglob("perfetto_trace.json.gz"))
        records.append([json.loads(line) for line in (tmp_path / stream / "metrics.jsonl").read_text().splitlines()])
    for one, other in zip(*records, strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-6)
    resumed = run("--resume", "never", "--stream", "always", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr


@pytest.mark.slow
def test_a_torn_checkpoint_gives_way_to_the_one_before(finished: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copytree(finished[0], tmp_path / "run")
    torn = max(
        (p for p in final_checkpoint(tmp_path / "run").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )
    torn.write_bytes(torn.read_bytes()[:-5])
    result = run("--resume", "run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "is damaged" in result.stdout
    assert "continuing from the one before it" in result.stdout
    np.testing.assert_equal(parameters(tmp_path / "run"), parameters(finished[0]))


# --- refusals: one line that names the culprit, exit code 2, nothing written -------------------------------------


@pytest.fixture
def refused(complaint_of: Callable[..., str]) -> Callable[..., str]:
    """Runs the script in this process and returns its one line of complaint."""
    return partial(complaint_of, "train")


@pytest.mark.slow_after_first
@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["no-such-preset"], "there is no preset 'no-such-preset'; the presets are digits-vae, "),
        (["digit-vae"], "there is no preset 'digit-vae'; did you mean digits-vae"),
        (["mnist"], "there is no preset 'mnist'; did you mean mnist-vae?"),
        (["afile"], "to train on your own data use --dataset afile"),
        (["--dataset", "afile"], "afile: is a file of an unknown kind; data are .npy and .npz files"),
        (["--dataset", "digitz"], "there is no data set 'digitz'; did you mean digits?"),
        (
            ["--family", "tied", "--conditional"],
            "error: --conditional and --family tied cannot be combined: tied layers have no input for a condition\n",
        ),
        (["--no-such-flag", "1"], "--no-such-flag"),
        (["--epochs", "none"], "--epochs"),
        (["--epochs", "0"], "epochs: input should be greater than 0, got 0"),
        (["--beta", "-1"], "beta"),
        (["--learning-rate", "inf"], "learning_rate"),
        (["--corruption", "masking", "--corruption-level", "2"], "corruption_level"),
        (["digits-ae", "--beta", "2"], "beta: requires family variational"),
        (["--code-size", "None"], "code_size"),
        (["--batch-size", "5000"], "batch_size must be at most the 1258 training examples, got 5000"),
        (["--batch-size", "12"], "8 or 16, got 12"),
        (["--devices", "100"], "devices"),
        (["--dataset", "no_such_set"], "no_such_set"),
        (["--dataset", "missing.npy"], "missing.npy: no such file"),
        (["--labels", "labels.npy"], "labels"),
        (["--resume", "missing"], "missing: is no run folder"),
        (["--resume", "."], ".: is no run folder"),
        (["--run-dir", "mnist-vae", "--dataset", "missing.npy"], "missing.npy: no such file"),
        (["--epochs", "1", "mnist-vae"], "the preset must come before all options: train.py mnist-vae"),
        (["--run-dir", "x" * 300], "File name too long"),
        (["--run-dir", "afile"], "afile: exists already, and is no run folder"),
        (["--run-dir", "afile/run"], "afile is not a folder"),
        (["--profile", "afile"], "--profile: expected a folder, but afile is a file"),
        (
            ["--accumulation-steps", "2", "--free-bits", "0.1"],
            "free_bits computes the mean divergence of a unit over the whole batch",
        ),
        (["--accumulation-steps", "3", "--devices", "1"], "1 devices times 3 accumulation steps: 63 or 66, got 64"),
    ],
)
def test_mistakes_on_the_command_line(refused, tmp_path: Path, arguments: list[str], culprit: str) -> None:
    (tmp_path / "afile").touch()
    assert culprit in refused(*arguments)


@pytest.mark.parametrize("family", ["undercomplete", "tied", "k_sparse"])
def test_a_family_alone_is_trained_without_the_regularization_of_the_default(family: str) -> None:
    """The default is variational; what it weights is not what these are given, and the command says the same."""
    options, name = train._parse(["--family", family])
    assert name == f"digits-{family}"
    assert options.experiment.regularization == Regularization()
    words = shlex.split(training_command(options.experiment).partition(" train ")[2])
    assert train._parse(words)[0].experiment == options.experiment


@pytest.mark.parametrize(
    ("array", "culprit"),
    [
        (np.full((20, 4), np.nan), "example 0 (from 0) has no step"),
        (np.array([[1.0, np.inf]] * 20), "infinity"),
        (np.array([[object()]] * 20), "pickled objects"),
        (np.zeros((0, 4)), "no examples"),
        (np.zeros(20), r"(20,)"),
        (np.array([["text"]] * 20), "numbers"),
        (np.linspace(-1, 2, 80).reshape(20, 4), "bernoulli expects values in [0, 1]"),
        (np.zeros((2, 4)), "2 examples are too few"),
    ],
)
def test_mistakes_in_arrays(refused, tmp_path: Path, array: np.ndarray, culprit: str) -> None:
    np.save(tmp_path / "mine.npy", array)
    complaint = refused("--dataset", "mine.npy", "--batch-size", "8")
    assert culprit in complaint


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--dataset", "my data.npy"], "my-data"),
        (["--dataset=my data.npy"], "my-data"),
        (["digits-ae", "--dataset", "my data.npy"], "my-data"),
        (["digits-ae"], "digits-ae"),
        (["--dataset", "digits"], "digits-vae"),
        (["--dataset", "../faces/"], "faces"),
        (["--dataset", "emnist/letters"], "letters"),
        ([], "digits-vae"),
        (["--family", "variational"], "digits-vae"),
    ],
)
def test_a_run_is_called_by_its_data_where_they_are_others_than_the_presets(arguments, name) -> None:
    from aejax.experiment.presets import OWN, PRESETS

    options, given = train._parse(arguments)
    assert given == name
    preset = arguments[:1] if arguments[:1] == ["digits-ae"] else ["digits-vae"] if name == "digits-vae" else []
    expected = PRESETS[preset[0]][1] if preset else OWN
    data = options.experiment.data
    assert options.experiment == dataclasses.replace(expected, data=data)


def test_labels_of_another_length(refused, tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", np.zeros((20, 4)))
    np.save(tmp_path / "labels.npy", np.zeros(19, int))
    assert "got 19 labels for 20 examples" in refused("--dataset", "mine.npy", "--labels", "labels.npy")


def test_a_run_folder_that_exists(refused, finished: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert "mine: exists already, and is no run folder" in refused("--run-dir", "mine")
    (tmp_path / "link").symlink_to("nowhere")
    assert "link: exists already" in refused("--run-dir", "link")
    copy = tmp_path / "two words"
    shutil.copytree(finished[0], copy)
    said = refused("--run-dir", "two words")
    assert said.endswith(f"continue that run with {verb_command('train', '--resume', copy)}\n")


@pytest.mark.slow
def test_a_failed_run_is_not_in_the_way_of_the_same_command(
    run_script, tmp_path: Path, monkeypatch, drawn_fraction
) -> None:
    """One that has learned nothing leaves no folder, one that was killed may be replaced, others stay."""
    from aejax.errors import UserError
    from aejax.experiment import run as running

    monkeypatch.chdir(tmp_path)
    np.save("mine.npy", np.random.default_rng(0).uniform(size=(60, 4)).astype(np.float32))
    knobs = ("--hidden", "5", "--code-size", "2", "--epochs", "3", "--batch-size", "8", "--devices", "1")
    arguments = ("train", "--dataset", "mine.npy", *knobs, "--checkpoint-every", "1", "--run-dir", "a/run")
    whole, calls = running.check_parameters, []

    def fail_at(call: int):
        calls.clear()

        def check(*arguments: object) -> None:
            calls.append(arguments)
            if len(calls) == call:
                raise UserError("the loss is nan")
            whole(*arguments)

        return check

    result = run_script(*arguments, "--learning-rate", "1e38")
    assert result.code == 2
    assert not Path("a/run").exists()
    monkeypatch.setattr(running, "check_parameters", fail_at(3))
    result = run_script(*arguments)
    assert (result.code, result.errors) == (2, "train.py: error: the loss is nan\n")
    assert len(Path("a/run/metrics.jsonl").read_text().splitlines()) == 3  # two epochs, whose checkpoints are whole
    monkeypatch.setattr(running, "check_parameters", whole)
    assert "exists already" in run_script(*arguments).errors
    for record in ("metrics.jsonl", "checkpoints"):  # what is left of a run that was killed in its first epoch
        path = Path("a/run") / record
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    Path("a/run/note.txt").touch()  # which is not ours
    assert "exists already" in run_script(*arguments).errors
    Path("a/run/note.txt").unlink()
    result = run_script(*arguments)
    assert (result.code, result.errors) == (0, "")
    assert result.output.startswith(f"mine: {tmp_path / 'mine.npy'}, ")
    assert drawn_fraction(tmp_path / "a/run/figures/samples.png") > 0.015


def test_the_command_that_trains_a_run_again(refused, finished: tuple[Path, str]) -> None:
    experiment = read_experiment(finished[0])
    other = dataclasses.replace(experiment, training=dataclasses.replace(experiment.training, seed=3))
    program, _, words = training_command(other).partition(" train")
    assert program == verb_command("train").removesuffix(" train")
    arguments = shlex.split(words)
    assert arguments[-2:] == ["--seed", "3"]
    assert refused(*arguments, "--run-dir", str(finished[0])).count("exists already") == 1  # the arguments are in order


def test_resuming_where_the_data_are_in_another_place(refused, finished: tuple[Path, str], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((9, 3)))
    said = refused("--resume", str(finished[0]), "--dataset", "x.npy")
    assert f"began with other data: dataset was digits and is now {tmp_path / 'x.npy'}; if the same data" in said


@pytest.mark.slow
def test_a_config_that_does_not_match_its_checkpoints(refused, finished: tuple[Path, str]) -> None:
    config = finished[0] / "config.json"
    original = config.read_text()
    config.write_text(original.replace('"seed": 0', '"seed": 5'))
    try:
        assert "does not match the checkpoints: seed was 0 and is now 5" in refused("--resume", str(finished[0]))
    finally:
        config.write_text(original)


@pytest.mark.slow
def test_training_that_diverges_in_its_first_epoch_leaves_nothing(tmp_path: Path) -> None:
    arguments = ("digits-ae", *SMALL, "--loss", "squared_error", "--learning-rate", "9e29", "--run-dir", "run")
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert "reconstruction is" in result.stderr
    assert "step" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_statistics_and_figures_that_fail_leave_the_result(run_script, tmp_path, monkeypatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise MemoryError("no memory for all of them\nat all")

    monkeypatch.setattr(summary, "code_statistics", fail)
    monkeypatch.setattr(summary, "draw_figures", fail)
    result = run_script("train", "--epochs", "1", "--hidden", "4", "--devices", "1", "--run-dir", tmp_path / "run")
    assert result.code == 0
    assert result.errors.count("Traceback") == 2  # a bug is seen, and costs nothing else
    assert "statistics of the code: left out, no memory for all of them\n" in result.output
    assert "figures: left out, no memory for all of them\n" in result.output
    assert "best epoch 1 of 1" in result.output
    assert "test/loss" in json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])

"""The run folder: made once, read back, rewound to a checkpoint."""

import json
import os
import shutil
from pathlib import Path

import pytest

from aejax.errors import UserError
from aejax.experiment.configuration import Experiment, Training
from aejax.experiment.facts import read_facts
from aejax.experiment.run_folder import RunFolder, check_data_of_run, check_unchanged, read_experiment, read_records

EXPERIMENT = Experiment(training=Training(seed=7))


@pytest.fixture
def run(tmp_path: Path):
    run = RunFolder.create(tmp_path / "runs" / "one", EXPERIMENT, "0af3")
    yield run
    run.close()


def record(step: int, split: str = "validation") -> dict[str, float]:
    return {"step": step, "epoch": step / 10, f"{split}/loss": 0.1 * step}


def test_config_is_read_back(run: RunFolder) -> None:
    assert read_experiment(run.path) == EXPERIMENT


def test_records_are_json_lines_and_events(run: RunFolder) -> None:
    from tensorboardX.proto.event_pb2 import Event

    run.write(record(10))
    run.write(record(20))
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [record(10), record(20)] == run.records()
    run.close()
    content = next((run.path / "events").iterdir()).read_bytes()
    scalars = {}
    while content:
        length = int.from_bytes(content[:8], "little")  # length, its CRC, the event, its CRC
        event = Event.FromString(content[12 : 12 + length])
        scalars |= {(event.step, value.tag): value.simple_value for value in event.summary.value}
        content = content[16 + length :]
    assert scalars == pytest.approx({(10, "validation/loss"): 1.0, (20, "validation/loss"): 2.0})


def test_rewinding_forgets_what_will_be_written_again(run: RunFolder) -> None:
    for step in (10, 20, 30):
        run.write(record(step))
    run.write(record(20, "test"))
    run.rewind(20)
    assert run.records() == [record(10), record(20)]


def test_the_record_of_an_evaluation_that_is_taken_up_again_is_forgotten_too(run: RunFolder) -> None:
    for step in (10, 20):
        run.write(record(step))
    run.rewind(20, evaluating=True)
    assert run.records() == [record(10)]


def test_what_is_not_finite_is_left_out(run: RunFolder) -> None:
    run.write(record(10) | {"test/kl": float("nan"), "test/loss": float("inf")})
    assert run.records() == [record(10)]


def test_a_line_cut_off_by_a_kill_is_left_out(run: RunFolder) -> None:
    run.write(record(10))
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 20, "ep')
    assert run.records() == [record(10)]
    run.rewind(10)
    run.write(record(20))
    assert run.records() == [record(10), record(20)]


DAMAGED = {
    "{": "is not a valid JSON document",
    "5": "must be an object, got 5",
    "null": "must be an object, got None",
    "[]": r"must be an object, got \[\]",
    "": "is not a valid JSON document",
    "{}": "step: field required",
    '{"step": 20}': "epoch: field required",
    '{"epoch": 2}': "step: field required",
    '{"step": "20", "epoch": 2}': "step: input should be a valid integer, got '20'",
    '{"step": true, "epoch": 2}': "step: input should be a valid integer, got True",
    '{"step": 20.0, "epoch": 2}': "step: input should be a valid integer, got 20.0",
    '{"step": null, "epoch": 2}': "step: input should be a valid integer, got None",
    '{"step": -1, "epoch": 2}': "step: input should be greater than or equal to 0, got -1",
    '{"step": 1e400, "epoch": 2}': "step: input should be a valid integer, got inf",
    '{"step": 4294967296, "epoch": 2}': "step: input should be less than or equal to 2147483647, got 4294967296",
    '{"step": ' + "9" * 400 + ', "epoch": 2}': "step: ",
    '{"step": ' + "9" * 5000 + ', "epoch": 2}': "is not a valid JSON document",
    '{"step": 20, "epoch": -1}': "epoch: input should be greater than or equal to 0",
    '{"step": 20, "epoch": false}': "epoch: input should be a valid number, got False",
    '{"step": 20, "epoch": NaN}': "epoch: ",
    '{"step": 20, "epoch": Infinity}': "epoch: ",
    '{"step": 20, "epoch": []}': "epoch: input should be a valid number",
    '{"step": 20, "epoch": 2, "step": 21}': "key 'step' appears twice",
    '{"step": 20, "epoch": 2, "test/loss": 1, "test/loss": 2}': "key 'test/loss' appears twice",
    **{
        f'{{"step": 20, "epoch": 2, "validation/loss": {value}}}': "validation/loss: must be a number between"
        for value in ("NaN", "Infinity", "-Infinity", "1e400", "1e101", "9" * 400, "true", '"1"', "null", "[]", "{}")
    },
    **{
        f'{{"step": 20, "epoch": 2, {json.dumps(name)}: 1}}': "must be a name such as validation/loss"
        for name in (
            *("loss", "other/loss", "validation/", "validation/ ", "validation/_a", "validation/$x^$", "test/a\x1b[2J"),
            *(
                "test/a\nb",
                "test/a\n",
                "test/[/b]",
                "test/<b>",
                "test/\u202ea",
                "test/\ud800",
                "test/" + "x" * 200,
                "Step",
            ),
        )
    },
    json.dumps({"step": 20, "epoch": 2} | {f"train/x{k}": 1.0 for k in range(100_000)}): "at most 100 terms of train",
    "\0\0": "is not a valid JSON document",
    "[" * 100_000: "is nested too deeply",
    '{"step": 20, "epoch": 2, "test/loss": ' + "[" * 100_000 + "}": "is nested too deeply",
}


@pytest.mark.parametrize(("line", "reason"), DAMAGED.items(), ids=range(len(DAMAGED)))
def test_a_line_in_the_middle_that_is_no_record_is_named(run: RunFolder, line: str, reason: str) -> None:
    run.write(record(10))
    with (run.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    run.write(record(30))
    with pytest.raises(UserError, match=rf"metrics\.jsonl: line 2 is not a record.*{reason}") as error:
        run.records()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_line_that_is_not_utf_8_is_named(run: RunFolder) -> None:
    run.write(record(10))
    with (run.path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 20, "epoch": 2, "test/\xff": 1}\n')
    with pytest.raises(UserError, match=r"metrics\.jsonl: line 2 is not a record.*is not UTF-8"):
        run.records()


def test_a_record_is_checked_before_it_is_written(run: RunFolder) -> None:
    with pytest.raises(UserError, match="must be a name such as validation/loss"):
        run.write({"step": 1, "epoch": 1, "loss": 1.0})
    assert run.records() == []


def test_of_a_code_of_many_units_every_divergence_is_kept(run: RunFolder) -> None:
    wide = record(10, "test") | {f"test/code/kl/{unit + 1}": 0.1 for unit in range(5000)}
    run.write(wide)
    assert run.records() == [wide]


def test_an_empty_file_of_records_holds_none(run: RunFolder) -> None:
    (run.path / "metrics.jsonl").touch()
    assert run.records() == []


@pytest.mark.slow
def test_a_file_of_records_larger_than_any_is_not_read(run: RunFolder) -> None:
    with (run.path / "metrics.jsonl").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UserError, match=r"metrics.jsonl: is larger than 1,073,741,824 bytes"):
        run.records()


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to nothing"])
@pytest.mark.parametrize("name", ["metrics.jsonl", "config.json", "data.sha256", "facts.json", ".lock"])
def test_a_file_of_another_kind_is_one_line(run: RunFolder, name: str, kind: str) -> None:
    run.close()
    path = run.path / name
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "nowhere")
    if kind != "folder" or name not in ("data.sha256", "facts.json"):  # those are read later
        with pytest.raises(UserError, match=name) as error:
            RunFolder.resume(run.path)
        assert "\n" not in str(error.value)
    reader = {"metrics.jsonl": read_records, "config.json": read_experiment, "facts.json": read_facts}.get(name)
    if reader is not None:
        with pytest.raises(UserError, match=name):
            reader(run.path)
    if name == "data.sha256":
        with pytest.raises(UserError, match=name):
            check_data_of_run(run.path, "0af3", "digits")


@pytest.mark.parametrize("content", [b"", b"\xff", b"\x1b[2J", b"g" * 64, b"0" * 2**21])
def test_a_damaged_fingerprint_is_not_taken_for_other_data(run: RunFolder, content: bytes) -> None:
    (run.path / "data.sha256").write_bytes(content)
    with pytest.raises(UserError, match=r"data.sha256: (holds no fingerprint|line 1 is not UTF-8|is larger than)"):
        run.check_data("0af3", "digits")


def test_a_configuration_with_a_knob_twice_is_refused(run: RunFolder) -> None:
    config = run.path / "config.json"
    text = config.read_text(encoding="utf-8").replace('"seed": 7', '"seed": 7, "seed": 8')
    config.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"config\.json: .*key 'seed' appears twice"):
        read_experiment(run.path)


def test_a_folder_that_exists_is_refused(run: RunFolder) -> None:
    with pytest.raises(UserError, match="exists already"):
        RunFolder.create(run.path, EXPERIMENT, "")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be read or written: Not a directory"):
        RunFolder.create(tmp_path / "file" / "run", EXPERIMENT, "")


@pytest.mark.parametrize(
    ("content", "message"), [(None, "is no run folder"), ("{", "config.json"), ('{"what": 1}', "what")]
)
def test_folders_that_are_no_runs_are_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=message):
        RunFolder.resume(tmp_path)


def test_a_run_that_was_stopped_before_its_first_checkpoint_can_be_resumed(run: RunFolder) -> None:
    run.close()
    resumed = RunFolder.resume(run.path)
    assert not resumed.checkpoints.has_begun
    resumed.close()


def test_a_run_with_records_and_no_checkpoint_is_refused(run: RunFolder) -> None:
    run.write(record(10))
    run.close()
    with pytest.raises(UserError, match="holds no complete checkpoint"):
        RunFolder.resume(run.path)


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "metrics.partial", "checkpoints/7", "events/more", "figures/codes.png"]
)
def test_a_link_that_leads_out_of_the_folder_is_refused(run: RunFolder, tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").write_text("mine")
    run.write(record(10))
    run.close()
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match=f"{name}: is a link"):
        RunFolder.resume(run.path)
    assert (tmp_path / "mine").read_text() == "mine"


def test_two_do_not_write_to_one_run(run: RunFolder) -> None:
    with pytest.raises(UserError, match="one: another process is writing to this run; stop it, or wait for its end"):
        RunFolder.resume(run.path)
    run.close()
    RunFolder.resume(run.path).close()


@pytest.mark.parametrize("name", ["metrics.jsonl", "events", "figures", "checkpoints", "config.json", "data.sha256"])
def test_what_is_of_another_kind_is_one_line(run: RunFolder, name: str) -> None:
    """A folder in place of a file, and a file in place of a folder."""
    run.close()
    path = run.path / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if "." in name:
        path.mkdir()
    else:
        path.write_text("")
    with pytest.raises(UserError, match=name) as error:  # noqa: PT012
        resumed = RunFolder.resume(run.path)
        resumed.check_data("0af3", "digits")
        resumed.rewind(0)
    assert "\n" not in str(error.value)


def test_a_folder_that_goes_away_is_one_line(run: RunFolder) -> None:
    run.write(record(10))
    shutil.rmtree(run.path)
    with pytest.raises(UserError, match=r"metrics\.jsonl: cannot be read or written: No such file"):
        run.write(record(20))


def test_events_of_one_second_do_not_overwrite_each_other(run: RunFolder) -> None:
    run.write(record(10))
    run.rewind(10)
    assert len(list((run.path / "events").iterdir())) == 2


def test_other_data_are_refused(run: RunFolder) -> None:
    run.check_data("0af3", "mine.npy")
    with pytest.raises(UserError, match=r"mine.npy: is not the data that .*one began with"):
        run.check_data("0af4", "mine.npy")


def test_changed_knobs_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="batch_size was 64 and is now 1, seed was 7 and is now 8"):
        check_unchanged(EXPERIMENT, Experiment(training=Training(seed=8, batch_size=1)), tmp_path)

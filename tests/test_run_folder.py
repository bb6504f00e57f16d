"""The run folder: made once, read back, rewound to a checkpoint."""

import json
import shutil
from pathlib import Path

import pytest

from aejax.configuration import Experiment, Training
from aejax.errors import UserError
from aejax.run_folder import RunFolder, check_unchanged, read_experiment

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


@pytest.mark.parametrize("line", ["{", "5", "{}", '{"step": 20}', '{"step": "20", "epoch": 2}', "\0\0", "[" * 100_000])
def test_a_line_in_the_middle_that_is_no_record_is_named(run: RunFolder, line: str) -> None:
    run.write(record(10))
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write(f"{line}\n")
    run.write(record(30))
    with pytest.raises(UserError, match=r"metrics\.jsonl: line 2 is no record"):
        run.records()


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
    with pytest.raises(UserError, match="holds no whole checkpoint"):
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
    with pytest.raises(UserError, match=r"mine.npy: is not what .*one was begun with"):
        run.check_data("0af4", "mine.npy")


def test_changed_knobs_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="batch_size was 64 and is now 1, seed was 7 and is now 8"):
        check_unchanged(EXPERIMENT, Experiment(training=Training(seed=8, batch_size=1)), tmp_path)

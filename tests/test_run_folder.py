"""The run folder: made once, read back, rewound to a checkpoint."""

import json
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


def test_a_line_cut_off_by_a_kill_is_left_out(run: RunFolder) -> None:
    run.write(record(10))
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 20, "ep')
    assert run.records() == [record(10)]
    run.rewind(10)
    run.write(record(20))
    assert run.records() == [record(10), record(20)]


def test_a_folder_that_exists_is_refused(run: RunFolder) -> None:
    with pytest.raises(UserError, match="exists already"):
        RunFolder.create(run.path, EXPERIMENT, "")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        RunFolder.create(tmp_path / "file" / "run", EXPERIMENT, "")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is no run folder"), ("{", "config.json"), ("{}", "no checkpoints"), ('{"what": 1}', "what")],
)
def test_folders_that_are_no_runs_are_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=message):
        RunFolder.resume(tmp_path)


def test_other_data_are_refused(run: RunFolder) -> None:
    run.check_data("0af3", "mine.npy")
    with pytest.raises(UserError, match=r"mine.npy: is not what .*one was begun with"):
        run.check_data("0af4", "mine.npy")


def test_changed_knobs_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="batch_size was 64 and is now 1, seed was 7 and is now 8"):
        check_unchanged(EXPERIMENT, Experiment(training=Training(seed=8, batch_size=1)), tmp_path)

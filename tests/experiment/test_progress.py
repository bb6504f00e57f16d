"""What a run shows while it works: whole lines of 80 characters on a terminal, few lines in a log."""

import io
import itertools
import re
import time

import pytest
from rich.table import Table

from aejax.experiment import progress
from aejax.experiment.progress import TrainingProgress, WorkProgress, working
from aejax.host.terminal import PlainConsole
from aejax.training import Report


def reports(epochs: int) -> list[Report]:
    """Reports of long numbers: a loss of six characters, thousands of examples per second."""
    template = dict.fromkeys(Report._fields)
    return [
        Report(
            **template
            | {
                "epoch": float(epoch),
                "loss": -0.00012345,
                "examples": 25_093,
                "evaluation": {"validation/loss": -1234.5678},
                "finished": epoch == epochs,
            }
        )
        for epoch in range(1, epochs + 1)
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_bar_shows_rate_and_time_left_whole(width: int) -> None:
    out = io.StringIO()
    console = PlainConsole(file=out, force_terminal=True, width=width, color_system=None)
    with TrainingProgress(console, 300, 0) as shown:
        for report in reports(300)[:250]:
            shown.show(report)
        shown._bar.refresh()
    line = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).strip())[-1].rstrip()
    assert "…" not in line
    assert line.startswith("epoch 250/300 ")
    assert re.search(r"[\d,]+ examples/s +(\d:\d\d:\d\d|-:--:--) left$", line) or width == 60
    assert re.search(r"(\d:\d\d:\d\d|-:--:--) left$", line)
    assert line.count("━") + line.count("╸") >= 7
    assert len(line) <= width


def test_lines_of_a_log_become_rarer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    out = io.StringIO()
    with WorkProgress(PlainConsole(file=out), 3600, "steps") as shown:
        times = []
        for second in range(1, 3601):
            clock[0], before = float(second), len(out.getvalue())
            shown.advance_to(second, "steps", ("",), line="line", finished=second == 3600)
            if len(out.getvalue()) > before:
                times.append(second)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times[:-1])]
    assert times[0] <= 3
    assert gaps == sorted(gaps)
    assert len(times) < 25
    assert max(gaps) <= 601
    assert times[-1] == 3600


def test_work_without_steps_says_so_in_a_log_only_if_it_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    console = PlainConsole(file=out)
    with working(console, "short work"):
        pass
    monkeypatch.setattr(progress, "_FIRST_LINE", 0.01)
    with working(console, "long work"):
        time.sleep(0.1)
    assert out.getvalue() == "long work ...\n"


def test_a_table_is_never_cut() -> None:
    out = io.StringIO()
    console = PlainConsole(file=out, width=80)
    table = Table(title="t")
    heads = [
        "setting",
        "bits per example",
        "bits per value",
        "autoencoder",
        "PCA",
        "JPEG, a file each",
        "WebP, one sheet",
    ]
    for head in heads:
        table.add_column(head)
    table.add_row("step 0.015625", *["123456.789"] * 6)
    console.print(table)
    assert console.width == 80
    text = out.getvalue()
    assert "…" not in text
    assert text.count("123456.789") == 6
    for word in " ".join(heads).split():
        assert word in text

"""Records, checkpoint records and names made at random: read as what they hold, or refused in one line.

2,000 cases from fixed seeds beside those of test_fuzz.py, without a process or a checkpoint for each: all are fast.
"""

import copy
import json
import math
import random
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from aejax.errors import UserError
from aejax.experiment.configuration import Experiment, to_json
from aejax.experiment.run_folder import read_records
from aejax.host.escaping import MAX_LABEL, MAX_NAME, as_html, as_label, as_name, printable
from aejax.host.schema import MAX_STEPS, MAX_VALUE, CheckpointRecord, check_record, parse_json, validated

RECORDS, CHECKPOINTS, NAMES = 1000, 500, 500
WHOLE = {"step": 20, "epoch": 2.0, "train/loss": 0.5, "validation/loss": 0.25, "validation/code/frobenius_norm": 1}
CHECKPOINT = {
    "experiment": to_json(Experiment()),
    "stopping": {"best_loss": 0.5, "best_epoch": 2, "evaluations_since": 0},
    "sums": {"loss": 0.5},
    "steps_summed": 5,
}
ODD: list[Any] = [
    *(None, True, False, -1, 0, 1, 2**31, 2**63, 10**400, -(10**400), 0.5, -0.0, 1e308, 1e-320, 1e101),
    *(math.nan, math.inf, -math.inf, "", "1", "x" * 1000, "\x1b[2J", "\ud800", "$x^$", [], [1], {}, {"a": 1}),
]
LETTERS = [
    *"ab_/ .-$\\[]{}<>&'\"%:;`~!?#*^|\n\r\t\0\x07\x1b\x7f\x85\x9b\xa0\xad",
    *(
        "é",
        "ß",
        "和",
        "\u0301",
        "\u200b",
        "\u200d",
        "\u202e",
        "\u2066",
        "\u2028",
        "\ufeff",
        "\ud800",
        "\udcff",
        "\U0001f600",
    ),
    *(
        "[/b]",
        "[bold]",
        "$x^$",
        r"\$",
        "\x1b[31m",
        "\x1b]8;;x\x07",
        "<script>",
        "&amp;",
        ":smile:",
        "{0}",
        "%s",
        "../",
        "x" * 99,
    ),
]


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Bits flipped, or a part cut out, repeated, zeroed or replaced."""
    for _ in range(draw.randint(1, 3)):
        low = draw.randint(0, len(content))
        high = min(len(content), low + draw.choice([1, 2, 10]))
        part = content[low:high]
        kinds = [bytes(byte ^ (1 << draw.randrange(8)) for byte in part), b"", part * 3, bytes(len(part))]
        part = draw.choice(
            [*kinds, draw.randbytes(3), draw.choice([b"\n", b"NaN", b"1e999", b"\xff", b"[" * 5000, b'"'])]
        )
        content = content[:low] + part + content[high:]
    return content


def changed(document: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """Some values, some names, or some keys are others, at any depth."""
    document = copy.deepcopy(document)
    for _ in range(draw.randint(1, 2)):
        place = draw.choice([document, *(value for value in document.values() if isinstance(value, dict))])
        key = draw.choice([*place, "new"])
        kind = draw.randrange(4)
        if kind == 0:
            place.pop(key, None)
        elif kind == 1:
            place[name(draw)] = draw.choice([1.0, *ODD])
        else:
            place[key] = draw.choice(ODD)
    return document


def name(draw: random.Random) -> str:
    text = "".join(draw.choice(LETTERS) for _ in range(draw.choice([0, 1, 3, 10, 50])))
    return draw.choice(["", "validation/", "test/code/"]) + text


def one_line(error: UserError, beginning: str = "") -> None:
    shown = printable(str(error))
    assert shown
    assert shown.startswith(beginning)
    assert "\n" not in shown
    assert len(shown) < 1000
    shown.encode()


def lines_of(draw: random.Random) -> bytes:
    first, last = json.dumps(WHOLE | {"step": 10}).encode(), json.dumps(WHOLE | {"step": 30}).encode()
    line = (
        json.dumps(changed(WHOLE, draw)).encode() if draw.random() < 0.6 else mutated(json.dumps(WHOLE).encode(), draw)
    )
    if draw.random() < 0.1:
        line = line[:-1] + b', "step": 20}'
    return b"\n".join([first, line, last, b""])


def test_lines_of_records(tmp_path: Path) -> None:
    read = 0
    for case in range(RECORDS):
        (tmp_path / "metrics.jsonl").write_bytes(lines_of(random.Random(case)))
        try:
            records = read_records(tmp_path)
        except UserError as error:
            one_line(error, f"{tmp_path / 'metrics.jsonl'}: line ")
            continue
        assert records[0] == WHOLE | {"step": 10}
        for record in records:
            assert type(record["step"]) is int
            assert 0 <= record["step"] <= MAX_STEPS
            assert 0 <= record["epoch"] <= MAX_STEPS
            assert all(type(value) in (int, float) and abs(value) <= MAX_VALUE for value in record.values())
            assert all(key.isprintable() for key in record)
            assert check_record(json.loads(json.dumps(record))) == record
        read += 1
    assert RECORDS / 20 < read < RECORDS


def test_records_of_checkpoints() -> None:
    read = 0
    for case in range(CHECKPOINTS):
        draw = random.Random(case)
        content = json.dumps(changed(CHECKPOINT, draw)).encode()
        if draw.random() < 0.3:
            content = mutated(content, draw)
        try:
            record = validated(CheckpointRecord, parse_json(content, name="record"))
        except UserError as error:
            one_line(error)
            continue
        assert 0 <= record.stopping.best_epoch <= MAX_STEPS
        assert 0 <= record.steps_summed <= MAX_STEPS
        assert all(isinstance(value, float) for value in record.sums.values())
        read += 1
    assert CHECKPOINTS / 20 < read < CHECKPOINTS


def is_harmless(text: str) -> bool:
    return not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for c in text)


def test_names() -> None:
    for case in range(NAMES):
        text = name(random.Random(case))
        for shown in (printable(text), as_name(text), as_html(text), *as_label(text).split("\n")):
            assert is_harmless(shown), repr(text)
            shown.encode()
        assert not set(as_html(text)) & set("<>\"'")
        for label, limit in ((as_label(text), MAX_LABEL), (as_name(text), MAX_NAME)):
            assert label.count("$") == label.count(r"\$")
            assert all(len(line) <= 12 * limit for line in label.split("\n"))
        assert not as_name(text).startswith("_")


@pytest.mark.slow
def test_names_are_drawn() -> None:
    """Those of a row, a column and a title, without an error or a warning of Matplotlib."""
    import io
    import warnings

    import numpy as np

    from aejax import plots

    for case in range(40):
        draw = random.Random(case)
        names = [name(draw) for _ in range(5)]
        with warnings.catch_warnings(action="error"):
            figure = plots.gallery(
                np.ones((2, 2, 4)), limits=(0, 1), title=names[0], rows=names[1:3], columns=names[3:]
            )
            figure.savefig(io.BytesIO(), format="png", dpi=20)

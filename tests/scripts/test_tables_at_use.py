"""Tables at use of a run, as a user's commands: encode, decode, impute, detect, generate."""

import numpy as np
import pytest

from aejax.experiment.configuration import Data, Experiment, Model, Training
from aejax.experiment.trained import open_run

pl = pytest.importorskip("polars")
MODEL = Model(likelihood="table", hidden=(), code_size=2)


@pytest.fixture
def table(tmp_path):
    """A table with missing cells in two columns, and an identifier."""
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "id": [f"house {number}" for number in range(120)],
            "area": [None if number % 9 == 0 else f"{size:.1f}" for number, size in enumerate(rng.normal(80, 20, 120))],
            "heating": rng.choice(["gas", "oil", "wood"], 120).tolist(),
            "garden": [None if number % 7 == 0 else ("no", "yes")[number % 2] for number in range(120)],
        }
    )
    frame.write_csv(tmp_path / "houses.csv")
    return frame


@pytest.fixture
def folder(table, tmp_path, monkeypatch, make_initial_run):
    """A run on that table with initial parameters."""
    monkeypatch.chdir(tmp_path)
    data = Data(str(tmp_path / "houses.csv"))
    return make_initial_run(Experiment(data=data, model=MODEL, training=Training(epochs=1)))


def test_rows_are_encoded_and_codes_decoded_to_the_users_columns(folder, run_script, tmp_path):
    result = run_script("encode", folder, "houses.csv", "codes.csv")
    assert (result.code, result.errors) == (0, "")
    codes = pl.read_csv(tmp_path / "codes.csv")
    assert codes.columns == ["unit_1", "unit_2"]
    run = open_run(folder)
    first = run.splits.train.x[:1]
    found = np.abs(codes.to_numpy() - run.encode(run.splits.train._replace(x=first, labels=None))).sum(axis=1)
    assert found.min() < 1e-5
    assert run_script("encode", folder, "codes.csv", "decoded.csv", "--decode").code == 0
    decoded = pl.read_csv(tmp_path / "decoded.csv")
    assert decoded.columns == ["area", "heating", "garden"]
    assert decoded.null_count().sum_horizontal().item() == 0
    assert set(decoded["heating"]) <= {"gas", "oil", "wood"}


def test_only_missing_cells_are_imputed(folder, table, run_script, tmp_path):
    result = run_script("impute", folder, "houses.csv", "filled.csv")
    assert result.code == 0
    assert "32 missing values in 30 of 120 rows filled, in filled.csv" in result.output
    filled = pl.read_csv(tmp_path / "filled.csv", infer_schema=False)
    assert filled.columns == table.columns
    assert filled.null_count().sum_horizontal().item() == 0
    for name in table.columns:
        known = table[name].is_not_null()
        assert filled[name].filter(known).to_list() == table[name].filter(known).to_list()
    assert run_script("impute", folder, "houses.csv", "drawn.csv", "--samples", "2").code == 0
    one, other = (pl.read_csv(tmp_path / f"drawn-{number}.csv") for number in (1, 2))
    assert one["area"].to_list() != other["area"].to_list()


@pytest.mark.slow
def test_rows_are_scored_and_generated(folder, run_script, tmp_path):
    assert run_script("detect_anomalies", folder, "houses.csv", "found").code == 0
    rows = pl.read_csv(tmp_path / "found" / "rows.csv")
    assert rows.columns == ["id", "area", "heating", "garden", "score", "above_threshold"]
    assert rows["score"].is_finite().all()
    assert run_script("generate", folder, "made", "--rows", "2", "--columns", "3").code == 0
    made = pl.read_csv(tmp_path / "made" / "rows.csv")
    assert made.shape == (6, 3)


def test_mistakes_are_told_in_one_line(folder, complaint_of, run_script, tmp_path):
    (tmp_path / "other.csv").write_text("area,heating\n80,gas\n")
    assert "garden" in complaint_of("encode", folder, "other.csv", "codes.csv")
    (tmp_path / "unknown.csv").write_text("area,heating,garden\n80,coal,no\n")
    message = complaint_of("encode", folder, "unknown.csv", "codes.csv")
    assert "unknown.csv: column 'heating'" in message
    assert "'coal'" in message
    assert run_script("encode", folder, "unknown.csv", "known.csv", "--unknown-categories", "missing").code == 0
    assert "expected the name of a .csv" in complaint_of("impute", folder, "houses.csv", "filled.npy")
    np.save(tmp_path / "rows.npy", np.zeros((3, 3), np.float32))
    assert "was trained on a table" in complaint_of("encode", folder, "rows.npy", "codes.csv")


@pytest.mark.parametrize("arguments", [("compress", "report"), ("encode", "--compare", "report")])
def test_what_has_no_meaning_for_tables_is_refused(folder, complaint_of, arguments):
    verb, *others = arguments
    message = complaint_of(verb, folder, *others)
    assert "expects a run on examples of one unit, not on a table" in message

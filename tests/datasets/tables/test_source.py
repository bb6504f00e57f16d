"""Tables: rows of numbers and back, splits, held-out rows, tables at use; mistakes are named by file, row, column."""

import io
import json
import sys
from dataclasses import asdict

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from aejax.datasets.dataset import fingerprint
from aejax.datasets.source import Request
from aejax.datasets.stored import StoredArray
from aejax.datasets.tables import source
from aejax.datasets.tables.columns import TableColumn, model_columns
from aejax.datasets.tables.files import open_table, read_frame, write_frame
from aejax.datasets.tables.inference import OTHER
from aejax.datasets.tables.rows import as_table
from aejax.datasets.tables.source import SOURCE, load_table_rows, split_table, table_dataset
from aejax.errors import UserError
from aejax.experiment.configuration import Data
from aejax.experiment.loading import load_splits, locate

RNG = np.random.default_rng(0)
N = 120
HOUSES = pl.DataFrame(
    {
        "id": np.arange(1, N + 1),
        "area, m²": np.exp(RNG.normal(4, 0.8, N)).round(3),
        "rooms": RNG.poisson(3, N),
        'the "fuel"': RNG.choice(["gas", "oil", "wärme", None], N),
        "garden": RNG.choice(["yes", "no"], N),
        "height": [None if n % 10 == 0 else 0.1 * n for n in range(N)],
        "sold": [f"20{10 + n % 9}-0{1 + n % 9}-1{n % 7}" for n in range(N)],
        "quality": RNG.choice(["low", "medium", "high"], N),
        "country": ["CH"] * N,
        "owner": [f"owner {n // 4}" for n in range(N)],
    }
)


def write(folder, frame, name="houses.csv"):
    path = folder / name
    frame.write_parquet(path) if name.endswith("parquet") else frame.write_csv(path)
    return path


def load(path, **knobs):
    return load_splits(Data(str(path), **knobs))


def by_name(columns):
    return {column.name: column for column in columns}


def test_a_table_becomes_splits_of_rows_in_its_own_numbers(tmp_path):
    splits = load(write(tmp_path, HOUSES), columns=("owner=leave_out",))
    columns = splits.train.columns
    assert {column.name: column.kind for column in columns} == {
        **{"id": "identifier", "area, m²": "log_normal", "rooms": "count", 'the "fuel"': "categorical"},
        **{"garden": "binary", "height": "continuous", "sold.year": "continuous", "sold.month": "categorical"},
        **{"sold.day": "continuous", "quality": "ordinal", "country": "constant", "owner": "identifier"},
    }
    assert [len(split.x) for split in splits] == [84, 12, 24]
    assert all(split.columns == columns and split.x.dtype == np.float32 for split in splits)
    expected = as_table(columns, np.concatenate([split.x for split in splits]))
    assert sorted(expected["area, m²"].to_list()) == pytest.approx(sorted(HOUSES["area, m²"]))
    assert set(expected["country"]) == {"CH"}
    assert TypeAdapter(tuple[TableColumn, ...]).validate_json(json.dumps([*map(asdict, columns)])) == columns


def test_what_was_inferred_is_printed_as_a_table(tmp_path):
    path = write(tmp_path, HOUSES)
    first, head, *lines = load(path).train.notes[: 2 + len(HOUSES.columns)]
    assert first == f"{path}: 120 rows; its columns, as found in 84 training rows:"
    assert head.split() == ["column", "kind", "missing", "holds"]
    assert [line.split()[0] for line in lines] == ["id", "area,", "rooms", "the", *HOUSES.columns[4:]]
    assert lines[0].split() == ["id", "left", "out", "it", "numbers", "the", "rows"]
    assert "2 classes: no, yes" in lines[4]


def test_files_and_frames_of_all_kinds_give_the_same_rows(tmp_path):
    expected = load(write(tmp_path, HOUSES))
    with_semicolons = tmp_path / "houses.tsv"
    HOUSES.with_columns(pl.col("height").cast(pl.String).str.replace(".", ",", literal=True)).write_csv(
        with_semicolons, separator=";"
    )
    splits = split_table(HOUSES)
    for found in (load(write(tmp_path, HOUSES, "houses.parquet")), load(with_semicolons), splits):
        assert found.train.columns == expected.train.columns
        for own, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(own.x, other.x)
    assert any(line.split()[0] == "height" and "decimal commas" in line for line in load(with_semicolons).train.notes)


def test_a_frame_of_pandas_gives_the_same_rows():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(HOUSES.to_dict(as_series=False))
    frame["sold"] = pandas.to_datetime(frame["sold"])
    own, other = table_dataset(frame), table_dataset(HOUSES)
    np.testing.assert_array_equal(own.x, other.x)


def test_large_tables_stay_in_a_file(tmp_path):
    path = write(tmp_path, HOUSES)
    request = Request(str(path), stored=True)
    knobs = {knob: Data.__dataclass_fields__[knob].default for knob in SOURCE.knobs}
    splits = SOURCE.load(request, **knobs)
    in_memory = SOURCE.load(request._replace(stored=False), **knobs)
    assert isinstance(splits.train.x, StoredArray)
    np.testing.assert_array_equal(splits.train.x[:], in_memory.train.x)
    assert fingerprint(splits) == fingerprint(in_memory)


def test_rows_are_divided_from_a_file_if_they_are_many(tmp_path, monkeypatch):
    """So that they are in memory once: what is mapped is not kept."""
    path = write(tmp_path, HOUSES)
    in_memory = load(path)
    monkeypatch.setattr(source, "_IN_MEMORY", 0)
    for own, other in zip(load(path), in_memory, strict=True):
        assert type(own.x) is np.ndarray
        assert own.x.base is None or not isinstance(own.x.base, np.memmap)
        np.testing.assert_array_equal(own.x, other.x)


def test_held_out_rows_have_no_influence_on_columns_and_training_rows(tmp_path):
    path = write(tmp_path, HOUSES.drop("owner"))
    splits = load(path)
    is_test = np.isin(HOUSES["id"].to_numpy(), as_rows(splits.test))
    changed = HOUSES.drop("owner").with_columns(
        pl.when(pl.Series(is_test)).then(pl.lit(name)).otherwise(pl.col("garden")).alias("garden")
        if column == "garden"
        else pl.when(pl.Series(is_test)).then(pl.col(column) * 7 + 3).otherwise(pl.col(column)).alias(column)
        for column, name in (("garden", "maybe"), ("area, m²", ""), ("rooms", ""))
    )
    others = load(write(tmp_path, changed, "changed.csv"))
    assert others.train.columns == splits.train.columns
    np.testing.assert_array_equal(others.train.x, splits.train.x)
    np.testing.assert_array_equal(others.validation.x, splits.validation.x)
    assert not np.array_equal(others.test.x, splits.test.x, equal_nan=True)
    assert others.train.notes[-1] == (
        f"column 'garden': 'maybe': no training row has this category, so {is_test.sum()} cells are read as missing"
    )


def as_rows(split):
    """The ids of a split's rows, which are told by their area."""
    table = as_table(split.columns, split.x)
    areas = HOUSES["area, m²"].cast(pl.Float32).to_list()
    return [areas.index(area) + 1 for area in table["area, m²"]]


def test_labels_are_a_column_that_is_left_out(tmp_path):
    splits = load(write(tmp_path, HOUSES), labels="garden")
    assert "garden" not in by_name(splits.train.columns)
    ids = as_rows(splits.test)
    assert splits.test.labels.tolist() == [HOUSES["garden"][number - 1] for number in ids]
    assert load(write(tmp_path, HOUSES), labels="rooms").train.labels.dtype.kind == "i"
    np.save(tmp_path / "labels.npy", np.arange(N) % 3)
    assert load(write(tmp_path, HOUSES), labels=str(tmp_path / "labels.npy")).train.labels.max() == 2


def test_no_group_is_in_two_splits(tmp_path):
    path = write(tmp_path, HOUSES)
    splits = load(path, split_by="owner")
    assert "owner" not in by_name(splits.train.columns)
    owners = [{(number - 1) // 4 for number in as_rows(split)} for split in splits]
    assert sum(map(len, owners)) == len(set().union(*owners)) == 30
    assert splits.train.notes[-1].startswith("split_by owner: divides the examples: train 84 (21 groups), ")
    np.save(tmp_path / "owners.npy", np.arange(N) // 4)
    by_file = load(path, split_by=str(tmp_path / "owners.npy"))
    owners = [{(number - 1) // 4 for number in as_rows(split)} for split in by_file]
    assert sum(map(len, owners)) == 30


def test_the_newest_rows_are_test_rows(tmp_path):
    splits = load(write(tmp_path, HOUSES), split_by="sold", split_order="ascending")
    days = [[HOUSES["sold"][number - 1] for number in as_rows(split)] for split in splits]
    assert max(days[0]) < min(days[1])
    assert max(days[1]) < min(days[2])


def test_splits_in_files_of_their_own_and_by_name(tmp_path):
    parts = [HOUSES[:60], HOUSES[60:80].select(HOUSES.columns[::-1]), HOUSES[80:]]
    train, validation, test = (write(tmp_path, part, f"{n}.csv") for n, part in enumerate(parts))
    splits = load(train, validation_data=str(validation), test_data=str(test))
    assert [as_rows(split) for split in splits] == [[*range(1, 61)], [*range(61, 81)], [*range(81, 121)]]
    names = pl.Series("use", ["train"] * 60 + ["validation"] * 20 + ["test"] * 40)
    named = load(write(tmp_path, HOUSES.with_columns(names)), split_by="use")
    assert named.train.columns == splits.train.columns
    np.testing.assert_array_equal(named.test.x, splits.test.x)
    with pytest.raises(UserError, match="split_by: cannot be combined with validation_data"):
        load(train, validation_data=str(validation), split_by="owner")
    with pytest.raises(UserError, match=r"2\.csv: there is no column 'rooms'"):
        load(train, test_data=str(write(tmp_path, parts[2].drop("rooms"), "2.csv")))


CLEAN = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Z"), exclude_characters="?")
WORDS = st.text(CLEAN, min_size=1, max_size=5).filter(lambda t: t.lower() not in ("na", "n/a", "nan", "null"))


@st.composite
def tables(draw):
    """A table with cells of every kind, its declaration, and which cells are missing."""
    rows = draw(st.integers(6, 12))
    names = draw(
        st.lists(
            st.text(CLEAN | st.sampled_from(' ,";'), min_size=1, max_size=6).map(str.strip).filter(bool),
            min_size=5,
            max_size=5,
            unique=True,
        )
    )
    words = draw(st.lists(WORDS, min_size=2, max_size=4, unique=True))
    numbers = st.floats(-1e6, 1e6, width=32)
    columns = {
        "continuous": draw(st.lists(numbers, min_size=rows, max_size=rows)),
        "count": draw(st.lists(st.integers(0, 2**24), min_size=rows, max_size=rows)),
        "categorical": [draw(st.sampled_from(words)) for _ in range(rows)],
        "ordinal": [draw(st.sampled_from(words)) for _ in range(rows)],
        "date": [str(draw(st.dates())) for _ in range(rows)],
    }
    cells = {
        name: [None if draw(st.integers(0, 3)) == 0 else cell for cell in column]
        for name, column in zip(names, columns.values(), strict=True)
    }
    declared = dict(zip(names, columns, strict=True))
    declared |= {names[3]: {"kind": "ordinal", "classes": words}}
    return pl.DataFrame(cells, strict=False), declared


@pytest.mark.slow
@given(tables())
def test_files_to_rows_to_tables_is_the_identity(tmp_path_factory, drawn):
    frame, declared = drawn
    path = write(tmp_path_factory.mktemp("tables"), frame)
    assume(any(frame[name].n_unique() > 2 for name in frame.columns))  # not all columns are constant
    dataset = table_dataset(frame, columns=declared)
    loaded = load_table_rows(path, dataset.columns)
    np.testing.assert_array_equal(loaded.x, dataset.x)
    back = as_table(dataset.columns, loaded.x)
    left_out = [column.name for column in dataset.columns if column.kind == "constant" and column.date is None]
    for name in frame.columns:
        if name in left_out or name not in back.columns:
            continue
        own, given = back[name], frame[name]
        if own.dtype.is_float():
            np.testing.assert_array_equal(own.to_numpy(), given.cast(pl.Float32).to_numpy())
        else:
            assert own.cast(pl.String).to_list() == given.cast(pl.String).to_list()


def test_a_table_at_use_may_have_another_order_and_further_columns(tmp_path):
    dataset = table_dataset(HOUSES)
    path = write(tmp_path, HOUSES.select(HOUSES.columns[::-1]).with_columns(pl.lit("x").alias("new")))
    np.testing.assert_array_equal(load_table_rows(path, dataset.columns).x, dataset.x)
    np.testing.assert_array_equal(table_dataset(HOUSES.drop("id"), columns=dataset.columns).x, dataset.x)
    labelled = load_table_rows(path, dataset.columns, labels="quality")
    assert labelled.labels[:3].tolist() == HOUSES["quality"][:3].to_list()


AT_USE = {
    "a missing column": (HOUSES.rename({"height": "heights"}), "there is no column 'height'; did you mean heights"),
    "an unknown category": (
        HOUSES.with_columns(garden=pl.Series(["no"] * 5 + ["maybe"] * (N - 5))),
        "column 'garden': data row 6 holds 'maybe', a category that no training row has; known are 'no', 'yes'",
    ),
    "a text": (
        HOUSES.with_columns(height=pl.Series(["1"] * 5 + ["tall"] * (N - 5))),
        "column 'height': data row 6 holds 'tall', expected a number",
    ),
    "a negative count": (HOUSES.with_columns(pl.col("rooms") - 2), "expected a whole number of at least 0 \\(count\\)"),
    "a number that has no logarithm": (
        HOUSES.with_columns(pl.lit(0.0).alias("area, m²")),
        "column 'area, m²': data row 1 holds '0.0', expected a positive number \\(log_normal\\); columns can declare",
    ),
    "a date that is none": (
        HOUSES.with_columns(sold=pl.Series(["2020-01-01"] * 5 + ["2020-13-01"] * (N - 5))),
        "column 'sold': data row 6 holds '2020-13-01', expected a date of the form %Y-%m-%d",
    ),
    "mixed decimal marks": (
        HOUSES.with_columns(height=pl.Series(["1,5"] * 5 + ["1.5"] * (N - 5))),
        "column 'height': mixes decimal marks: data row 1 holds '1,5', but data row 6 holds '1.5'",
    ),
    "no rows": (HOUSES[:0], "has columns, but no rows"),
}


@pytest.mark.parametrize(("frame", "message"), AT_USE.values(), ids=AT_USE)
def test_cells_that_do_not_fit_a_run_are_named(tmp_path, frame, message):
    columns = table_dataset(HOUSES).columns
    path = write(tmp_path, frame)
    with pytest.raises(UserError, match=message) as error:
        load_table_rows(path, columns)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_unknown_categories_are_missing_or_others_where_asked(tmp_path):
    frame = HOUSES.with_columns(quality=pl.Series(["low"] * 60 + ["b", "c"] * 30)).drop("owner")
    path = write(tmp_path, frame)
    new = write(tmp_path, frame.with_columns(pl.lit("new").alias('the "fuel"')), "new.csv")
    columns = load(path).train.columns
    place = [column.name for column in model_columns(columns)].index('the "fuel"')
    found = load_table_rows(new, columns, unknown_categories="missing")
    assert np.isnan(found.x[:, place]).all()
    assert found.notes == (
        "column 'the \"fuel\"': 'new': no training row has this category, so 120 cells are read as missing",
    )
    with_others = load(path, unknown_categories="own_class").train.columns
    classes = by_name(with_others)['the "fuel"'].classes
    assert classes == ("gas", "oil", "wärme", OTHER)
    assert set(load_table_rows(new, with_others).x[:, place]) == {3.0}


def test_own_texts_of_missing_cells(tmp_path):
    frame = HOUSES.with_columns(height=pl.col("height").fill_null(-99))
    columns = load(write(tmp_path, frame), missing_values=("-99",)).train.columns
    assert by_name(columns)["height"].may_be_missing
    assert by_name(columns)["height"].mean > 0


@pytest.mark.parametrize(
    ("frame", "knobs", "message"),
    [
        (HOUSES, {"columns": ("romos=count",)}, "column 'romos': there is no such column in .*; did you mean rooms"),
        (HOUSES, {"labels": "gardn"}, "there is no column 'gardn'; did you mean garden"),
        (HOUSES, {"labels": "height"}, "column 'height': data row 1 is missing, but labels and groups must be known"),
        (HOUSES, {"split_by": "ownr"}, "there is no column 'ownr'; did you mean owner"),
        (HOUSES.select("id", "country"), {}, "every column is left out: 'id': it numbers the rows"),
        (HOUSES.rename({"rooms": "sold.day"}), {}, "column 'sold.day' is also a part of the date 'sold': rename it"),
        (HOUSES[:2], {}, "2 examples are too few for 3 splits"),
        (HOUSES.select("rooms"), {"unknown_categories": "refuse", "split_order": "ascending"}, "requires split_by"),
    ],
)
def test_knobs_that_do_not_fit_the_table(tmp_path, frame, knobs, message):
    with pytest.raises(UserError, match=message):
        load(write(tmp_path, frame), **knobs)


def test_files_that_are_no_tables(tmp_path):
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(UserError, match=r"x\.parquet: cannot be read as a Parquet file"):
        load(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"houses\.csv: no such file"):
        load(tmp_path / "houses.csv")
    with pytest.raises(UserError, match="expected a DataFrame of polars or pandas, got list"):
        table_dataset([1, 2])
    lists = HOUSES.with_columns(pl.Series("list", [[1, 2]] * N))
    with pytest.raises(UserError, match="column 'list' holds list\\(int64\\) cells, expected numbers, text or dates"):
        table_dataset(lists)
    assert "list" not in [c.name for c in model_columns(table_dataset(lists, columns={"list": "leave_out"}).columns)]


def test_without_polars_one_line_names_the_extra(tmp_path, monkeypatch):
    path = write(tmp_path, HOUSES)
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(
        UserError, match=r"tables require polars, which is not installed: pip install 'aejax\[tables\]'"
    ):
        load(path)


def test_paths_among_knobs_are_absolute_and_names_of_columns_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = locate(
        Data("houses.csv", labels="garden", columns=("a=count", "c.json"), split_by="owner", test_data="t.csv")
    )
    assert data.labels == "garden"
    assert data.columns == ("a=count", str(tmp_path / "c.json"))
    assert (data.split_by, data.test_data) == ("owner", str(tmp_path / "t.csv"))
    assert data.dataset == str(tmp_path / "houses.csv")


def test_names_of_columns_have_no_meaning_to_the_parser(tmp_path):
    names = ["*", "^.*$", "^a$", "a", "", "cells", " b\nc "]
    frame = HOUSES[:, : len(names)].rename(dict(zip(HOUSES.columns, names, strict=False)))
    dataset = table_dataset(frame)
    assert [column.name for column in model_columns(dataset.columns)][:5] == ["^.*$", "^a$", "a", "", "cells"]
    for name in ("x.csv", "x.parquet"):
        splits = load(write(tmp_path, frame, name), split_by="^a$")
        assert len(splits.train.columns) == 9 - 1
        assert all("\n" not in line for line in splits.train.notes)


@pytest.mark.parametrize("suffix", [".csv", ".TSV", ".parquet"])
def test_frames_are_written_and_read_as_they_are(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    frame = HOUSES.select("rooms", 'the "fuel"', "area, m²")
    with path.open("wb") as file:
        write_frame(frame, file, suffix)
    assert read_frame(open_table(path)).cast(pl.String).equals(frame.cast(pl.String))
    with pytest.raises(UserError, match=r"tables are written to \.csv, \.tsv, \.parquet, \.pq files, got \.xls"):
        write_frame(frame, io.BytesIO(), ".xls")


def test_tables_are_written_as_they_are_read(tmp_path):
    dataset = table_dataset(HOUSES)
    text = io.BytesIO()
    as_table(dataset.columns, dataset.x).write_csv(text)
    path = tmp_path / "again.csv"
    path.write_bytes(text.getvalue())
    np.testing.assert_array_equal(load_table_rows(path, dataset.columns).x, dataset.x)

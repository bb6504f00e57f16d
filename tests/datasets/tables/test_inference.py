"""What columns hold is inferred from their cells by the stated rules; declarations replace them."""

import numpy as np
import polars as pl
import pytest

from aejax.datasets.tables.declarations import declarations_of, read_declarations
from aejax.datasets.tables.inference import OTHER, infer_column
from aejax.datasets.tables.statistics import ColumnStatistics, Moments
from aejax.errors import UserError

RNG = np.random.default_rng(0)
LEVELS = ["low", "Medium", "high"]


def infer(cells, name="x", declared=None, *, own_class=False, batches=3):
    declaration = None if declared is None else declarations_of({name: declared}, name="columns.json")[name]
    classes, form = (None, None) if declaration is None else (declaration.classes, declaration.format)
    statistics = ColumnStatistics((), classes or (), form)
    series = pl.Series(name, cells, strict=False)
    for rows in np.array_split(np.arange(len(series)), batches):
        statistics.add(series[rows], 1 + rows)
    return infer_column(name, statistics, declaration, own_class=own_class, table="mine.csv")


def texts(numbers):
    return [f"{number:g}" for number in numbers]


CASES = {
    "continuous": ("continuous", texts(RNG.normal(size=200))),
    "whole numbers far from 0": ("continuous", texts(RNG.integers(1900, 2000, 200))),
    "whole numbers with a large range": ("continuous", texts(RNG.integers(0, 500, 200))),
    "ages": ("continuous", texts(RNG.integers(18, 90, 200))),
    "incomes": ("log_normal", texts(np.exp(RNG.normal(8, 1, 300)))),
    "counts": ("count", texts(RNG.poisson(3, 300))),
    "ratings": ("ordinal", texts([*range(1, 6), *RNG.binomial(4, 0.6, 200) + 1])),
    "one digit": ("binary", texts(RNG.integers(0, 2, 50))),
    "booleans": ("binary", RNG.integers(0, 2, 50).astype(bool).tolist()),
    "two texts": ("binary", RNG.choice(["yes", "no"], 50).tolist()),
    "texts": ("categorical", RNG.choice(["a", "b", "c"], 50).tolist()),
    "codes": ("categorical", RNG.choice(["020", "030", "190"], 50).tolist()),
    "a known scale": ("ordinal", RNG.choice(LEVELS, 50).tolist()),
    "row numbers": ("identifier", texts(range(17, 77))),
    "account numbers": ("identifier", [str(10**8 + 7 * n * n) for n in range(60)]),
    "names": ("identifier", [f"person {n}" for n in range(60)]),
    "free text": ("identifier", [f"person {n % 55}" for n in range(60)]),
    "much free text": ("identifier", [f"person {n % 12_000}" for n in range(13_000)]),
    "all missing": ("constant", [None, "NA", "?"] * 5),
    "equal cells": ("constant", ["7", "7.0", None] * 5),
    "dates": ("date", [f"{day}.{month}.20{year}" for day in (1, 30) for month in (3, 12) for year in (10, 12)]),
    "decimal commas": ("continuous", [f"{n}".replace(".", ",") for n in RNG.normal(size=50).round(3)]),
}


@pytest.mark.parametrize(("kind", "cells"), CASES.values(), ids=CASES)
def test_kinds_of_cells(kind, cells):
    (column, *_) = infer(cells).columns
    assert ("date" if column.date is not None else column.kind) == kind
    assert (column.reason is not None) == (kind in ("identifier", "constant"))


@pytest.mark.parametrize("name", ["id", "PassengerId", "user_id", "Patient ID", "key"])
def test_distinct_whole_numbers_are_identifiers_if_the_name_says_so(name):
    cells = texts(RNG.permutation(1000)[:60])
    assert infer(cells, name).columns[0].kind == "identifier"
    assert infer(cells, "width").columns[0].kind == "continuous"


def test_months_are_categories_if_the_name_says_so():
    cells = texts(RNG.integers(1, 13, 90))
    assert infer(cells, "Mo Sold").columns[0].kind == "categorical"
    assert infer(cells, "models").columns[0].kind == "count"


def test_statistics_are_those_of_observed_values():
    numbers = RNG.lognormal(size=100)
    cells = [None if place % 7 == 0 else repr(float(x)) for place, x in enumerate(numbers)]
    observed = numbers[[place % 7 != 0 for place in range(100)]]
    for kind, values in (("continuous", observed), ("log_normal", np.log(observed))):
        (column,) = infer(cells, declared=kind).columns
        np.testing.assert_allclose([column.mean, column.standard_deviation], [values.mean(), values.std()])
        assert column.may_be_missing
        assert not column.integers
    counts = RNG.poisson(4, 100)
    (column,) = infer(texts(counts), declared="count").columns
    np.testing.assert_allclose(
        [column.mean, column.standard_deviation], [f(np.log1p(counts)) for f in (np.mean, np.std)]
    )
    assert column.integers


@pytest.mark.parametrize("shift", [0.0, 1e9])
def test_moments_over_batches_are_those_of_all_numbers(shift):
    numbers = RNG.exponential(size=1000) + shift
    moments = Moments()
    for batch in np.array_split(numbers, 7):
        moments.add(batch)
    standardized = (numbers - numbers.mean()) / numbers.std()
    np.testing.assert_allclose(
        [moments.mean - shift, moments.standard_deviation, moments.skewness],
        [numbers.mean() - shift, numbers.std(), np.mean(standardized**3)],
        rtol=1e-5,
    )


def test_classes_have_the_order_of_numbers_of_texts_or_of_the_declaration():
    assert infer(["10", "9", "10.0", "11", "9"], declared="categorical").columns[0].classes == ("9", "10", "11")
    assert infer(["b", "a", "c", "a", "b"]).columns[0].classes == ("a", "b", "c")
    assert infer(["high", "Medium", "low", "low"]).columns[0].classes == ("low", "Medium", "high")
    declared = {"kind": "ordinal", "classes": ["NA", "b", "a"]}
    column = infer(["b", "a", "NA", None, "b"], declared=declared)
    assert column.columns[0].classes == ("NA", "b", "a")
    assert column.missing == pytest.approx(1 / 5)


def test_rare_categories_form_a_class_where_asked():
    cells = ["a"] * 9 + ["b"] * 5 + ["c"] * 4 + ["d"]
    assert infer(cells, own_class=True).columns[0].classes == ("a", "b", OTHER)
    assert infer(cells).columns[0].classes == ("a", "b", "c", "d")


def test_dates_have_parts():
    dates = [f"2020-0{month}-1{day} 1{day}:00" for month in range(1, 4) for day in range(3)]
    found = infer(dates, "sold")
    assert [column.name for column in found.columns] == ["sold.year", "sold.month", "sold.day", "sold.hour"]
    assert [column.kind for column in found.columns] == ["constant", "categorical", "continuous", "categorical"]
    assert found.columns[0].classes == ("2020",)
    assert found.columns[1].classes == tuple(map(str, range(1, 13)))
    assert found.columns[2].mean == 11
    assert (
        infer(["02/03/2020", "03/02/2020"] * 3, declared={"kind": "date", "format": "%d/%m/%Y"}).columns[2].mean == 2.5
    )


THIRTY = texts(range(30, 60))
MISTAKES = {
    "a text among numbers": (
        [*texts(RNG.normal(size=30)), "n/a?"],
        None,
        "column 'x': data row 31 holds 'n/a\\?', which is no number, unlike 30 of 31 cells",
    ),
    "a date that is none": (
        [*(f"2020-01-{day}" for day in range(10, 30)), "2020-02-30"],
        None,
        "column 'x': data row 21 holds '2020-02-30', which is no date of the form %Y-%m-%d",
    ),
    "days and months": (["02/03/2020", "04/05/2021"] * 3, None, "day and month of its dates cannot be distinguished"),
    "mixed decimal marks": (
        ["1,5", "2.5", "3"] * 9,
        None,
        "mixes decimal marks: data row 1 holds '1,5', but data row 2",
    ),
    "thousands": (["1,500", "2,500", "3"] * 9, None, "data row 1 holds '1,500', whose comma may separate thousands"),
    "more thousands": (["1,500,000", "2,500"] * 9, None, "write thousands without a separator"),
    "many categories": ([f"x{n % 10_000}" for n in range(60_000)], None, "10,000 different texts or more"),
    "many declared categories": (
        [f"{n % 11_000}" for n in range(22_000)],
        "categorical",
        "10,000 different values or more, too many for categorical",
    ),
    "infinity": (["1.5", "2", "inf", "3"] * 9, None, "data row 3 holds 'inf', which is infinite or beyond float32"),
    "text declared a number": (["a", "b"] * 9, "continuous", "columns.json: column 'x': continuous expects numbers"),
    "0 declared log-normal": (["0", "1", "2"] * 9, "log_normal", "log_normal expects positive numbers"),
    "fractions declared counts": (["0.5", "1", "2"] * 9, "count", "count expects whole numbers"),
    "three values declared binary": (["a", "b", "c"] * 9, "binary", "is binary, but its training rows hold 3 values"),
    "an unknown order": (["a", "b", "c"] * 9, "ordinal", "the order of its texts is not known"),
    "an undeclared class": (
        ["a", "b", "c"] * 9,
        {"kind": "ordinal", "classes": ["b", "a"]},
        "training rows of mine.csv hold 'c', which is not among the declared classes 'b', 'a'",
    ),
    "numbers declared dates": (THIRTY, "date", "mine.csv holds no dates of a common form"),
}


@pytest.mark.parametrize(("cells", "declared", "message"), MISTAKES.values(), ids=MISTAKES)
def test_cells_that_contradict_are_named_in_one_line(cells, declared, message):
    with pytest.raises(UserError, match=message) as error:
        infer(cells, declared=declared)
    assert "\n" not in str(error.value)


def test_declarations_in_files_and_texts(tmp_path):
    path = tmp_path / "columns.json"
    path.write_text(
        '{"a": "count", "b": {"kind": "ordinal", "classes": ["x", 2]}, "c=d": {"kind": "date", "format": "%Y"}}'
    )
    declared = read_declarations([str(path), "a=log_normal", "x = y=binary:<=5,>5", "t=date:%d/%m/%Y"])
    assert {name: each.kind for name, each in declared.items()} == {
        **{"a": "log_normal", "b": "ordinal", "c=d": "date"},
        **{"x = y": "binary", "t": "date"},
    }
    assert declared["b"].classes == ("x", "2")
    assert declared["x = y"].classes == ("<=5", ">5")
    assert declared["t"].format == "%d/%m/%Y"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("a=lognormal", "columns: column 'a': there is no kind 'lognormal'; did you mean log_normal?"),
        ("area", "columns: expected a .json file or COLUMN=KIND, as in area=log_normal, got 'area'"),
        ("a=binary:x", "columns: column 'a': classes must be two different texts, got 'x'"),
        ("a=count:x,y", "only binary, categorical, ordinal columns have classes, got kind count"),
        ("a=date:5", "format must be that of a date"),
        ("missing.json", "missing.json: no such file"),
    ],
)
def test_declarations_that_are_none(entry, message):
    with pytest.raises(UserError, match=message.replace("?", "\\?")):
        read_declarations([entry])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "expected an object with the names of columns"),
        ('{"a": 3}', "column 'a': expected a kind, or an object"),
        ('{"a": {"kind": "count", "clases": []}}', "there is no entry 'clases'; did you mean classes"),
        ('{"a": {"kind": "ordinal", "classes": ["x", 1.5]}}', "classes must be a list of texts"),
        ('{"a": ', "is not a valid JSON document"),
    ],
)
def test_files_of_declarations_that_are_invalid(tmp_path, content, message):
    path = tmp_path / "columns.json"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_declarations([str(path)])

"""Tests of the record of a table's columns."""

import dataclasses

import pytest
from pydantic import TypeAdapter, ValidationError

from aejax.datasets.tables.columns import TableColumn, model_columns


def test_a_row_holds_all_columns_but_identifiers_and_constants():
    columns = (
        TableColumn("id", "identifier", reason="every row has another value"),
        TableColumn("heating", "categorical", classes=("gas", "oil")),
        TableColumn("country", "constant", reason="it is 'US' in every training row"),
        TableColumn("area", "continuous", mean=80.0, standard_deviation=20.0),
    )
    assert [column.name for column in model_columns(columns)] == ["heating", "area"]


def test_columns_survive_json():
    adapter = TypeAdapter(tuple[TableColumn, ...])
    columns = (TableColumn("größe", "ordinal", classes=("klein", "groß"), may_be_missing=True),)
    assert adapter.validate_json(adapter.dump_json(columns)) == columns


def test_unknown_kinds_are_refused():
    content = dataclasses.asdict(TableColumn("area", "continuous")) | {"kind": "complex"}
    with pytest.raises(ValidationError, match="kind"):
        TypeAdapter(TableColumn).validate_python(content)

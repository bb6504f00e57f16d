"""CSV files: every record is found and counted, whatever the size of blocks, and mistakes are named by their row."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aejax.datasets.tables import csv_records
from aejax.datasets.tables.csv_records import read_header, read_records
from aejax.datasets.tables.files import open_table
from aejax.errors import UserError

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=6)


def write(folder, content, name="mine.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_all(path):
    header = read_header(path)
    return list(read_records(path, header))


@given(st.integers(2, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1)))
def test_cells_are_those_that_were_written_whatever_the_blocks(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("csv")
    text = io.StringIO()
    names = [f"column, {number}" for number in range(len(rows[0]))]
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    path = write(folder, text.getvalue())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_records, "_BLOCK", max(40, len(text.getvalue()) // 3))
        batches = list(open_table(path).batches(names))
    assert [[cell or "" for cell in row] for batch in batches for row in batch.frame.rows()] == rows
    assert [batch.first for batch in batches] == np.cumsum([1, *(len(b.frame) for b in batches)])[:-1].tolist()


@pytest.mark.parametrize(
    ("content", "columns", "delimiter"),
    [
        ("a,b\n1,2\n", ("a", "b"), ","),
        ("a;b\n1,5;2,5\n", ("a", "b"), ";"),
        ("a\tb, c\n1\t2\n", ("a", "b, c"), "\t"),
        ('"a,b"\n1\n', ("a,b",), ","),
        ("\ufeffa,b\r\n1,2\r\n", ("a", "b"), ","),
        (",b\n1,2", ("column 1", "b"), ","),
        ("a;b;c,d\n1;2;3\n4;5;6\n", ("a", "b", "c,d"), ";"),
    ],
)
def test_delimiters_and_names(tmp_path, content, columns, delimiter):
    header = read_header(write(tmp_path, content))
    assert (header.columns, header.delimiter) == (columns, delimiter)


def test_cells_of_tsv_files_may_have_commas(tmp_path):
    content = "a, b\tc\n1, 2\t3\n"
    assert read_header(write(tmp_path, content, "x.tsv")).columns == ("a, b", "c")
    assert read_header(write(tmp_path, content, "x.csv")).delimiter == ","


def test_blank_lines_are_skipped_and_are_missing_cells_of_a_single_column(tmp_path):
    table = open_table(write(tmp_path, "a,b\n1,2\n\n3,\r\n\r\n"))
    assert [b.frame.rows() for b in table.batches(["b", "a"])] == [[("2", "1"), (None, "3")]]
    (batch,) = open_table(write(tmp_path, "a\n1\n\n3\n")).batches(["a"])
    assert batch.frame["a"].to_list() == ["1", None, "3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n\n3,4\n5\n", "data row 3 has 1 cells, but the header has 2 columns"),
        ("a,b\n1,2,3\n", "data row 1 has 3 cells, but the header has 2 columns"),
        ("a,b,a\n1,2,3\n", "columns 1 and 3 are both called 'a': rename one"),
        ("1,2\n3,4\n", "the first line, '1,2', holds numbers, expected the names of the columns"),
        ("1,5;2\n3;4\n", "the first line, '1,5;2', holds numbers"),
        (b"a,b\n1,2\n3,caf\xe9\n", "data row 2 is not UTF-8 text; in the encoding Windows-1252 it holds '1,2 3,café'"),
        ("a,b\n1,2\n".encode("utf-16"), "is UTF-16 text, expected UTF-8"),
        (b"PK\x03\x04\0\0", "is no text file"),
        ('a,b\n1,2\n3,"4\n5,6\n', "data row 2 or a later one has a quotation mark that is never closed"),
        ('a,b\n1,2\n3,5" pipe" \n7," pipe"\n', "data row 2 has a quotation mark inside of a cell"),
        ('a,b\n1,2\n"3"x,4\n', "data row 2 has a quotation mark inside of a cell"),
        ('"a,b\n1,2\n', "the header cannot be read: a quotation mark is never closed"),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(UserError) as error:
        read_all(path)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_mistake_in_a_later_block_is_named_by_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_records, "_BLOCK", 64)
    path = write(tmp_path, "a,b\n" + "1,2\n" * 100 + "\n" + "3\n")
    with pytest.raises(UserError, match="data row 101 has 1 cells"):
        read_all(path)

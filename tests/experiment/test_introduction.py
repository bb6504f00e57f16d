"""The two lines on the data when a run begins: every number against NumPy."""

import numpy as np
import pytest

from aejax.datasets.dataset import AsStored, Dataset
from aejax.datasets.tables.columns import TableColumn
from aejax.experiment.configuration import Experiment, Model
from aejax.experiment.introduction import introduce
from aejax.experiment.scaling import make_facts

PLAIN = Model(family="undercomplete")


def lines_of(x, model=PLAIN, **fields):
    train = Dataset(np.asarray(x, np.float32), **fields)
    return introduce(train, make_facts(Experiment(model=model), train), model)


def test_range_zeros_constant_features_and_the_scaling_are_said():
    x = np.array([[1e5, 0, 7, 0.5], [2e5, 0, 7, 0], [3e5, 3, 7, -0.5]])  # sums to 600,024
    found, taken = lines_of(x)
    assert found.startswith("training examples (4,) of float32 range from -0.5 to 300000 (mean 50002, ")
    assert f"deviation {x.std():g})" in found
    assert found.endswith("25 % are 0, feature 2 is constant, none is missing")
    assert "the model standardizes them by the mean and standard deviation of each feature" in taken
    assert taken.endswith("and decodes to their own units; standardize none disables this")


def test_data_of_unit_scale_are_taken_as_they_are():
    found, taken = lines_of(np.eye(6).reshape(6, 3, 2))
    assert "range from 0 to 1, whole" in found
    assert "no feature is constant" in found
    assert taken == (
        "the model takes them as they are; standardize feature or standardize global standardizes them inside it"
    )
    _, taken = lines_of(np.eye(6), Model(likelihood="bernoulli"))
    assert taken == "the model takes them as they are, as likelihood bernoulli expects"


def test_bytes_are_in_the_units_of_the_file():
    found, taken = lines_of(np.linspace(0, 1, 20).reshape(4, 5), stored=AsStored("uint8", 255))
    assert "of uint8 range from 0 to 255 (mean 127.5" in found
    assert taken.startswith("the model takes them divided by 255; ")


def test_many_constant_features_are_counted():
    assert "5 of 6 features are constant" in lines_of(np.eye(6)[:, :1] * np.eye(1, 6))[0]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (
            ("continuous", "count"),
            "the model standardizes numbers by the mean and deviation of training rows, and log(1",
        ),
        (("categorical",), "the model takes the classes of all columns as they are"),
    ],
)
def test_a_table_has_one_line(kinds, expected):
    columns = tuple(TableColumn(k, k, classes=("a", "b") if k == "categorical" else None) for k in kinds)
    x = np.tile(np.arange(2.0)[:, None], (5, len(kinds)))
    (line,) = lines_of(x, Model(family="undercomplete", loss="table"), columns=columns)
    assert line.startswith(expected)

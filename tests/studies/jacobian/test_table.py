"""Means over seeds, chosen strengths, tables and files."""

import csv
import io
import math

import numpy as np

from aejax.studies.jacobian.measure import RADII
from aejax.studies.jacobian.table import (
    choose,
    mean_curves,
    member_records,
    setting_records,
    study_table,
    summarize,
)
from aejax.studies.records import to_csv


def test_means_and_deviations_over_seeds(members) -> None:
    ae, weak, strong = summarize(members)
    assert [(s.method, s.strength, s.seeds) for s in (ae, weak, strong)] == [
        ("ae", 0.0, 2),
        ("cae", 0.1, 2),
        ("cae", 1.0, 2),
    ]
    assert ae.mean.jacobian_norm == 5.0
    np.testing.assert_allclose(ae.deviation.jacobian_norm, math.sqrt(2))  # 1² + 1² over 2 - 1
    assert strong.deviation.jacobian_norm == 0.0
    assert math.isnan(summarize(members[:1])[0].deviation.jacobian_norm)


def test_strengths_are_chosen_on_validation_examples(member, members) -> None:
    """By the mean over seeds, not by the best single seed or the test examples."""
    chosen = choose(summarize(members))
    assert {method: setting.strength for method, setting in chosen.items()} == {"ae": 0.0, "cae": 0.1}
    tie = [member("cae", strength, 0, validation_reconstruction=-strength) for strength in (0.1, 0.2)]
    assert choose(summarize(tie))["cae"].strength == 0.2


def test_curves_are_means_over_the_chosen_seeds(members) -> None:
    curves = mean_curves(members, choose(summarize(members)))
    np.testing.assert_allclose(curves["cae"].singular_values, 1.6 * np.array([4.0, 2.0, 1.0]))
    assert curves["cae"].contraction.shape == (len(RADII),)


def test_records_hold_every_number(members) -> None:
    settings = summarize(members)
    rows = list(csv.DictReader(io.StringIO(to_csv(setting_records(settings, choose(settings))))))
    assert [row["chosen"] for row in rows] == ["True", "True", "False"]
    assert float(rows[0]["jacobian_norm_deviation"]) == settings[0].deviation.jacobian_norm
    rows = list(csv.DictReader(io.StringIO(to_csv(member_records(members)))))
    assert [(row["method"], row["seed"], float(row["jacobian_norm"])) for row in rows[:3]] == [
        ("ae", "0", 4.0),
        ("ae", "1", 6.0),
        ("cae", "0", 1.0),
    ]
    single = summarize(members[:1])
    assert setting_records(single, choose(single))[0]["jacobian_norm_deviation"] is None


def cells(table) -> list[list[str]]:
    return [list(column.cells) for column in table.columns]


def test_the_table_shows_means_and_deviations(members) -> None:
    columns = cells(study_table(choose(summarize(members)), title="study"))
    assert columns[0] == ["AE", "CAE"]
    assert columns[1] == ["", "λ = 0.1"]
    assert columns[3] == ["5.000 ± 1.414", "1.500 ± 0.707"]

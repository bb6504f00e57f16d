"""Chosen strengths, tables and files."""

import csv
import io
import math

import numpy as np

from aejax.studies.jacobian.measure import RADII
from aejax.studies.jacobian.table import choose, mean_curves, study_table
from aejax.studies.records import to_csv
from aejax.studies.sweeps.table import member_records, setting_records, summarize


def test_strengths_are_chosen_on_validation_examples(setting, member, summaries) -> None:
    """By the mean over seeds, not by the best single seed or the test examples."""
    chosen = {method: summary.setting.knobs["strength"] for method, summary in choose(summaries).items()}
    assert chosen == {"ae": 0.0, "cae": 0.1}
    settings = [setting("cae", strength) for strength in (0.1, 0.2)]
    tie = [member(place, 0, validation_reconstruction=-place) for place in (0, 1)]
    assert choose(summarize(settings, tie))["cae"].setting is settings[1]


def test_curves_are_means_over_the_chosen_seeds(members) -> None:
    curves = mean_curves(members[2:4])
    np.testing.assert_allclose(curves.singular_values, 1.6 * np.array([4.0, 2.0, 1.0]))
    assert curves.contraction.shape == (len(RADII),)


def test_records_hold_every_number(settings, members, summaries) -> None:
    chosen = [*choose(summaries).values()]
    rows = list(csv.DictReader(io.StringIO(to_csv(setting_records(summaries, chosen=chosen)))))
    assert [row["chosen"] for row in rows] == ["True", "True", "False"]
    assert float(rows[0]["jacobian_norm"]) == 5.0
    np.testing.assert_allclose(float(rows[0]["jacobian_norm_deviation"]), math.sqrt(2))  # 1² + 1² over 2 - 1
    rows = list(csv.DictReader(io.StringIO(to_csv(member_records(settings, members)))))
    assert [(row["method"], row["seed"], float(row["jacobian_norm"])) for row in rows[:3]] == [
        ("ae", "0", 4.0),
        ("ae", "1", 6.0),
        ("cae", "0", 1.0),
    ]
    single = summarize(settings[:1], members[:1])
    assert setting_records(single, chosen=single)[0]["jacobian_norm_deviation"] is None


def cells(table) -> list[list[str]]:
    return [list(column.cells) for column in table.columns]


def test_the_table_shows_means_and_deviations(summaries) -> None:
    columns = cells(study_table(choose(summaries), title="study"))
    assert columns[0] == ["AE", "CAE"]
    assert columns[1] == ["", "λ = 0.1"]
    assert columns[3] == ["5.000 ± 1.414", "1.500 ± 0.707"]

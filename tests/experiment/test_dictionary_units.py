"""The units of a run's dictionary: what is counted on test examples, and the section of the page about it."""

import numpy as np
import pytest

from aejax.evaluation.dictionaries import FiringCounts, ReconstructionMeasures, TopExamples
from aejax.experiment import dictionary_units
from aejax.experiment.configuration import Experiment, Model
from aejax.experiment.dictionary_units import UnitsOfRun, chosen_units, directions_of, draw_units, units_of_run
from aejax.experiment.presets import default_for
from aejax.experiment.report_dictionary import dictionary_section, dictionary_sentences
from aejax.experiment.trained import open_run


def of_counts(fired, reconstruction=None) -> UnitsOfRun:
    fired = np.array(fired)
    top = TopExamples(np.zeros((len(fired), 2), np.float32), np.full((len(fired), 2), -1), 10)
    return UnitsOfRun(FiringCounts(10, fired), top, reconstruction, np.eye(len(fired), dtype=np.float32))


def test_units_are_chosen_by_rate_and_dead_ones_are_left_out():
    units = of_counts([0, 3, 9, 1, 4, 5, 2, 7, 0, 6])
    chosen = {what: some.tolist() for what, some in chosen_units(units, each=2).items()}
    assert chosen == {"most active": [2, 7], "median": [5, 4], "rarest": [6, 3]}
    few = {what: some.tolist() for what, some in chosen_units(of_counts([0, 3, 9, 1]), each=2).items()}
    assert few == {"most active": [2, 1], "median": [], "rarest": [3]}
    assert not any(len(some) for some in chosen_units(of_counts([0, 0])).values())


def test_sentences_hold_the_numbers():
    text = " ".join(dictionary_sentences(of_counts([0, 5, 10, 0], ReconstructionMeasures(0.25, 0.75, 0.9, 0.8, 0.95))))
    assert "1.5 of the 4 units fire" in text
    assert "2 units never fire there (50 %)" in text
    assert "explain 75.0 % of the variance" in text
    assert "0.900 times the example's" in text
    assert "relative bias is 0.800" in text
    assert dictionary_sentences(of_counts([5, 10]))[1:] == ["All units fire there."]


@pytest.mark.slow
def test_units_of_a_run_are_those_of_all_codes_and_its_page_shows_them(make_initial_run, monkeypatch):
    default = default_for("digits", family="top_k")
    experiment: Experiment = default.__class__(
        data=default.data, model=Model(family="top_k", code_size=24, active_entries=3), training=default.training
    )
    run = open_run(make_initial_run(experiment))
    monkeypatch.setattr(dictionary_units, "_BATCH", 200)  # of 359 examples
    test = run.splits.test
    units, codes = units_of_run(run, test), run.encode(test)
    np.testing.assert_array_equal(units.counts.fired, (codes != 0).sum(axis=0))
    for unit in units.by_rate:
        fires = np.flatnonzero(codes[:, unit])
        best = fires[np.argsort(-codes[fires, unit], kind="stable")][: dictionary_units.TOP]
        assert units.top.examples[unit, : len(best)].tolist() == best.tolist()
    x, decoded = np.asarray(test.x, np.float64), run.reconstruct(test)
    unexplained = np.sum((x - decoded) ** 2) / np.sum((x - x.mean(axis=0)) ** 2)
    assert units.reconstruction is not None
    np.testing.assert_allclose(units.reconstruction.explained_variance, 1 - unexplained, rtol=1e-5)
    one = np.zeros((2, 24), np.float32)
    one[1, 5] = 1.0
    without, with_unit = run.decode(test._replace(x=one, labels=None))
    np.testing.assert_allclose(directions_of(run)[5], with_unit - without, atol=1e-5)
    (section,) = dictionary_section(run)
    assert section.content.count("<img") == 3  # rates, top examples, directions
    assert section.content.count("<tr>") == 10
    assert [*draw_units(run, test)] == ["firing_rates", "directions"]

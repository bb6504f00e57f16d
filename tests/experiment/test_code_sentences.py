"""Sentences about codes: every measure once, with its unit; nothing about what is missing."""

import numpy as np
import pytest

from aejax.evaluation import MEASURES, as_terms
from aejax.experiment import code_sentences as module
from aejax.experiment.code_sentences import code_of, code_sentences

CODE = {
    **{"units": 3, "active_units": 2, "nonzero_fraction": 0.5, "frobenius_norm": 1.2345, "saturation": 0.25},
    **{"kl": np.array([0.5, 1.5, 0.0]), "mutual_information": 1.0, "mutual_information_limit": 5.0},
}


def test_a_record_gives_the_statistics_back():
    record = {"epoch": 3, "test/loss": 1.0} | {f"test/{term}": value for term, value in as_terms(CODE).items()}
    found = code_of(record)
    assert found.keys() == CODE.keys()
    np.testing.assert_array_equal(found["kl"], CODE["kl"])


def test_every_measure_has_a_sentence():
    text = " ".join(code_sentences(CODE))
    assert "2 of the 3 code units are active" in text
    assert "above 0.01." in text
    assert "50 % of all entries of the codes are not 0." in text
    assert "25 % of all entries are saturated" in text
    assert "Jacobian is 1.23 per unit of data" in text
    assert "at least 1.00 nats" in text
    assert "cannot exceed 5.00 nats" in text
    assert "2.00 nats, from 0.000 to 1.500 nats per unit." in text


@pytest.mark.parametrize("missing", CODE)
def test_what_is_missing_is_left_out(missing):
    sentences = code_sentences({name: value for name, value in CODE.items() if name != missing})
    assert all(sentence.endswith(".") for sentence in sentences)


def test_a_measure_without_a_sentence_of_its_own_is_named(monkeypatch):
    added = MEASURES[0]._replace(name="largest", title="largest code", unit="nats")
    monkeypatch.setattr(module, "MEASURES", (*MEASURES, added))
    assert code_sentences({"largest": 2.5}) == ["Largest code: 2.5 nats."]
    assert code_sentences({"largest": np.array([1.0, 3.0])}) == ["Largest code: from 1 to 3 nats."]


def test_a_collapsed_posterior_is_reported_last_with_what_may_help():
    collapsed = {"units": 20, "active_units": 1, "mutual_information": 0.1}
    assert code_sentences(collapsed)[-1].startswith("The posterior has collapsed: ")
    assert "free_bits" in code_sentences(collapsed)[-1]
    assert not any("collapsed" in sentence for sentence in code_sentences(CODE))

"""Sparse mixtures of known features as a data set."""

from typing import get_args

import numpy as np
import pytest

from aejax.datasets.sources import source_of
from aejax.datasets.synthetic_features import drawn
from aejax.datasets.synthetic_features.setting import SETTINGS, FeatureSetting
from aejax.experiment.configuration import Data
from aejax.experiment.data_knobs import FeatureSettingName
from aejax.experiment.loading import load_splits


@pytest.mark.slow
def test_the_data_set_is_drawn_from_the_known_features(monkeypatch) -> None:
    """Examples lie in the span of the features, fewer than dimensions here; more examples begin with the same ones."""
    setting = FeatureSetting(3, 5, orthogonal_steps=0, bias_norm=0)
    monkeypatch.setitem(SETTINGS, "small", setting)
    monkeypatch.setattr(drawn, "_BATCH", 16)
    splits = load_splits(Data("synthetic_features", examples=100))
    assert source_of("synthetic_features").is_embedded
    assert [len(part.x) for part in splits] == [70, 10, 20]
    model = drawn.known_features("small")
    features = np.asarray(model.features)
    coefficients = splits.train.x @ np.linalg.pinv(features)
    np.testing.assert_allclose(coefficients @ features, splits.train.x, atol=1e-4)
    assert coefficients.min() > -1e-4
    assert splits.train.notes[0].startswith("synthetic_features: 100 mixtures of 3 known features in 5 dimensions")
    few, more = (drawn.draw_examples(model, setting, number, seed=3) for number in (20, 40))
    np.testing.assert_array_equal(few, more[:20])
    assert np.any(few != drawn.draw_examples(model, setting, 20, seed=4))


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_choices_of_the_command_line(name) -> None:
    assert Data("synthetic_features", features=name).features == name


def test_every_setting_has_a_name_in_the_knobs() -> None:
    assert get_args(FeatureSettingName) == tuple(SETTINGS)

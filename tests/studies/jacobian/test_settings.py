"""The settings of a study: presets, mistakes."""

import dataclasses
import json
import math

import pytest

from aejax.errors import UserError
from aejax.studies.jacobian.settings import PRESETS, Study, check, to_json


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_pass_their_checks(preset: str) -> None:
    check(PRESETS[preset][1])


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"seeds": 0}, "seeds: input should be greater than 0, got 0"),
        ({"contractive_weights": (0.1, -1.0)}, "contractive_weights: .* greater than or equal to 0, got -1.0"),
        ({"masking_amounts": (1.5,)}, "masking_amounts: .* less than or equal to 1, got 1.5"),
        ({"methods": ()}, "methods: must have at least one value and no duplicates, got none"),
        ({"methods": ("ae", "cae", "ae")}, "methods: must .* no duplicates, got ae, cae, ae"),
        ({"weight_decays": (0.1, 0.1)}, "weight_decays: .* got 0.1, 0.1"),
        ({"learning_rate": math.inf}, "learning_rate"),
        ({"learning_rate": 1e300}, r"learning_rate: input should be less than 1e\+30, got 1e\+300"),
        ({"input_noise": 1e300}, r"input_noise: input should be less than 1e\+30, got 1e\+300"),
    ],
)
def test_mistakes_in_settings(change: dict, culprit: str) -> None:
    with pytest.raises(UserError, match=culprit):
        check(dataclasses.replace(Study(), **change))


def test_the_configuration_is_json() -> None:
    assert json.loads(to_json(Study()))["units"] == 100

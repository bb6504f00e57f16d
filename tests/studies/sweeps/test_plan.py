"""Plans of sweeps: which settings they have, and what is refused before anything is trained."""

import json

import pytest

from aejax.errors import UserError
from aejax.experiment.configuration import Experiment, Model, Regularization
from aejax.experiment.presets import PRESETS
from aejax.studies.sweeps.plan import make_plan, plan_from_json, settings_of, to_json

CONTRACTIVE = PRESETS["digits-contractive"][1]


def test_all_combinations_are_settings_and_single_values_are_fixed():
    plan = make_plan(CONTRACTIVE, {"contractive_weight": [0.1, 1.0], "learning_rate": [1e-2], "code_size": [3, 4]})
    assert [setting.knobs for setting in settings_of(plan)] == [
        {"contractive_weight": weight, "code_size": size} for weight in (0.1, 1.0) for size in (3, 4)
    ]
    assert {setting.experiment.optimization.learning_rate for setting in settings_of(plan)} == {1e-2}


def test_a_plan_without_values_has_one_setting():
    assert [setting.knobs for setting in settings_of(make_plan(CONTRACTIVE, {}))] == [{}]


def test_a_plan_survives_its_file():
    plan = make_plan(Experiment(), {"hidden": [(8, 4), ()], "clip_norm": [None, 1.0]}, seeds=2, choose_by="kl")
    assert plan_from_json(to_json(plan), name="sweep.json") == plan


@pytest.mark.parametrize(
    ("values", "options", "complaint"),
    [
        ({"contractive_weigth": [1.0]}, {}, "there is no knob 'contractive_weigth'; did you mean contractive_weight?"),
        ({"seed": [1, 2]}, {}, "seed: is not swept"),
        ({"learning_rate": [0.1, 0.1]}, {}, "learning_rate: expected at least one value and no value twice, got 0.1"),
        ({"learning_rate": []}, {}, "learning_rate: expected at least one value and no value twice, got none"),
        ({"learning_rate": [0.1, -1.0]}, {}, r"optimization.learning_rate: .* \(with learning_rate -1\)"),
        (
            {"sparse_weight": [0.1, 1.0], "beta": [1.0, 2.0]},
            {},
            r"beta: requires .* \(with sparse_weight 0.1, beta 2\)",
        ),
        ({}, {"seeds": 0}, "seeds: must be between 1 and 100,000, got 0"),
        ({"epochs": list(range(1, 200))}, {"seeds": 1000}, "are more than 100,000 autoencoders"),
    ],
)
def test_mistakes_in_plans(values, options, complaint):
    with pytest.raises(UserError, match=complaint):
        make_plan(CONTRACTIVE, values, **options)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"schema": 2}, "schema: this version of aejax reads 1, got 2"),
        ({"seeds": "many"}, "expected a whole number of seeds"),
        ({"values": {"beta": 3}}, "expected a whole number of seeds and a list"),
        ({"values": {"hidden": [3]}}, "hidden"),
        ({"more": 1}, "is no plan of a sweep"),
    ],
)
def test_mistakes_in_the_file_of_a_plan(changes, complaint):
    plan = make_plan(Experiment(model=Model(), regularization=Regularization()), {"beta": [1.0, 2.0]})
    document = json.dumps(json.loads(to_json(plan)) | changes)
    with pytest.raises(UserError, match=complaint) as raised:
        plan_from_json(document, name="sweep.json")
    assert str(raised.value).startswith("sweep.json: ")

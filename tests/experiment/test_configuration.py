"""Configurations: JSON there and back, every mistake named, and no other exception whatever the document."""

import dataclasses
import json
import math
import re
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aejax.errors import UserError
from aejax.experiment import configuration
from aejax.experiment.conditions import Requires, conditions_of
from aejax.experiment.configuration import (
    Data,
    Experiment,
    Model,
    Optimization,
    Regularization,
    Training,
    check,
    differences,
    from_json,
    to_json,
)
from aejax.experiment.dictionary_knobs import Dictionary
from aejax.experiment.presets import PRESETS

KNOBS = [(group.name, knob.name) for group in dataclasses.fields(Experiment) for knob in dataclasses.fields(group.type)]
OTHER = Experiment(  # every knob that the family allows has another value than its default
    data=Data(
        **{"dataset": "mine.npz", "labels": "labels.npy", "byte_values": "as_is", "channels": "first"},
        **{"data_dir": "/data", "validation_fraction": 0.2, "test_fraction": 0.3, "split_seed": 1, "shift": 2},
        **{"window": 32, "crop": 32, "crops_per_page": 3},
        **{"columns": ("a=count",), "missing_values": ("-",), "unknown_categories": "missing"},
        **{"split_by": "groups.npy", "split_order": "ascending"},
        **{"validation_data": "v.npy", "test_data": "t.npy"},
        **{"image_size": (8,), "resize": "pad", "background": "white", "color": "gray"},
        **{"shards": "a*", "skip_positions": 1, "max_norm": 9.0},
        **{"features": "synth_sae_bench_16k", "examples": 3, "feature_seed": 1, "factor_values": ("x=0:9",)},
        **{"dequantize": "uniform", "levels": 17, "noise_seed": 2},
    ),
    model=Model(
        "undercomplete",
        "conv",
        (8, 4),
        5,
        "tanh",
        "sigmoid",
        conditional=True,
        loss="absolute_error",
        standardize="none",
        compute_dtype="bfloat16",
    ),
    regularization=Regularization("masking", 0.2, 0.1, None, 0.0, 0.1, 0.1, 0.1, 0.2, l2_weight=0.01, mmd_weight=0.1),
    optimization=Optimization(1e-2, "cosine", 10, 1.0, 0.1),
    training=Training(32, 5, 2, None, 0.01, 3, 7, rematerialize=True),
)


@pytest.mark.parametrize("experiment", [Experiment(), OTHER, *(preset for _, preset in PRESETS.values())])
def test_json_there_and_back(experiment):
    document = to_json(experiment)
    assert from_json(document, name="config.json") == experiment
    assert from_json(document.encode(), name="config.json") == experiment
    check(experiment)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (
            0,
            Experiment(
                model=Model(hidden=(256,), code_size=10),
                regularization=Regularization(total_correlation_weight=3.0),
                optimization=Optimization(learning_rate=0.003, schedule="cosine"),
                training=Training(epochs=200, patience=50, checkpoint_every=20),
            ),
        ),
        (1, Experiment(data=Data("mine.npy", channels="last"))),
    ],
)
def test_configurations_of_older_versions_are_upgraded(version, expected):
    """Documents as those versions have written them."""
    stored = (Path(__file__).parent / "configs" / f"version_{version}.json").read_bytes()
    assert json.loads(stored).get("schema", 0) == version
    assert from_json(stored, name="config.json") == expected
    assert json.loads(to_json(expected))["schema"] == 2


def test_a_document_need_not_say_everything():
    assert from_json("{}", name="config.json") == Experiment()
    document = '{"training": {"seed": 3}, "model": {"hidden": [5, 6]}, "regularization": {"beta": 2}}'
    expected = Experiment(
        training=Training(seed=3), model=Model(hidden=(5, 6)), regularization=Regularization(beta=2.0)
    )
    assert from_json(document, name="config.json") == expected


@pytest.mark.parametrize(
    ("group", "knob", "value"),
    [
        # out of range
        ("data", "validation_fraction", 0.0),
        ("data", "validation_fraction", 1.0),
        ("data", "test_fraction", -0.1),
        ("data", "split_seed", -1),
        ("model", "hidden", [8, 0]),
        ("model", "code_size", 0),
        ("model", "likelihood_variance", 0.0),
        ("regularization", "beta", -0.1),
        ("regularization", "corruption_level", -0.1),
        ("regularization", "contractive_weight", -0.1),
        ("regularization", "higher_order_weight", -0.1),
        ("regularization", "higher_order_noise", 0.0),
        ("regularization", "sparse_weight", -0.1),
        ("regularization", "sparse_kl_weight", -0.1),
        ("regularization", "target_activation", 0.0),
        ("regularization", "target_activation", 1.0),
        ("regularization", "beta_steps", 0),
        ("regularization", "beta_cycles", 0),
        ("regularization", "free_bits", -0.1),
        ("regularization", "prior_components", 0),
        ("regularization", "importance_samples", 0),
        ("regularization", "importance_groups", 0),
        ("regularization", "importance_elbo_weight", 1.5),
        ("regularization", "mmd_weight", -0.1),
        ("regularization", "total_correlation_weight", -0.1),
        ("model", "active_entries", 0),
        ("optimization", "learning_rate", 0.0),
        ("optimization", "warmup_steps", -1),
        ("optimization", "clip_norm", 0.0),
        ("optimization", "weight_decay", -1.0),
        ("training", "batch_size", 0),
        ("training", "epochs", 0),
        ("training", "evaluate_every", 0),
        ("training", "patience", 0),
        ("training", "min_delta", -1.0),
        ("training", "checkpoint_every", 0),
        ("training", "accumulation_steps", 0),
        ("model", "compute_dtype", "float16"),
        ("training", "seed", -1),
        # not finite
        ("regularization", "beta", math.nan),
        ("regularization", "contractive_weight", math.inf),
        ("optimization", "learning_rate", math.inf),
        # no such choice
        ("model", "family", "vae"),
        ("model", "network", "MLP"),
        ("model", "activation", "swish"),
        ("model", "loss", "mse"),
        ("model", "likelihood", "binomial"),
        ("regularization", "corruption", "blur"),
        ("optimization", "schedule", "linear"),
        # of another type: nothing is converted in silence
        ("data", "dataset", 3),
        ("data", "dataset", None),
        ("data", "labels", ["labels.npy"]),
        ("regularization", "beta", "1.0"),
        ("regularization", "beta", True),
        ("model", "hidden", 8),
        ("model", "hidden", "8"),
        ("model", "code_size", 2.5),
        ("training", "epochs", 3.0),
        ("training", "epochs", "3"),
        ("training", "epochs", True),
        ("training", "seed", None),
        # no such knob
        ("model", "latent_size", 3),
        ("training", "learning_rate", 1e-3),
    ],
)
def test_a_wrong_value_is_named_with_its_document_and_knob(group, knob, value):
    with pytest.raises(UserError, match=rf"^config\.json: {group}\.{knob}") as error:
        from_json(json.dumps({group: {knob: value}}), name="config.json")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "is not a valid JSON document"),
        ("{", "is not a valid JSON document"),
        ('{"model": }', "is not a valid JSON document"),
        (b"\xff\xfe{}", "line 1 is not UTF-8 text"),
        ("[]", "must be an object with schema 2"),
        ("null", "must be an object with schema 2"),
        ('{"schema": 3}', "schema: is 3, and this version of aejax reads up to 2; use a newer aejax"),
        ('{"schema": 1.0}', "schema: must be a whole number from 0 to 2, got 1.0"),
        ('{"schema": -1}', "schema: must be a whole number from 0 to 2, got -1"),
        ('{"model": null}', "model: input should be an object"),
        ('{"optimizer": {}}', "optimizer: unexpected keyword argument"),
        ("[" * 10_000, "is not a valid JSON document"),
    ],
)
def test_what_is_no_configuration_is_refused(document, message):
    with pytest.raises(UserError, match=rf"^config\.json: {message}"):
        from_json(document, name="config.json")


def of(family="undercomplete", **knobs):
    """An experiment whose knobs are given without their groups."""
    terms = {knob.name for knob in dataclasses.fields(Regularization)}
    regularization = {name: value for name, value in knobs.items() if name in terms}
    model = {name: value for name, value in knobs.items() if name not in terms}
    return Experiment(model=Model(family=family, **model), regularization=Regularization(**regularization))


MISMATCHES = [
    (of("tied", compute_dtype="bfloat16"), "compute_dtype: requires family undercomplete or k_sparse or variational"),
    (
        dataclasses.replace(of("tied"), training=Training(rematerialize=True)),
        "rematerialize: requires family undercomplete",
    ),
    (of(beta=2.0), "beta: requires family variational, but the family is undercomplete"),
    (of(likelihood="gaussian"), "likelihood: requires family variational"),
    (of(likelihood_variance=2.0), "likelihood_variance: requires family variational"),
    (of(importance_samples=5), "importance_samples: requires family variational"),
    (of("variational", upper_hidden=(5,)), "upper_hidden: requires upper_code_sizes$"),
    (of("variational", upper_code_sizes=(5,), free_bits=0.1), "upper_code_sizes: cannot be combined with free_bits"),
    (of("variational", upper_code_sizes=(5,), prior="vamp"), "upper_code_sizes: cannot be combined with prior vamp"),
    (of("variational", importance_gradient="dreg"), "importance_gradient: requires importance_samples above 0"),
    (
        of("variational", importance_samples=5, importance_groups=2),
        "importance_groups: requires importance_bound miwae",
    ),
    (of(prior="vamp"), "prior: requires family variational"),
    (of("variational", likelihood_variance=2.0), "likelihood_variance: requires likelihood gaussian or laplace"),
    (of("variational", loss="absolute_error"), "loss: requires family undercomplete or tied or k_sparse, but the"),
    (of("variational", code_activation="tanh"), "code_activation: requires family"),
    (of(active_entries=3), "active_entries: requires family k_sparse"),
    (of("k_sparse", code_size=5, active_entries=6), "active_entries: must be at most the code_size, 5, got 6"),
    (of(network="mlp", code_size=None), "code_size: network mlp requires a number; None requires network conv or unet"),
    (of(network="conv", hidden=()), "hidden: network conv requires at least one block"),
    (of("k_sparse", network="unet", code_size=None), "network: unet requires family undercomplete and code_size None"),
    (of("undercomplete", network="unet"), "network: unet requires family undercomplete and code_size None"),
    (of(network="sequence", hidden=()), "hidden: network sequence requires at least one block"),
    (of(network="sequence", code_size=None), "code_size: network sequence requires a number"),
    (of("tied", network="sequence"), "network: family tied requires dense layers, network mlp, got sequence"),
    (of("tied", network="conv"), "network: family tied requires dense layers"),
    (
        of(corruption="masking", corruption_level=1.5),
        "corruption_level: masking expects a fraction between 0 and 1, got 1.5",
    ),
    (of(corruption="salt_and_pepper", corruption_level=1.5), "corruption_level: salt_and_pepper expects a fraction"),
    (of(corruption_level=0.5), "corruption_level: requires corruption"),
    (of(target_activation=0.5), "target_activation: requires sparse_kl_weight above 0"),
    (of(higher_order_noise=0.5), "higher_order_noise: requires higher_order_weight above 0"),
    (of(contractive_projections=1), "contractive_projections: requires contractive_weight above 0"),
    (
        of(activation="tanh", contractive_projections=1, contractive_weight=1.0, higher_order_weight=1.0),
        "contractive_projections: cannot be combined with higher_order_weight",
    ),
    (of(higher_order_weight=1.0), "higher_order_weight: requires a smooth activation"),
    (
        of(higher_order_weight=1.0, network="conv", activation="tanh"),
        "higher_order_weight: requires a smooth encoder, and conv computes maxima",
    ),
    (
        of("k_sparse", higher_order_weight=1.0, activation="tanh"),
        "higher_order_weight: requires a smooth encoder, and k_sparse computes maxima",
    ),
    (of("variational", beta_steps=5), "beta_steps: requires beta_schedule linear or cyclical"),
    (of("variational", beta_cycles=5, beta_schedule="linear"), "beta_cycles: requires beta_schedule cyclical"),
    (of("variational", prior_components=5), "prior_components: requires prior mixture or vamp"),
    (of(hidden=(), activation="tanh"), "activation: has no effect, because there are no hidden layers"),
    (of(sparse_kl_weight=0.1), "sparse_kl_weight: requires codes between 0 and 1: use code_activation sigmoid"),
    (of("tied", sparse_kl_weight=0.1), "sparse_kl_weight: requires codes between 0 and 1: use activation sigmoid"),
    (of(network="conv", code_size=None, mmd_weight=0.1), "mmd_weight and total_correlation_weight: require a code"),
]


@pytest.mark.parametrize(("experiment", "message"), MISMATCHES)
def test_knobs_that_cannot_be_combined_are_named(experiment, message):
    with pytest.raises(UserError, match=f"^{message}"):
        check(experiment)


def test_knobs_that_cannot_be_combined_are_named_with_their_document():
    experiment, message = MISMATCHES[0]
    with pytest.raises(UserError, match=rf"^config\.json: .*{message}"):
        from_json(to_json(experiment), name="config.json")


@pytest.mark.parametrize(
    "experiment",
    [
        of(corruption="gaussian_noise", corruption_level=1.5),
        of(hidden=()),
        dataclasses.replace(of("variational"), training=Training(accumulation_steps=2)),
        of(network="conv", hidden=(4,), code_size=None),
        of("tied", activation="sigmoid", sparse_kl_weight=0.1, target_activation=0.2),
        of("variational", beta_schedule="cyclical", beta_steps=5, beta_cycles=2, prior="vamp", prior_components=3),
    ],
)
def test_what_goes_together_passes(experiment):
    check(experiment)


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        (Experiment(training=Training(batch_size=-1)), "training.batch_size: input should be greater than 0, got -1"),
        (of("variational", beta=math.nan), "regularization.beta: input should be a finite number, got nan"),
        (of("variational", beta=1e300), r"regularization.beta: input should be less than 1e\+30, got 1e\+300"),
        (
            of("variational", likelihood="gaussian", likelihood_variance=1e-300),
            "model.likelihood_variance: input should be greater than 1e-30, got 1e-300",
        ),
        (
            Experiment(optimization=Optimization(learning_rate=1e300)),
            r"optimization.learning_rate: input should be less than 1e\+30, got 1e\+300",
        ),
        (
            Experiment(model=Model(family="vae")),
            "model.family: input should be 'undercomplete', 'tied', 'k_sparse', 'variational', 'l1_dictionary'",
        ),
    ],
)
def test_values_given_in_python_are_checked_as_well(experiment, message):
    with pytest.raises(UserError, match=f"^{message}"):
        check(experiment)


def test_differences_name_the_knobs_and_both_values():
    assert differences(OTHER, OTHER) == {}
    found = differences(Experiment(), OTHER)
    same = {"likelihood", "likelihood_variance", "active_entries", "beta", "beta_schedule", "beta_steps"}
    same |= {
        "autoencoder",
        "output_activation",
        "contractive_projections",
        "higher_order_weight",
        "higher_order_noise",
        "beta_cycles",
        "free_bits",
        "prior",
        "prior_components",
        "upper_code_sizes",
        "upper_hidden",
        "importance_samples",
        "importance_bound",
        "importance_groups",
        "importance_elbo_weight",
        "importance_gradient",
        "total_correlation_weight",
        "accumulation_steps",
    }
    same |= {knob.name for knob in dataclasses.fields(Dictionary)}
    same |= {"condition", "binarize"}  # they cannot be combined with conditional, and with dequantize
    assert set(found) == {knob for _, knob in KNOBS} - same
    assert found["epochs"] == (300, 5)
    assert found["hidden"] == ((200,), (8, 4))


def test_no_two_groups_share_the_name_of_a_knob():
    names = [knob for _, knob in KNOBS]
    assert len(names) == len(set(names))


def test_an_experiment_is_hashable_and_frozen():
    assert hash(Experiment()) == hash(from_json("{}", name="config.json"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Experiment().training.seed = 1


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
groups = st.sampled_from([group.name for group in dataclasses.fields(Experiment)])


def assert_read_or_refused(document):
    """The experiment in a document passes every check and survives its own JSON, or a UserError says why not."""
    try:
        experiment = from_json(document, name="config.json")
    except UserError:
        return
    check(experiment)
    assert from_json(to_json(experiment), name="config.json") == experiment


@pytest.mark.slow_after_first
@pytest.mark.parametrize(("group", "knob"), KNOBS)
@given(value=values)
def test_any_value_of_any_knob_is_read_or_refused(group, knob, value):
    assert_read_or_refused(json.dumps({group: {knob: value}}))


@given(document=st.text() | st.binary() | values.map(json.dumps) | st.dictionaries(groups, values).map(json.dumps))
def test_any_document_is_read_or_refused(document):
    assert_read_or_refused(document)


def test_conditions_name_knobs_and_values_that_there_are():
    groups = {
        knob.name: group.type for group in dataclasses.fields(Experiment) for knob in dataclasses.fields(group.type)
    }
    for group in (Model, Regularization):
        for knob, conditions in conditions_of(group).items():
            for condition in conditions:
                choices = typing.get_args(typing.get_type_hints(groups[condition.knob])[condition.knob])
                assert condition.knob != knob
                assert set(condition.values) <= set(choices)


def test_help_says_of_every_knob_of_variational_runs_that_it_is_one():
    text = Path(configuration.__file__).read_text()
    for group in (Model, Regularization):
        for knob, conditions in conditions_of(group).items():
            if Requires("family", ("variational",)) in conditions:
                assert re.search(rf'\n    {knob}: (?:[^"]|"(?!""))*"""variational: ', text), knob

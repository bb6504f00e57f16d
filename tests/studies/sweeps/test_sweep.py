"""Sweeps: a member learns what a run with its knobs and seed learns, on any devices, stopped or not."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from aejax.errors import UserError
from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Regularization, Training
from aejax.experiment.job import fit, make_job
from aejax.experiment.knobs import GROUP_OF, is_real, value_of, with_knobs
from aejax.experiment.presets import PRESETS
from aejax.experiment.summary import evaluate_best
from aejax.studies.sweeps import sweep
from aejax.studies.sweeps.grouping import can_be_traced, make_groups
from aejax.studies.sweeps.plan import make_plan, settings_of
from aejax.studies.sweeps.study import create, open_sweep, prepare, run
from aejax.studies.sweeps.table import choose, summarize

ONE = jax.local_devices()[:1]
TIED = replace(
    PRESETS["digits-contractive"][1],
    model=Model(family="tied", hidden=(), code_size=6, activation="sigmoid", loss="binary_cross_entropy"),
    training=Training(batch_size=128, epochs=4, patience=2),
)
VARIATIONAL = replace(
    TIED,
    data=Data(shift=1),
    model=Model(hidden=(8,), code_size=3, activation="gelu", conditional=True),
    training=Training(batch_size=128, epochs=2, patience=None),
    regularization=Regularization(beta_schedule="linear", beta_steps=50, free_bits=0.1),
    optimization=Optimization(learning_rate=1e-2, schedule="cosine", warmup_steps=5, clip_norm=1.0),
)


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def alone(experiment):
    """What a run of this experiment reaches: its best epoch, and every term of its loss."""
    job = make_job(experiment)
    snapshot = fit(job, devices=ONE)
    means = evaluate_best(job, snapshot, devices=ONE)
    terms = {f"{split}/{term}": value for split, of_split in means.items() for term, value in of_split.items()}
    return snapshot.stopping.best_epoch, terms


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "values"),
    [
        (TIED, {"contractive_weight": [0.0, 0.1, 1.0], "learning_rate": [1e-3, 1e-1]}),
        (
            replace(TIED, regularization=Regularization(corruption="masking", sparse_weight=0.1)),
            {"corruption_level": [0.1, 0.4], "weight_decay": [0.01, 0.1], "sparse_weight": [0.1, 0.2]},
        ),
        (VARIATIONAL, {"beta": [0.5, 4.0], "free_bits": [0.05, 0.2]}),
        (replace(TIED, data=Data(binarize="dynamic")), {"learning_rate": [1e-3, 1e-2]}),
    ],
)
def test_a_member_learns_what_a_run_learns(experiment, values):
    outcome = sweep(experiment, values, seeds=2)
    settings = settings_of(make_plan(experiment, values))
    assert len(outcome.members) == 2 * len(settings)
    for member in outcome.members[-1:] if experiment is VARIATIONAL else (outcome.members[1], outcome.members[-2]):
        own = with_knobs(settings[member.setting].experiment, {"seed": member.seed})
        best_epoch, terms = alone(own)
        assert member.best_epoch == best_epoch
        assert member.terms.keys() == terms.keys()
        np.testing.assert_allclose([member.terms[t] for t in terms], [*terms.values()], rtol=2e-4, atol=1e-5)


@pytest.mark.slow
def test_the_number_of_devices_does_not_matter():
    values = {"contractive_weight": [0.1, 1.0, 2.0]}
    one, eight = (sweep(TIED, values, seeds=3, devices=jax.local_devices()[:n]) for n in (1, 8))
    for member, other in zip(one.members, eight.members, strict=True):
        assert member[:4] == other[:4]
        np.testing.assert_allclose([*member.terms.values()], [*other.terms.values()], rtol=1e-5)
    assert one.best.setting == eight.best.setting


@pytest.mark.slow
def test_a_stopped_sweep_continues_and_finds_the_same(tmp_path):
    """Stopped after an epoch of the second group, and once more on other devices before its end."""
    plan = make_plan(
        replace(TIED, training=replace(TIED.training, patience=None)),
        {"code_size": [3, 4], "learning_rate": [0.1, 0.2]},
    )
    ready = prepare(plan)
    whole = run(ready)
    create(tmp_path / "sweep", ready)
    for last, devices in ((1, 1), (3, 2)):

        def stop(step, last=last):
            if (step.group, step.trained.epoch) == (1, last):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(
                open_sweep(tmp_path / "sweep"),
                folder=tmp_path / "sweep",
                devices=jax.local_devices()[:devices],
                on_step=stop,
            )
    epochs = []
    found = run(
        open_sweep(tmp_path / "sweep"),
        folder=tmp_path / "sweep",
        on_step=lambda step: epochs.append((step.group, step.trained.epoch)),
    )
    assert epochs == [(1, 4)]
    for member, other in zip(whole.members, found.members, strict=True):
        assert member[:4] == other[:4]
        np.testing.assert_allclose([*member.terms.values()], [*other.terms.values()], rtol=1e-5)
    again = run(open_sweep(tmp_path / "sweep"), folder=tmp_path / "sweep")
    assert again == found
    assert not list(tmp_path.glob("sweep/groups/*/"))  # checkpoints of groups that are finished


@pytest.mark.slow
def test_a_member_that_diverges_leaves_the_others_alone():
    experiment = replace(TIED, regularization=Regularization(), model=replace(TIED.model, activation="relu"))
    outcome = sweep(experiment, {"learning_rate": [1e-2, 1e20]}, seeds=2)
    well, badly = outcome.summaries
    assert (well.diverged, badly.diverged) == (0, 2)
    assert outcome.best is well
    assert [member.diverged > 0 for member in outcome.members] == [False, False, True, True]


@pytest.mark.slow
def test_tables_with_missing_cells_are_swept(tmp_path):
    """As a run trains on them; examples of other data that are not finite are refused there too."""
    pl = pytest.importorskip("polars")
    rows = np.random.default_rng(0).normal(size=(200, 3))
    frame = pl.DataFrame({"a": rows[:, 0], "b": [None if row[1] > 1 else row[1] for row in rows], "c": rows[:, 2]})
    frame.write_csv(tmp_path / "table.csv")
    experiment = Experiment(
        data=Data(dataset=str(tmp_path / "table.csv")),
        model=Model(likelihood="table", hidden=(4,), code_size=2),
        training=Training(batch_size=64, epochs=1),
    )
    (member,) = sweep(experiment, {}, seeds=1).members
    _, terms = alone(experiment)
    np.testing.assert_allclose([member.terms[t] for t in terms], [*terms.values()], rtol=2e-4, atol=1e-5)


def test_real_numbers_are_traced_and_other_values_are_groups():
    values = {"contractive_weight": [0.0, 0.1, 1.0], "code_size": [5, 6], "learning_rate": [0.1, 0.2]}
    settings = settings_of(make_plan(TIED, values))
    groups = make_groups(settings, lambda setting, knob: True)
    assert [len(group.settings) for group in groups] == [2, 2, 4, 4]
    assert [group.traced for group in groups] == [("learning_rate",)] * 2 + [
        ("contractive_weight", "learning_rate")
    ] * 2
    untraced = make_groups(settings, lambda setting, knob: knob != "learning_rate")
    assert [len(group.settings) for group in untraced] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert sorted(position for group in untraced for position in group.settings) == list(range(len(settings)))


TRACED = {  # preset -> knobs of it that are real numbers above 0 and have an effect
    "digits-sparse": {"sparse_weight", "learning_rate"},
    "digits-vae": {"beta", "learning_rate"},
    "digits-contractive-h": {"contractive_weight", "higher_order_weight", "higher_order_noise", "learning_rate"},
    "digits-sparse-kl": {"sparse_kl_weight", "target_activation", "learning_rate"},
    "digits-denoise": {"corruption_level", "learning_rate"},
    "digits-free-bits": {"beta", "free_bits", "learning_rate"},
    "digits-wae": {"mmd_weight", "learning_rate"},
    "digits-tcvae": {"beta", "total_correlation_weight", "learning_rate"},
}


@pytest.mark.slow_after_first
@pytest.mark.parametrize("preset", TRACED)
def test_knobs_that_can_be_traced_are_found_by_trial(preset):
    experiment = PRESETS[preset][1]
    job = make_job(experiment)
    numbers = [knob for knob, group in GROUP_OF.items() if group != "data" and is_real(knob)]
    found = {knob for knob in numbers if value_of(experiment, knob) and can_be_traced(job, knob)}
    assert found == TRACED[preset]


@pytest.mark.slow
def test_what_python_computes_with_cannot_be_traced():
    gaussian = replace(VARIATIONAL, model=replace(VARIATIONAL.model, likelihood="gaussian"))
    blurred = replace(TIED, regularization=Regularization(corruption="gaussian_blur"))
    assert not can_be_traced(make_job(gaussian), "likelihood_variance")
    assert not can_be_traced(make_job(blurred), "corruption_level")


def test_settings_are_compared_on_the_same_validation_examples():
    plan = make_plan(TIED, {"split_seed": [0, 1]})
    with pytest.raises(UserError, match="split_seed: the values change the validation examples"):
        prepare(plan)


def test_a_term_that_decides_must_be_one_of_every_setting():
    plan = make_plan(TIED, {"contractive_weight": [0.0, 0.1]}, choose_by="contractive_penalty")
    with pytest.raises(UserError, match="choose_by: there is no term of every setting 'contractive_penalty'"):
        prepare(plan)


def test_test_examples_do_not_decide():
    from aejax.studies.sweeps.members import Member

    settings = settings_of(make_plan(TIED, {"learning_rate": [0.1, 0.2, 0.3]}))
    values = [(3.0, 1.0), (2.0, 5.0), (2.5, 0.5)]  # of validation and of test examples
    members = [
        Member(k, seed, 1, 0, {"validation/elbo": v + seed, "validation/loss": v - seed, "test/loss": t})
        for k, (v, t) in enumerate(values)
        for seed in (0, 1)
    ]
    summaries = summarize(settings, members)
    assert choose(summaries, "loss").setting == settings[1]
    assert choose(summaries, "elbo").setting == settings[0]
    np.testing.assert_allclose(summaries[0].mean["validation/elbo"], 3.5)
    np.testing.assert_allclose(summaries[0].deviation["validation/elbo"], np.sqrt(0.5))
    members[2] = members[2]._replace(diverged=3, terms={})
    assert choose(summarize(settings, members), "loss").setting == settings[2]


def test_a_damaged_group_is_named(tmp_path):
    ready = prepare(make_plan(TIED, {}))
    create(tmp_path / "sweep", ready)
    (tmp_path / "sweep" / "groups" / "0.json").write_text(json.dumps([{"seed": 1}]))
    with pytest.raises(UserError, match=r"0\.json: is damaged; delete it, and its group is trained again"):
        run(ready, folder=tmp_path / "sweep")

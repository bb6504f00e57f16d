"""Runs on tables: what is refused, what is built, missing values, and results that test rows do not change."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from aejax.datasets.dataset import Dataset, Splits
from aejax.datasets.tables.columns import TableColumn
from aejax.errors import UserError
from aejax.experiment import facts as facts_module
from aejax.experiment.configuration import Data, Experiment, Model, Regularization, Training, check
from aejax.experiment.job import fit, make_job
from aejax.experiment.objective import as_likelihood_columns
from aejax.experiment.presets import OWN_TABLE, default_for
from aejax.likelihoods.columns import Binary, Categorical, Continuous, Count, LogNormal, Ordinal

COLUMNS = (
    TableColumn("id", "identifier", reason="declared"),
    TableColumn("price", "log_normal", mean=12.0, standard_deviation=0.5, may_be_missing=True),
    TableColumn("heating", "categorical", classes=("gas", "oil", "wood")),
    TableColumn("garden", "binary", classes=("no", "yes"), may_be_missing=True),
    TableColumn("quality", "ordinal", classes=("low", "fair", "high")),
    TableColumn("rooms", "count", integers=True, mean=1.5, standard_deviation=0.4),
    TableColumn("area", "continuous", mean=80.0, standard_deviation=20.0),
)


def splits(*, test_seed=2, columns=COLUMNS):
    def part(seed, count):
        rng = np.random.default_rng(seed)
        factor = rng.normal(size=count)
        classes = np.digitize(factor, (-0.5, 0.5))
        numbers = [np.exp(12 + 0.5 * factor), classes, factor > 0, classes, rng.poisson(4, count), 80 + 20 * factor]
        x = np.stack(numbers, axis=1).astype(np.float32)
        x[rng.uniform(size=count) < 0.1, 0] = np.nan
        x[rng.uniform(size=count) < 0.1, 2] = np.nan
        return Dataset(x, columns=columns)

    return Splits(part(0, 256), part(1, 32), part(test_seed, 32))


def experiment(**model):
    model = {"likelihood": "table", "hidden": (16,), "code_size": 2, "activation": "gelu"} | model
    return Experiment(data=Data("houses.csv"), model=Model(**model), training=Training(epochs=2, batch_size=64))


def test_columns_become_declarations_of_likelihoods():
    assert as_likelihood_columns(COLUMNS) == (
        LogNormal("price", 12.0, 0.5, may_be_missing=True),
        Categorical("heating", 3),
        Binary("garden", may_be_missing=True),
        Ordinal("quality", 3),
        Count("rooms", 1.5, 0.4),
        Continuous("area", 80.0, 20.0),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "regularization"),
    [
        ({}, {}),
        ({}, {"prior": "vamp", "prior_components": 3, "importance_samples": 2}),
        ({"family": "undercomplete", "likelihood": "bernoulli", "loss": "table"}, {"corruption": "masking"}),
        ({"family": "k_sparse", "likelihood": "bernoulli", "loss": "table", "active_entries": 1}, {}),
    ],
)
def test_a_table_is_trained_and_decoded_to_complete_rows(model, regularization):
    job = make_job(replace(experiment(**model), regularization=Regularization(**regularization)), splits())
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes dtypes
        params = fit(job, devices=jax.devices()[:1]).best_params
    assert facts_module.from_json(facts_module.to_json(job.facts), name="facts.json") == job.facts

    @jax.jit
    @jax.vmap
    def reconstruct(row):
        return job.autoencoder.decode(params, job.autoencoder.encode(params, row))

    decoded = np.asarray(reconstruct(job.splits.test.x))
    assert np.isfinite(decoded).all()
    assert set(np.unique(decoded[:, 1])) <= {0, 1, 2}
    assert set(np.unique(decoded[:, 2])) <= {0, 1}
    assert (decoded[:, [0, 4]] >= 0).all()


def test_test_rows_change_neither_facts_nor_autoencoder():
    one, other = (make_job(experiment(), splits(test_seed=seed)) for seed in (2, 3))
    assert one.facts == other.facts
    assert one.autoencoder is other.autoencoder


def test_statistics_that_python_users_leave_out_are_those_of_training_rows():
    bare = tuple(replace(c, mean=None, standard_deviation=None, may_be_missing=False) for c in COLUMNS)
    job = make_job(experiment(), splits(columns=bare))
    price, *_, rooms, area = as_likelihood_columns(job.facts.columns)
    x = job.splits.train.x
    np.testing.assert_allclose(price.mean, np.nanmean(np.log(x[:, 0])), rtol=1e-5)
    np.testing.assert_allclose(rooms.mean, np.log1p(x[:, 4]).mean(), rtol=1e-5)
    np.testing.assert_allclose(area.standard_deviation, x[:, 5].std(), rtol=1e-5)
    assert price.may_be_missing


def test_a_table_has_an_experiment_of_its_own():
    assert default_for("houses.csv") is OWN_TABLE
    model = default_for("houses.csv", family="undercomplete").model
    assert (model.family, model.loss) == ("undercomplete", "table")
    check(default_for("houses.csv", family="undercomplete"))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"likelihood": "gaussian"}, "likelihood: gaussian expects numbers of one kind, but houses.csv is a table"),
        ({"family": "undercomplete", "likelihood": "bernoulli"}, "loss: squared_error expects numbers of one kind"),
        ({"family": "tied", "likelihood": "bernoulli"}, "family: tied has no loss for the columns of a table"),
    ],
)
def test_other_likelihoods_are_refused_for_tables(model, message):
    with pytest.raises(UserError, match=message):
        make_job(experiment(**model), splits())


def test_tables_are_refused_where_they_have_no_meaning():
    arrays = Splits(*(part._replace(x=np.nan_to_num(part.x), columns=None) for part in splits()))
    with pytest.raises(UserError, match="likelihood: table expects a table with named columns"):
        make_job(experiment(), arrays)
    with pytest.raises(UserError, match="corruption: gaussian_noise has no meaning for the columns of a table"):
        check(replace(experiment(), regularization=Regularization(corruption="gaussian_noise")))
    with pytest.raises(UserError, match="loss: table requires logits of classes"):
        check(experiment(family="tied", likelihood="bernoulli", loss="table"))
    with pytest.raises(UserError, match="standardize: feature requires a loss that accepts any number"):
        check(experiment(standardize="feature"))


def test_rows_outside_their_columns_are_refused():
    wrong = splits()
    wrong.test.x[3, 1] = 7
    with pytest.raises(UserError, match=r"houses.csv, column heating: .* expects values in"):
        make_job(experiment(), wrong)
    wrong = splits()
    wrong.test.x[3, 5] = np.inf
    with pytest.raises(UserError, match="infinite"):
        make_job(experiment(), wrong)

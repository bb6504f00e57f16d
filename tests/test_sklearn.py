"""The transformer against scikit-learn's own checks, pipelines, grid searches, and closed forms."""

import pickle

import jax
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from aejax import losses
from aejax.experiment import build
from aejax.sklearn import AutoencoderTransformer

X = StandardScaler().fit_transform(load_iris().data)
SMALL = AutoencoderTransformer(2, hidden=(8,), epochs=3, random_state=0)


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.slow
@parametrize_with_checks([SMALL, AutoencoderTransformer(1, hidden=(), variational=True, epochs=2, random_state=0)])
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.slow
def test_a_linear_one_finds_the_principal_subspace():
    """Its error is that of PCA, the lower bound of linear autoencoders on their training examples."""
    linear = AutoencoderTransformer(2, hidden=(), batch_size=32, epochs=200, random_state=0)
    linear.set_params(learning_rate=3e-2, patience=None)
    linear.fit(X)
    back = linear.inverse_transform(linear.transform(X))
    pca = PCA(2).fit(X)
    least = np.mean(np.sum((X - pca.inverse_transform(pca.transform(X))) ** 2, axis=1))
    error = np.mean(np.sum((X - back) ** 2, axis=1))
    assert least < error < 1.05 * least  # it has seen nine examples in ten
    assert linear.score(X) == pytest.approx(-error, rel=1e-4)
    np.testing.assert_allclose(linear.score_samples(X), -np.sum((X - back) ** 2, axis=1), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_the_validation_loss_is_that_of_examples_held_out():
    fitted = clone(SMALL).fit(X)
    assert 0 < fitted.best_epoch_ <= 3
    per_example = -fitted.score_samples(X)
    assert per_example.min() < fitted.validation_loss_ < per_example.max()


def test_the_seed_makes_it_the_same_and_a_pickle_keeps_it():
    one, other = clone(SMALL).fit(X), clone(SMALL).fit(X)
    codes = one.transform(X)
    np.testing.assert_array_equal(other.transform(X), codes)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).transform(X), codes)
    assert not np.array_equal(clone(SMALL).set_params(random_state=1).fit(X).transform(X), codes)


def test_a_code_depends_on_its_example_alone():
    fitted = clone(SMALL).fit(X)
    codes = fitted.transform(X)
    np.testing.assert_array_equal(fitted.transform(X[::-1])[::-1], codes)
    np.testing.assert_array_equal(fitted.transform(X[7:8]), codes[7:8])
    assert fitted.transform(np.concatenate([X] * 3)).shape == (450, 2)


@pytest.mark.slow
def test_a_pipeline_and_a_grid_search():
    pipeline = make_pipeline(StandardScaler(), clone(SMALL))
    search = GridSearchCV(pipeline, {"autoencodertransformer__n_components": [1, 3]}, cv=2)
    search.fit(load_iris().data)
    assert search.best_params_ == {"autoencodertransformer__n_components": 3}
    assert search.best_estimator_.get_feature_names_out().tolist() == [f"autoencodertransformer{k}" for k in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize("knobs", [{"variational": True}, {"noise": 0.3}, {"contractive_weight": 0.1}])
def test_families(knobs):
    fitted = clone(SMALL).set_params(**knobs, epochs=2).fit(X)
    assert fitted.inverse_transform(fitted.transform(X)).shape == X.shape
    assert np.isfinite(fitted.score_samples(X)).all()
    np.testing.assert_array_equal(fitted.score_samples(X), fitted.score_samples(X))


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"n_components": 0}, "n_components: input should be greater than 0, got 0"),
        ({"activation": "step"}, "activation"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"validation_fraction": 1.0}, "validation_fraction must be between 0 and 1, got 1.0"),
        ({"epochs": 0}, "epochs"),
    ],
)
def test_arguments_out_of_range(knobs, message):
    with pytest.raises(ValueError, match=message):
        clone(SMALL).set_params(**knobs).fit(X)


@pytest.mark.slow
def test_numbers_of_numpy_are_numbers():
    knobs = {"n_components": np.int64(1), "hidden": np.array([4]), "noise": np.float64(0.1), "epochs": np.int32(1)}
    fitted = clone(SMALL).set_params(**knobs).fit(X)
    assert fitted.transform(X).shape == (150, 1)
    assert fitted.experiment_.model.hidden == (4,)


def test_other_mistakes():
    with pytest.raises(NotFittedError):
        clone(SMALL).transform(X)
    fitted = clone(SMALL).fit(X)
    with pytest.raises(ValueError, match=r"codes must have shape \(examples, 2\), got \(150, 4\)"):
        fitted.inverse_transform(X)
    with pytest.raises(ValueError, match="X has 3 features, but AutoencoderTransformer is expecting 4"):
        fitted.transform(X[:, :3])
    with pytest.raises(ValueError, match="beyond single precision"):
        clone(SMALL).fit(X * 1e300)
    for function in (fitted.transform, fitted.score):
        with pytest.raises(ValueError, match="X holds values beyond single precision"):
            function(X * 1e300)
    with pytest.raises(ValueError, match="contains NaN"):
        fitted.inverse_transform(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        fitted.inverse_transform(np.zeros((0, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("variational", [False, True])
def test_examples_far_from_unit_scale_are_reduced_as_those_at_unit_scale(variational):
    estimator = clone(SMALL).set_params(variational=variational, epochs=30, learning_rate=1e-2, batch_size=16)
    incomes = 50_000 + 20_000 * X

    def explained(x):
        fitted = clone(estimator).fit(x)
        back = fitted.inverse_transform(fitted.transform(x))
        return fitted, 1 - np.square(back - x).sum() / np.square(x - x.mean(axis=0)).sum()

    (fitted, far), (_, near) = explained(incomes), explained(X)

    assert far == pytest.approx(near, abs=0.1)
    assert far > 0.5
    assert np.isfinite(fitted.score_samples(incomes)).all()
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(restored.transform(incomes), fitted.transform(incomes))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"hidden": 64}, TypeError, "hidden must be a sequence"),
        ({"hidden": "64"}, TypeError, "hidden must be a sequence"),
        ({"hidden": None}, TypeError, "hidden must be a sequence"),
        ({"hidden": (0,)}, ValueError, "hidden must be at least 1, got 0"),
        ({"hidden": (2.5,)}, TypeError, "hidden must be an integer, got 2.5"),
        ({"n_components": 0}, ValueError, "^n_components: "),
        ({"n_components": "2"}, ValueError, "^n_components: "),
        ({"noise": -1}, ValueError, "^noise: "),
        ({"noise": None}, TypeError, "^noise must be a number, got None"),
        ({"learning_rate": 0}, ValueError, "^learning_rate: "),
        ({"activation": np.tanh}, TypeError, "^activation must be the name"),
        ({"variational": "yes"}, TypeError, "^variational must be True or False"),
        ({"validation_fraction": "a"}, TypeError, "^validation_fraction must be a number"),
    ],
)
def test_errors_name_the_argument(arguments, error, message):
    with pytest.raises(error, match=message):
        AutoencoderTransformer(epochs=1, **arguments).fit(np.random.default_rng(0).normal(size=(9, 3)))


@pytest.mark.slow
def test_fitting_again_compiles_nothing(monkeypatch):
    """Other examples of the shape, another seed: the same program, as in a grid search."""
    traces = []
    whole = losses.squared_error

    def counted(x, reconstruction):
        traces.append(None)
        return whole(x, reconstruction)

    monkeypatch.setattr(build, "loss_of", lambda model, facts: counted)  # not where a result is compared with the mean
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 31, 7)).astype(np.float32)  # a shape that no other test has
    reduce = AutoencoderTransformer(2, hidden=(6,), epochs=2, batch_size=8, random_state=0)
    reduce.fit(first)
    before = len(traces)
    assert before > 0
    reduce.set_params(random_state=1).fit(second)
    assert len(traces) == before
    reduce.set_params(activation="tanh").fit(second)
    assert len(traces) > before

"""The study of Jacobians: its methods, what it measures, its tables, its claims and its figures."""

import csv
import dataclasses
import io
import json
import math
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from aejax.autoencoders import tied
from aejax.datasets.dataset import Dataset, Splits
from aejax.errors import UserError
from aejax.jacobian import contractive_penalty
from aejax.study import figures
from aejax.study.measure import (
    RADII,
    Curves,
    Measurement,
    distance_to_nearest,
    error_percent,
    fit_probe,
    make_measure,
)
from aejax.study.methods import METHODS
from aejax.study.published import TABLE, claims, comparison_table
from aejax.study.settings import METHOD_NAMES, PRESETS, Study, check, to_json
from aejax.study.table import (
    Member,
    Setting,
    choose,
    mean_curves,
    member_records,
    setting_records,
    study_table,
    summarize,
    to_csv,
)
from aejax.study.train import load, train_method
from aejax.training import NonFiniteLossError

SHAPE, UNITS = (4, 3), 7
PLAIN = tied(SHAPE, (UNITS,))
X = np.random.default_rng(0).uniform(size=(40, *SHAPE)).astype(np.float32)


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax's steps mix integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def params():
    return jax.tree.map(
        lambda leaf: jnp.asarray(np.random.default_rng(leaf.size).normal(size=leaf.shape), leaf.dtype),
        PLAIN.init(jax.random.key(0), jnp.asarray(X[0])),
    )


def layer(params) -> tuple[np.ndarray, np.ndarray]:
    """Weights (inputs, units) and bias in float64."""
    return np.asarray(params["weights"][0], np.float64), np.asarray(params["encoder_biases"][0], np.float64)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


# --- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_pass_their_checks(preset: str) -> None:
    check(PRESETS[preset][1])


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"seeds": 0}, "seeds: input should be greater than 0, got 0"),
        ({"contractive_weights": (0.1, -1.0)}, "contractive_weights: .* greater than or equal to 0, got -1.0"),
        ({"masking_amounts": (1.5,)}, "masking_amounts: .* less than or equal to 1, got 1.5"),
        ({"methods": ()}, "methods: must be at least one value, each of them once, got none"),
        ({"methods": ("ae", "cae", "ae")}, "methods: must be .* each of them once, got ae, cae, ae"),
        ({"weight_decays": (0.1, 0.1)}, "weight_decays: .* got 0.1, 0.1"),
        ({"learning_rate": math.inf}, "learning_rate"),
    ],
)
def test_mistakes_in_settings(change: dict, culprit: str) -> None:
    with pytest.raises(UserError, match=culprit):
        check(dataclasses.replace(Study(), **change))


# --- methods -----------------------------------------------------------------------------------------------------


def norm_squared(params, x) -> jax.Array:
    return contractive_penalty(partial(PLAIN.encode, params), x)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_method_of_no_strength_is_the_plain_autoencoder(params, method: str) -> None:
    loss, _ = METHODS[method].build(PLAIN, jnp.array(0.0)).loss(params, jax.random.key(1), jnp.asarray(X))
    np.testing.assert_allclose(loss, PLAIN.loss(params, jax.random.key(1), jnp.asarray(X))[0], rtol=1e-6)


@pytest.mark.parametrize("method", ["weight-decay", "cae"])
def test_penalties_against_numpy(params, method: str) -> None:
    loss, metrics = METHODS[method].build(PLAIN, jnp.array(0.3)).loss(params, jax.random.key(1), jnp.asarray(X))
    weights, bias = layer(params)
    codes = sigmoid(X.reshape(len(X), -1) @ weights + bias)
    jacobians = np.einsum("nk,ik->nki", codes * (1 - codes), weights)
    penalty = np.sum(weights**2) if method == "weight-decay" else np.mean(np.sum(jacobians**2, axis=(1, 2)))
    name = "squared_weights" if method == "weight-decay" else "contractive_penalty"
    np.testing.assert_allclose(metrics[name], penalty, rtol=1e-5)
    np.testing.assert_allclose(loss, metrics["reconstruction"] + 0.3 * penalty, rtol=1e-5)


@pytest.mark.slow
def test_the_estimated_penalty_is_unbiased(params) -> None:
    loss = METHODS["cae-estimator"].build(PLAIN, jnp.array(1.0)).loss
    keys = jax.random.split(jax.random.key(0), 1000)
    penalties = np.asarray(jax.vmap(lambda key: loss(params, key, jnp.asarray(X[:4]))[1]["contractive_penalty"])(keys))
    exact = np.mean(jax.vmap(partial(norm_squared, params))(jnp.asarray(X[:4])))
    assert penalties.std() > 0
    assert abs(penalties.mean() - exact) < 5 * penalties.std() / math.sqrt(len(penalties))


# --- training ----------------------------------------------------------------------------------------------------

TINY = Study(
    seeds=2, units=12, epochs=3, train_examples=200, batch_size=50, contractive_weights=(0.0, 1.0, 30.0, 1000.0)
)


def last(study: Study, method: str, devices: int = 1):
    *_, trained = train_method(study, method, load(study), jax.local_devices()[:devices])
    return trained


@pytest.mark.slow
def test_a_contractive_weight_of_zero_trains_the_plain_autoencoder() -> None:
    """With the same seeds, whichever place the weight has in the grid."""
    contractive, plain = last(dataclasses.replace(TINY, contractive_weights=(5.0, 0.0)), "cae"), last(TINY, "ae")
    without = jax.tree.map(lambda leaf: leaf[2:], contractive.params)
    chex.assert_trees_all_close(without, plain.params, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_the_norm_falls_as_the_weight_grows() -> None:
    """On digits, for every seed."""
    method = "cae"
    study = dataclasses.replace(TINY, learning_rate=0.02, epochs=10)
    splits, params = load(study), last(study, method).params

    def mean_norm(own) -> jax.Array:
        return jnp.mean(jnp.sqrt(jax.vmap(partial(norm_squared, own))(jnp.asarray(splits.test.x))))

    norms = jax.vmap(mean_norm)(jax.tree.map(jnp.asarray, params))
    by_seed = np.asarray(norms).reshape(len(study.contractive_weights), study.seeds)
    assert (np.diff(by_seed, axis=0) < 0).all(), by_seed
    assert (by_seed[-1] < 0.5 * by_seed[0]).all(), by_seed


@pytest.mark.slow
def test_the_study_does_not_depend_on_the_number_of_devices() -> None:
    method = "cae-estimator"
    one, eight = last(TINY, method), last(TINY, method, devices=8)
    chex.assert_trees_all_close(eight.params, one.params, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(eight.loss, one.loss, rtol=1e-5)


def test_a_loss_that_is_not_finite_names_its_member() -> None:
    study = dataclasses.replace(TINY, weight_decays=(0.1, 1e38))
    with pytest.raises(
        NonFiniteLossError, match=r"weight-decay with strength 1e\+38 and seed 0 has a loss that is not"
    ):
        last(study, "weight-decay")


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"train_examples": 5000}, "train_examples: there are 1138, got 5000"),
        ({"batch_size": 300}, "batch_size: must be at most the 200 training examples, got 300"),
    ],
)
def test_settings_that_do_not_fit_the_data(change: dict, culprit: str) -> None:
    with pytest.raises(UserError, match=culprit):
        load(dataclasses.replace(TINY, **change))


def test_data_without_labels(tmp_path) -> None:
    np.save(tmp_path / "mine.npy", X)
    with pytest.raises(UserError, match="has no labels"):
        load(dataclasses.replace(TINY, dataset=str(tmp_path / "mine.npy")))


# --- measuring ---------------------------------------------------------------------------------------------------


def test_measurements_against_numpy(params) -> None:
    """In float64, from the definitions: the Jacobian as a matrix, its singular values, logarithms as they stand."""
    labels = (X.reshape(len(X), -1).sum(axis=1) > 6).astype(np.int32)
    splits = Splits(*(Dataset(X[part], labels[part]) for part in (slice(20), slice(20, 30), slice(30, None))))
    measurement, curves = make_measure(PLAIN, splits, input_noise=0.2, spectrum_examples=5)(params)

    weights, bias = layer(params)
    clean = splits.test.x.reshape(10, -1).astype(np.float64)
    keys = jax.random.split(jax.random.key(0), 10)
    noise = np.stack([np.asarray(jax.random.normal(key, SHAPE)).reshape(-1) for key in keys])

    def cross_entropy(observed: np.ndarray) -> np.ndarray:
        probability = sigmoid(sigmoid(observed @ weights + bias) @ weights.T + np.asarray(params["decoder_biases"][0]))
        entropies = -(clean * np.log(probability) + (1 - clean) * np.log(1 - probability))
        return entropies.sum(axis=1).mean(), ((probability - clean) ** 2).sum(axis=1).mean()

    codes = sigmoid(clean @ weights + bias)
    jacobians = np.einsum("nk,ik->nki", codes * (1 - codes), weights)
    spectra = np.linalg.svd(jacobians[:5], compute_uv=False)
    shares = spectra / spectra.sum(axis=1, keepdims=True)
    expected = {
        "reconstruction": cross_entropy(clean)[0],
        "squared_error": cross_entropy(clean)[1],
        "reconstruction_under_noise": cross_entropy(clean + 0.2 * noise)[0],
        "jacobian_norm": np.linalg.norm(jacobians, axis=(1, 2)).mean(),
        "saturated_percent": 100 * np.mean((codes < 0.05) | (codes > 0.95)),
        "effective_rank": np.exp(-(shares * np.log(shares)).sum(axis=1)).mean(),
    }
    assert 0 < expected["saturated_percent"] < 100
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(measurement, name), value, rtol=2e-5, err_msg=name)
    np.testing.assert_allclose(curves.singular_values, spectra.mean(axis=0), rtol=1e-4, atol=1e-6)
    root_mean_square = np.sqrt((spectra**2).sum(axis=1) / clean.shape[1])  # of ‖J u‖, u of unit length
    np.testing.assert_allclose(curves.contraction[0], root_mean_square.mean(), rtol=0.1)
    assert curves.contraction[-1] < 0.1 * curves.contraction[0]


def test_a_probe_finds_what_is_linear_and_its_errors_are_counted() -> None:
    codes = np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32)
    labels = (codes[:, 0] > 0).astype(np.int32)
    probe = fit_probe(Dataset(codes[:200], labels[:200]), Dataset(codes[200:], labels[200:]))
    rest = Dataset(codes[200:], labels[200:])
    assert error_percent(probe, rest) < 5
    np.testing.assert_allclose(
        error_percent(probe, rest._replace(labels=1 - labels[200:])), 100 - error_percent(probe, rest)
    )


def test_the_probe_is_the_one_that_finds_validation_classes_most_probable() -> None:
    """Of three weights of the penalty; which one depends on the number of examples and on their noise."""
    rng, chosen = np.random.default_rng(1), set()
    for examples, noise in ((40, 6.0), (1000, 0.1)):
        codes = rng.normal(size=(examples + 500, 30)).astype(np.float32)
        labels = (codes[:, :10].sum(axis=1) + noise * rng.normal(size=len(codes)) > 0).astype(np.int32)
        train = Dataset(codes[:examples], labels[:examples])
        validation = Dataset(codes[examples:], labels[examples:])
        center, scale = train.x.mean(axis=0), train.x.std(axis=0)
        losses = {}
        for inverse_weight in (0.01, 0.1, 1.0):
            probe = LogisticRegression(C=inverse_weight, tol=1e-3).fit((train.x - center) / scale, train.labels)
            losses[inverse_weight] = log_loss(validation.labels, probe.predict_proba((validation.x - center) / scale))
        found = fit_probe(train, validation)[-1].C
        assert found == min(losses, key=losses.__getitem__)
        chosen.add(found)
    assert len(chosen) > 1


def test_distance_to_the_nearest() -> None:
    assert distance_to_nearest(np.array([[0.0], [10.0]]), np.array([[1.0], [7.0]])) == 2.0


# --- tables ------------------------------------------------------------------------------------------------------

ZERO = Measurement(*[0.0] * len(Measurement._fields))
CURVES = Curves(np.ones(4), np.ones(len(RADII)))


def member(method: str, strength: float, seed: int, **values: float) -> Member:
    factor = strength + seed
    curves = Curves(np.array([4.0, 2.0, 1.0]) * (1 + factor), np.linspace(1, 0.5, len(RADII)) * (1 + factor))
    return Member(method, strength, seed, ZERO._replace(**values), curves, np.full((12, UNITS), factor))


MEMBERS = [
    member("ae", 0.0, 0, jacobian_norm=4.0, validation_probe_error_percent=3.0),
    member("ae", 0.0, 1, jacobian_norm=6.0, validation_probe_error_percent=3.0),
    member("cae", 0.1, 0, jacobian_norm=1.0, validation_probe_error_percent=2.0, probe_error_percent=9.0),
    member("cae", 0.1, 1, jacobian_norm=2.0, validation_probe_error_percent=2.0, probe_error_percent=9.0),
    member("cae", 1.0, 0, jacobian_norm=0.5, validation_probe_error_percent=1.0),
    member("cae", 1.0, 1, jacobian_norm=0.5, validation_probe_error_percent=4.0),
]


def test_means_and_deviations_over_seeds() -> None:
    ae, weak, strong = summarize(MEMBERS)
    assert [(s.method, s.strength, s.seeds) for s in (ae, weak, strong)] == [
        ("ae", 0.0, 2),
        ("cae", 0.1, 2),
        ("cae", 1.0, 2),
    ]
    assert ae.mean.jacobian_norm == 5.0
    np.testing.assert_allclose(ae.deviation.jacobian_norm, math.sqrt(2))  # 1² + 1² over 2 - 1
    assert strong.deviation.jacobian_norm == 0.0
    assert math.isnan(summarize(MEMBERS[:1])[0].deviation.jacobian_norm)


def test_strengths_are_chosen_on_validation_examples() -> None:
    """The mean over the seeds decides; the best single seed and the test examples do not."""
    chosen = choose(summarize(MEMBERS))
    assert {method: setting.strength for method, setting in chosen.items()} == {"ae": 0.0, "cae": 0.1}
    tie = [member("cae", strength, 0, validation_reconstruction=-strength) for strength in (0.1, 0.2)]
    assert choose(summarize(tie))["cae"].strength == 0.2


def test_curves_are_means_over_the_chosen_seeds() -> None:
    curves = mean_curves(MEMBERS, choose(summarize(MEMBERS)))
    np.testing.assert_allclose(curves["cae"].singular_values, 1.6 * np.array([4.0, 2.0, 1.0]))
    assert curves["cae"].contraction.shape == (len(RADII),)


def test_records_hold_every_number() -> None:
    settings = summarize(MEMBERS)
    rows = list(csv.DictReader(io.StringIO(to_csv(setting_records(settings, choose(settings))))))
    assert [row["chosen"] for row in rows] == ["True", "True", "False"]
    assert float(rows[0]["jacobian_norm_deviation"]) == settings[0].deviation.jacobian_norm
    rows = list(csv.DictReader(io.StringIO(to_csv(member_records(MEMBERS)))))
    assert [(row["method"], row["seed"], float(row["jacobian_norm"])) for row in rows[:3]] == [
        ("ae", "0", 4.0),
        ("ae", "1", 6.0),
        ("cae", "0", 1.0),
    ]
    single = summarize(MEMBERS[:1])
    assert setting_records(single, choose(single))[0]["jacobian_norm_deviation"] is None


def cells(table) -> list[list[str]]:
    return [list(column.cells) for column in table.columns]


def test_the_table_shows_means_and_deviations() -> None:
    columns = cells(study_table(choose(summarize(MEMBERS)), title="study"))
    assert columns[0] == ["AE", "CAE"]
    assert columns[1] == ["", "λ = 0.1"]
    assert columns[3] == ["5.000 ± 1.414", "1.500 ± 0.707"]


# --- the paper ---------------------------------------------------------------------------------------------------


def as_published(**ranks: float) -> dict[str, Setting]:
    """Settings with the numbers of the paper's own table, and these effective ranks."""
    chosen = {}
    for method, row in TABLE.items():
        mean = ZERO._replace(
            jacobian_norm=row.jacobian_norm,
            saturated_percent=row.saturated_percent,
            probe_error_percent=row.test_error_percent,
            effective_rank=ranks.get(method, 5.0),
        )
        chosen[method] = Setting(method, 0.0, 2, mean, ZERO)
    return chosen


RISING = Curves(np.ones(4), np.interp(np.arange(25), [0, 12, 24], [1.0, 1.4, 0.5]))
FALLING = Curves(np.ones(4), np.linspace(1.0, 0.5, 25))


def test_every_claim_holds_for_the_papers_numbers() -> None:
    found = claims(as_published(cae=2.0), {"cae": RISING, "dae-gaussian": FALLING, "ae": FALLING})
    assert len(found) == 10
    assert all(claim.held for claim in found), found


def test_no_claim_holds_for_the_contrary() -> None:
    """All that is said of the CAE is said of the AE, and the other way round."""
    chosen = as_published(cae=2.0)
    chosen |= {
        "cae": chosen["ae"]._replace(method="cae"),
        "ae": chosen["cae"]._replace(method="ae"),
        "weight-decay": chosen["dae-masking"]._replace(method="weight-decay"),
        "dae-masking": chosen["weight-decay"]._replace(method="dae-masking"),
    }
    found = claims(chosen, {"cae": FALLING, "dae-gaussian": RISING})
    assert len(found) == 10
    assert not any(claim.held for claim in found), found


def test_claims_say_where_seeds_differ_more_than_methods() -> None:
    chosen = as_published()
    spread = ZERO._replace(probe_error_percent=0.5)
    chosen = {method: setting._replace(deviation=spread) for method, setting in chosen.items()}
    seen = {claim.text: claim.seen for claim in claims(chosen, {})}
    assert seen["the CAE's features classify best"] == "CAE 1.14, DAE, Gaussian 1.18: less apart than seeds are"
    assert seen["the CAE has the least ‖J‖_F"] == "CAE 7.3e-05, DAE, Gaussian 8.6e-05"


def test_claims_of_absent_methods_are_left_out() -> None:
    chosen = as_published()
    assert claims({"ae": chosen["ae"]}, {"ae": FALLING}) == []
    assert len(claims({name: chosen[name] for name in ("ae", "cae")}, {})) == 6


def test_the_paper_beside_what_was_measured() -> None:
    chosen = as_published()
    del chosen["dae-masking"]
    chosen["cae"] = chosen["cae"]._replace(mean=ZERO._replace(jacobian_norm=8.75e-4, probe_error_percent=2.0))
    columns = cells(comparison_table(chosen, title="both"))
    assert columns[0] == ["CAE", "DAE, Gaussian", "AE + weight decay", "DAE, masking", "AE"]
    assert columns[3] == ["0.042", "0.049", "0.286", "0.450", "1.000"]
    assert columns[4] == ["0.500", "0.049", "0.286", "-", "1.000"]
    assert columns[8] == ["2.00", "1.18", "1.68", "-", "1.78"]


# --- figures -----------------------------------------------------------------------------------------------------


def chosen_and_curves() -> tuple[dict, dict]:
    chosen = choose(summarize(MEMBERS))
    return chosen, mean_curves(MEMBERS, chosen)


def test_spectra_show_the_singular_values() -> None:
    chosen, curves = chosen_and_curves()
    axes = figures.spectra(curves, chosen).axes[0]
    assert [line.get_label() for line in axes.lines] == ["AE", "CAE, λ = 0.1"]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), curves["cae"].singular_values)
    assert axes.get_ylim()[0] < 1.5 < 6.4 < axes.get_ylim()[1]


def test_contraction_is_relative_to_small_distances() -> None:
    chosen, curves = chosen_and_curves()
    figure = figures.contraction(curves, chosen, nearest=0.7)
    ae, cae, mark = figure.axes[0].lines
    np.testing.assert_allclose(ae.get_ydata(), np.linspace(1, 0.5, len(RADII)))
    np.testing.assert_allclose(cae.get_ydata(), ae.get_ydata())
    np.testing.assert_array_equal(ae.get_xdata(), RADII)
    assert set(mark.get_xdata()) == {0.7}
    figure.canvas.draw()


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1), (2, 2, 3), (12,)])
def test_filters_are_those_of_largest_norm(shape: tuple[int, ...]) -> None:
    weights = np.arange(1.0, UNITS + 1) * np.ones((12, 1))
    chosen, _ = chosen_and_curves()
    figure = figures.filters({"ae": weights, "cae": -weights}, chosen, shape, count=5)
    figure.canvas.draw()
    assert len(figure.axes) == 10
    assert figure.axes[5].get_ylabel() == "CAE\nλ = 0.1"
    if shape == (4, 3):
        np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), np.full(shape, UNITS))
        assert figure.axes[0].images[0].get_clim() == (-UNITS, UNITS)


def test_error_against_strength_shows_every_setting() -> None:
    figure = figures.error_against_strength(summarize(MEMBERS))
    figure.canvas.draw()
    norms = figure.axes[1]
    plain, cae, *_ = norms.lines
    assert set(plain.get_ydata()) == {5.0}
    np.testing.assert_array_equal(cae.get_xdata(), [0.1, 1.0])
    np.testing.assert_array_equal(cae.get_ydata(), [1.5, 0.5])
    assert to_rgba(cae.get_color()) != to_rgba(plain.get_color())
    assert norms.get_ylabel() == "mean ‖J‖$_F$"


def test_error_against_strength_of_the_plain_autoencoder_alone() -> None:
    figures.error_against_strength(summarize(MEMBERS[:1])).canvas.draw()


def test_the_configuration_is_json() -> None:
    assert json.loads(to_json(Study()))["units"] == 100

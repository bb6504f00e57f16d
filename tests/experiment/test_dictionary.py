"""Dictionaries from a configuration: every family, every refusal, the scale of the data, the measures."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import part_names
from aejax.autoencoders.learned_state import split_statistics
from aejax.datasets.dataset import Dataset
from aejax.errors import ConflictError, UserError
from aejax.evaluation import code_statistics
from aejax.experiment.build import build_autoencoder
from aejax.experiment.configuration import Experiment, Optimization, Regularization, Training, check
from aejax.experiment.dictionary_knobs import DICTIONARIES, Dictionary
from aejax.experiment.optimizers import build_optimizer
from aejax.experiment.presets import default_for
from aejax.experiment.scaling import describe, make_facts
from aejax.training.devices import AXIS

X = (100 + 5 * np.random.default_rng(0).normal(size=(64, 6))).astype(np.float32)
KEY = jax.random.key(0)


def of(family: str, dictionary: Dictionary | None = None, **model) -> Experiment:
    experiment = default_for("mine.npy", family=family)
    model = {"code_size": 32, **model}
    return replace(experiment, model=replace(experiment.model, **model), dictionary=dictionary or Dictionary())


@pytest.mark.slow_after_first
@pytest.mark.parametrize("family", DICTIONARIES)
def test_every_family_is_built(family):
    experiment = of(family, Dictionary(resample_every=10))
    check(experiment)
    facts = make_facts(experiment, Dataset(X))
    autoencoder = build_autoencoder(experiment, facts)
    assert part_names(autoencoder.parts) == (family, "resampled", "standardized")
    params = jax.eval_shape(autoencoder.init, KEY, X[0])
    loss = jax.vmap(autoencoder.loss, in_axes=(None, None, 0), axis_name=AXIS)
    total, metrics = jax.eval_shape(loss, params, KEY, X.reshape(2, 32, 6))
    assert total.shape == (2,)
    assert {"l0", "dead_fraction"} <= set(split_statistics(metrics)[0])


def test_data_are_centered_and_scaled_to_a_squared_norm_of_their_number():
    experiment = of("top_k")
    facts = make_facts(experiment, Dataset(X))
    assert facts.scaling is not None
    np.testing.assert_allclose(facts.scaling.shift, X.mean(0), rtol=1e-5)
    inside = (X - np.array(facts.scaling.shift)) / facts.scaling.scale[0]
    np.testing.assert_allclose(np.mean(np.sum(inside**2, axis=1)), 6, rtol=1e-4)
    assert "subtracts the mean of each feature and divides by one scale" in (describe(facts, experiment.model) or "")
    plain = replace(experiment, model=replace(experiment.model, standardize="none"))
    assert make_facts(plain, Dataset(X)).scaling is None


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        (of("top_k", active_entries=33), "active_entries: must be at most the code_size, 32, got 33"),
        (of("top_k", code_size=None), "code_size: a dictionary requires the number of its units"),
        (of("top_k", hidden=(5,)), "hidden: requires family undercomplete or tied or k_sparse or variational"),
        (of("top_k", Dictionary(sparsity_weight=0.1)), "sparsity_weight: requires family l1_dictionary or jump_relu"),
        (of("jump_relu", active_entries=3), "active_entries: requires family k_sparse or top_k"),
        (of("gated", Dictionary(bandwidth=0.1)), "bandwidth: requires family jump_relu"),
        (of("gated", Dictionary(sparsity_warmup_steps=-1)), "sparsity_warmup_steps: must be at least 0, got -1"),
        (of("matryoshka", Dictionary(prefixes=(8, 4))), "prefixes: must be ascending numbers below the code_size, 32"),
        (of("matryoshka", Dictionary(prefixes=(32,))), "prefixes: must be ascending numbers below the code_size, 32"),
        (of("top_k", Dictionary(first_active_entries=8)), "first_active_entries: must be from active_entries, 16"),
        (of("top_k", Dictionary(annealing_steps=8)), "annealing_steps: requires first_active_entries above 0"),
        (of("gated", Dictionary(unit_norm=True, start_norm=2.0)), "start_norm: unit_norm keeps norm 1, got 2"),
        (Experiment(dictionary=Dictionary(unit_norm=True)), "unit_norm: requires family l1_dictionary or top_k"),
        (replace(of("gated"), training=Training(rematerialize=True)), "rematerialize: requires family undercomplete"),
    ],
)
def test_knobs_without_effect_are_refused(experiment, message):
    with pytest.raises(UserError, match=f"^{message}"):
        check(experiment)


def test_a_penalty_of_mean_activations_is_refused():
    experiment = replace(of("top_k"), regularization=Regularization(sparse_kl_weight=0.1))
    with pytest.raises(ConflictError, match="not limited to"):
        build_autoencoder(experiment, make_facts(experiment, Dataset(X)))


def test_the_learning_rate_falls_over_the_last_fifth():
    """With equal gradients every update of Adam is the learning rate."""
    optimization = Optimization(learning_rate=0.1, schedule="linear_at_end", warmup_steps=2)
    experiment = Experiment(optimization=optimization, training=Training(epochs=10, batch_size=1))
    optimizer = build_optimizer(experiment, 1)
    params, found = jnp.zeros(()), []
    state = optimizer.init(params)
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes integer counts with floats
        for _ in range(10):
            update, state = optimizer.update(jnp.ones(()), state, params)
            found.append(-float(update))
    np.testing.assert_allclose(found, [0, 0.05, *[0.1] * 7, 0.05], atol=1e-6)


@pytest.mark.slow
def test_what_a_dictionary_explains_is_measured():
    experiment = of("top_k", active_entries=2)
    facts = make_facts(experiment, Dataset(X))
    autoencoder = build_autoencoder(experiment, facts)
    params = autoencoder.init(KEY, X[0])
    statistics = code_statistics(autoencoder, params, KEY, X)
    decoded = np.stack([autoencoder.decode(params, autoencoder.encode(params, x)) for x in X])
    unexplained = np.sum((X - decoded) ** 2) / np.sum((X - X.mean(0)) ** 2)
    np.testing.assert_allclose(statistics["explained_variance"], 1 - unexplained, rtol=1e-4)
    np.testing.assert_allclose(statistics["relative_bias"], np.sum(decoded**2) / np.sum(decoded * X), rtol=1e-4)
    codes = np.stack([autoencoder.encode(params, x) for x in X])
    assert statistics["silent_units"] == np.sum(~codes.any(axis=0))
    assert "explained_variance" not in code_statistics(*plain(), KEY, X)


def plain():
    experiment = replace(of("top_k"), model=replace(Experiment().model, family="undercomplete", hidden=(5,)))
    autoencoder = build_autoencoder(experiment, make_facts(experiment, Dataset(X)))
    return autoencoder, autoencoder.init(KEY, X[0])

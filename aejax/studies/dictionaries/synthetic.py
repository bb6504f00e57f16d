"""Families of dictionaries on sparse mixtures of known features, which are generated in the compiled training loop."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array

from aejax.autoencoders import Autoencoder, batch_top_k, gated, jump_relu, l1_dictionary, matryoshka, top_k
from aejax.datasets.synthetic_features.generator import FeatureModel, sample, sample_x
from aejax.datasets.synthetic_features.setting import FeatureSetting
from aejax.evaluation.dictionaries import (
    add_detections,
    add_firing,
    add_reconstructions,
    dead_share,
    detection_measures,
    match_features,
    mean_l0,
    reconstruction_measures,
)
from aejax.keys import named_key
from aejax.schedules import linear_warm_up
from aejax.training.devices import AXIS
from aejax.training.state import TrainState, create_state
from aejax.training.step import train_step

_EVALUATED = 2048  # examples that are encoded at a time
_WARM_UP = 0.05  # of the steps, over which the weight of a penalty rises

PUBLISHED = {  # F1, MCC, uniqueness, explained variance at L0 25 and at L0 20, after 200 million examples
    "batch_top_k": ((0.7316, 0.7574, 0.9837, 0.7923), (0.8183, 0.7526, 0.9760, 0.7889)),
    "matryoshka": ((0.8793, 0.7927, 0.9987, 0.7792), (0.8601, 0.7455, 0.9874, 0.7699)),
    "jump_relu": ((0.7317, 0.7527, 0.9885, 0.7951), (0.8241, 0.7434, 0.9781, 0.7906)),
    "l1_dictionary": ((0.5562, 0.6039, 0.8976, 0.7654), (0.5777, 0.5834, 0.8528, 0.7501)),
}


class Training(NamedTuple):
    """How each dictionary is trained."""

    units: int
    steps: int
    batch_size: int = 1024
    learning_rate: float = 3e-4
    examples: int = 20_000  # that it is evaluated on


class Trial(NamedTuple):
    """One trained dictionary and its measures on examples that it was not trained on; none has a unit."""

    family: str
    strength: float  # k, or the weight of the penalty
    seed: int
    l0: float  # active units per example
    f1: float
    precision: float
    recall: float
    mcc: float  # mean |cos| of the best one-to-one matching
    mmcs: float  # mean over features of the largest cosine
    uniqueness: float
    explained_variance: float
    relative_bias: float
    dead: float  # fraction of units that never fire


def build_family(name: str, strength: float, features: int, training: Training) -> Autoencoder:
    """Returns the dictionary of a family.

    Args:
      name: of the constructor in `aejax.autoencoders`.
      strength: k of `top_k`, `batch_top_k` and `matryoshka`; the weight of the penalty of the others.
      features: D.
      training: names the units and the steps.

    Raises:
      ValueError: there is no family of that name, or the constructor refuses the strength.
    """
    if name not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {name!r}")
    return FAMILIES[name](features, strength, training)


def _weight(strength: float, steps: int) -> Callable[..., Array]:
    return linear_warm_up(max(1, round(_WARM_UP * steps)), end=strength)


def _prefixes(units: int) -> tuple[int, ...]:
    """Returns prefixes of a 32nd, an 8th and a half of the units."""
    return tuple(sorted({max(1, units // part) for part in (32, 8, 2)}))


def _dead_after(training: Training) -> int:
    """Returns the examples of a twentieth of the training: units that are silent for longer learn what others leave."""
    return max(1, training.steps * training.batch_size // 20)


FAMILIES: dict[str, Callable[[int, float, Training], Autoencoder]] = {
    "l1_dictionary": lambda d, weight, training: l1_dictionary(
        d, training.units, weight=_weight(weight, training.steps)
    ),
    "top_k": lambda d, k, training: top_k(d, training.units, k=round(k), dead_after=_dead_after(training)),
    "batch_top_k": lambda d, k, training: batch_top_k(d, training.units, k=k, dead_after=_dead_after(training)),
    "matryoshka": lambda d, k, training: matryoshka(
        d, training.units, k=k, prefixes=_prefixes(training.units), dead_after=_dead_after(training)
    ),
    "jump_relu": lambda d, weight, training: jump_relu(
        d, training.units, weight=_weight(weight, training.steps), bandwidth=0.1, start_threshold=0.1
    ),
    "gated": lambda d, weight, training: gated(d, training.units, weight=_weight(weight, training.steps)),
}


def train_on_mixtures(
    autoencoder: Autoencoder, model: FeatureModel, setting: FeatureSetting, training: Training, *, seed: int
) -> TrainState:
    """Returns the state after training on new examples at every step, generated where they are used.

    Args:
      autoencoder: the dictionary.
      model: the generator.
      setting: its setting.
      training: steps, batch size and learning rate; Adam, whose rate falls to 0 over the last fifth.
      seed: of the parameters and the examples.
    """
    falls = max(1, training.steps // 5)
    rate = optax.join_schedules(
        [optax.constant_schedule(training.learning_rate), optax.linear_schedule(training.learning_rate, 0.0, falls)],
        [training.steps - falls],
    )
    optimizer = optax.adam(rate)
    key = jax.random.key(seed)
    state = create_state(autoencoder, optimizer, key, jnp.zeros(setting.dimensions))
    data_keys = named_key(key, "mixtures")[None]  # one for the only device

    def steps(state: TrainState, model: FeatureModel, data_key: Array) -> TrainState:
        def step(state: TrainState, _: None) -> tuple[TrainState, None]:
            keys = jax.random.split(jax.random.fold_in(data_key, state.step), training.batch_size)
            x = jax.vmap(lambda key: sample_x(model, key, setting))(keys)
            return train_step(autoencoder, optimizer, state, x)[0], None

        return lax.scan(step, state, length=training.steps)[0]

    device = jax.devices()[:1]
    return jax.pmap(steps, AXIS, in_axes=(None, None, 0), out_axes=None, devices=device)(state, model, data_keys)


def measure(
    autoencoder: Autoencoder, state: TrainState, model: FeatureModel, setting: FeatureSetting, *, examples: int
) -> dict[str, float]:
    """Returns the measures of `Trial` on new examples, the same for every dictionary.

    Args:
      autoencoder: the dictionary.
      state: after training.
      model: the generator.
      setting: its setting.
      examples: the number of examples.
    """
    params = state.params
    match = match_features(np.asarray(params["decoder"]["kernel"]), np.asarray(model.features))

    @jax.jit
    def one_batch(params: object, model: FeatureModel, key: Array) -> tuple[Array, ...]:
        x, coefficients = jax.vmap(lambda key: sample(model, key, setting))(jax.random.split(key, _EVALUATED))
        codes = jax.vmap(partial(autoencoder.encode, params))(x)
        return x, coefficients, codes, jax.vmap(partial(autoencoder.decode, params))(codes)

    key = named_key(jax.random.key(0), "evaluation of mixtures")
    sums = counts = detections = None
    for number in range(-(-examples // _EVALUATED)):
        x, coefficients, codes, decoded = map(np.asarray, one_batch(params, model, jax.random.fold_in(key, number)))
        sums, counts = add_reconstructions(sums, x, decoded), add_firing(counts, codes)
        detections = add_detections(detections, codes, coefficients, match.best_feature)
    assert sums is not None
    assert counts is not None
    assert detections is not None
    precision, recall, f1 = detection_measures(detections).means
    quality = reconstruction_measures(sums)
    return {
        "l0": mean_l0(counts),
        "f1": f1,
        "precision": precision,
        "recall": recall,
        "mcc": match.mean_matched_cosine,
        "mmcs": match.mean_max_cosine_of_features,
        "uniqueness": match.uniqueness,
        "explained_variance": quality.explained_variance,
        "relative_bias": quality.relative_bias,
        "dead": dead_share(counts),
    }


def run_trial(
    family: str, strength: float, model: FeatureModel, setting: FeatureSetting, training: Training, *, seed: int
) -> Trial:
    """Trains one dictionary and measures it.

    Args:
      family: of `FAMILIES`.
      strength: as for `build_family`.
      model: the generator.
      setting: its setting.
      training: how it is trained.
      seed: of its parameters and examples.
    """
    autoencoder = build_family(family, strength, setting.dimensions, training)
    state = train_on_mixtures(autoencoder, model, setting, training, seed=seed)
    return Trial(family, strength, seed, **measure(autoencoder, state, model, setting, examples=training.examples))


def summarize(trials: Sequence[Trial]) -> dict[tuple[str, float], dict[str, tuple[float, float]]]:
    """Returns mean and standard deviation over seeds of every measure, by family and strength; NaN for one seed.

    >>> trial = Trial("top_k", 5.0, 0, *(1.0,) * 10)
    >>> summarize([trial, trial._replace(seed=1, f1=0.5)])["top_k", 5.0]["f1"]
    (0.75, 0.3535533905932738)
    """
    groups: dict[tuple[str, float], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.family, trial.strength), []).append(trial)
    names = Trial._fields[3:]
    return {
        key: {
            name: (
                float(np.mean(values := [getattr(trial, name) for trial in group])),
                float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"),
            )
            for name in names
        }
        for key, group in groups.items()
    }

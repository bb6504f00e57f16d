"""Families of dictionaries on sparse mixtures of known features, which are generated in the compiled training loop."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder, batch_top_k, gated, jump_relu, l1_dictionary, matryoshka, top_k
from aejax.autoencoders.record import Metrics
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
from aejax.training.devices import AXIS, replicate
from aejax.training.kept import kept
from aejax.training.state import TrainState, create_state
from aejax.training.step import train_step

_EVALUATED = 2048  # examples that are encoded at a time
_STEPS_PER_CALL, _CALLS = 100, 200  # at most so many steps, and at least so many calls, where there are as many steps
_WARM_UP = 0.05  # of the steps, over which the weight of a penalty rises
_ADAPTION = 20  # by how many e-folds a weight can change in a training: the error in active units counts as at most one

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


class Level(NamedTuple):
    """How sparse the codes shall be: by the number of active units or, where a penalty sets it, by its weight."""

    active: float | None = None
    """k of `top_k`, `batch_top_k` and `matryoshka`; the others' weights are adapted, until so many units are active."""
    weight: float | None = None  # of the penalty


class Trial(NamedTuple):
    """One trained dictionary and its measures on examples that it was not trained on; none has a unit."""

    family: str
    active: float | None  # of the level
    weight: float | None  # of the penalty: that of the level, or the last one of a weight that was adapted
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


class Family(NamedTuple):
    """A family of dictionaries."""

    build: Callable[[int, Any, Training, float], Autoencoder]  # (D, k or a schedule, training, mean norm of examples)
    first_weight: Callable[[float], float] | None
    """(Mean norm of examples) -> where a weight begins that is adapted; None for a family that keeps k units."""


def _prefixes(units: int) -> tuple[int, ...]:
    """Returns prefixes of a 32nd, an 8th and a half of the units."""
    return tuple(sorted({max(1, units // part) for part in (32, 8, 2)}))


def _dead_after(training: Training) -> int:
    """Returns the examples of a twentieth of the training: units that are silent for longer learn what others leave."""
    return max(1, training.steps * training.batch_size // 20)


FAMILIES: dict[str, Family] = {
    "l1_dictionary": Family(
        lambda d, weight, training, _: l1_dictionary(d, training.units, weight=weight), lambda norm: 0.1 * norm
    ),
    "top_k": Family(
        lambda d, k, training, _: top_k(d, training.units, k=round(k), dead_after=_dead_after(training)), None
    ),
    "batch_top_k": Family(
        lambda d, k, training, _: batch_top_k(d, training.units, k=k, dead_after=_dead_after(training)), None
    ),
    "matryoshka": Family(
        lambda d, k, training, _: matryoshka(
            d, training.units, k=k, prefixes=_prefixes(training.units), dead_after=_dead_after(training)
        ),
        None,
    ),
    "jump_relu": Family(
        lambda d, weight, training, norm: jump_relu(
            d, training.units, weight=weight, bandwidth=0.08 * norm, start_threshold=0.08 * norm
        ),
        lambda norm: 0.003 * norm**2,
    ),
    "gated": Family(lambda d, weight, training, _: gated(d, training.units, weight=weight), lambda norm: 0.3 * norm),
}

OnSteps = Callable[[int, Metrics], None]  # (number of steps done, metrics of the last one) -> nothing


class Trained(NamedTuple):
    """A dictionary after its training."""

    autoencoder: Autoencoder
    params: PyTree
    weight: float | None  # of the penalty at the end; None for a family without one


def train_on_mixtures(
    family: str,
    level: Level,
    model: FeatureModel,
    setting: FeatureSetting,
    training: Training,
    *,
    seed: int,
    on_steps: OnSteps | None = None,
) -> Trained:
    """Returns a dictionary after training on new examples at every step, generated where they are used.

    A weight rises over the first twentieth of the steps. One that is adapted is then multiplied, every 100 steps or
    more often, by a power of (active units)/(those that shall be).

    Args:
      family: of `FAMILIES`.
      level: how sparse the codes shall be.
      model: the generator.
      setting: its setting.
      training: steps, batch size and learning rate; Adam, whose rate falls to 0 over the last fifth.
      seed: of the parameters and the examples.
      on_steps: called after every 100 steps, or more often, and after the last.

    Raises:
      ValueError: there is no family of that name, the level does not suit it, or its constructor refuses it.
    """
    _check(family, level)
    norm = _mean_norm(model, setting)
    first_weight = FAMILIES[family].first_weight
    k, weight = (level.active, None) if first_weight is None else (None, level.weight)
    is_adapted = first_weight is not None and weight is None
    if first_weight is not None and weight is None:
        weight = first_weight(norm)
    build, take = _compiled(family, k, setting, training, norm)
    autoencoder = build(weight)
    key = jax.random.key(seed)
    state = create_state(autoencoder, _optimizer(training), key, jnp.zeros(setting.dimensions))
    data_keys = named_key(key, "mixtures")[None]  # one for the only device
    state, model = replicate((state, model), jax.devices()[:1])  # as `take` returns them, so that it is compiled once
    each = max(1, min(_STEPS_PER_CALL, training.steps // _CALLS))
    rate = _ADAPTION * each / training.steps
    for done in range(0, training.steps, each):
        number = min(each, training.steps - done)
        state, metrics = take(state, model, data_keys, np.int32(number), np.float32(weight or 0))
        if is_adapted and done >= _WARM_UP * training.steps:
            assert weight is not None
            assert level.active is not None
            error = math.log(max(float(metrics["l0"]), 1e-3) / level.active)
            weight *= math.exp(rate * max(-1, min(error, 1)))
        if on_steps is not None:
            on_steps(done + number, metrics)
    return Trained(autoencoder, state.params, weight)


@kept
def _compiled(
    family: str, k: float | None, setting: FeatureSetting, training: Training, norm: float
) -> tuple[Callable[[ArrayLike | None], Autoencoder], Callable[..., tuple[TrainState, Metrics]]]:
    """Returns a function of a weight that makes the autoencoder, and a compiled one that trains it for some steps."""
    optimizer = _optimizer(training)

    def build(weight: ArrayLike | None) -> Autoencoder:
        steps = max(1, round(_WARM_UP * training.steps))
        of_level = k if weight is None else linear_warm_up(steps, end=weight)
        return FAMILIES[family].build(setting.dimensions, of_level, training, norm)

    def steps(
        state: TrainState, model: FeatureModel, data_key: Array, number: Array, weight: Array
    ) -> tuple[TrainState, Metrics]:
        autoencoder = build(None if k is not None else weight)

        def step(state: TrainState) -> tuple[TrainState, Metrics]:
            keys = jax.random.split(jax.random.fold_in(data_key, state.step), training.batch_size)
            return train_step(autoencoder, optimizer, state, jax.vmap(lambda key: sample_x(model, key, setting))(keys))

        before = jax.tree.map(lambda one: jnp.zeros(one.shape, one.dtype), jax.eval_shape(step, state)[1])
        return lax.fori_loop(0, number, lambda _, after: step(after[0]), (state, before))

    in_axes = (None, None, 0, None, None)
    device = jax.devices()[:1]
    return build, jax.pmap(steps, AXIS, in_axes=in_axes, out_axes=(None, None), devices=device, donate_argnums=0)


def _optimizer(training: Training) -> optax.GradientTransformation:
    falls = max(1, training.steps // 5)
    rate = optax.join_schedules(
        [optax.constant_schedule(training.learning_rate), optax.linear_schedule(training.learning_rate, 0.0, falls)],
        [training.steps - falls],
    )
    return optax.adam(rate)


def _check(family: str, level: Level) -> None:
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}")
    if (level.active is None) == (level.weight is None):
        raise ValueError(f"expected a level with either active units or a weight, got {level}")
    if FAMILIES[family].first_weight is None and level.active is None:
        raise ValueError(f"{family} has no penalty: expected a number of active units, got {level}")
    if not (level.active is None or level.active > 0):
        raise ValueError(f"active must be above 0, got {level.active:g}")


def _mean_norm(model: FeatureModel, setting: FeatureSetting) -> float:
    """Returns the root of the mean squared norm of examples without their bias, by 1,024 of them."""
    keys = jax.random.split(named_key(jax.random.key(0), "norm of mixtures"), 1024)
    x = jax.jit(jax.vmap(lambda key: sample_x(model, key, setting)))(keys)
    return float(jnp.sqrt(jnp.mean(jnp.sum(jnp.square(x - model.bias[None]), axis=1))))


def measure(
    autoencoder: Autoencoder, params: PyTree, model: FeatureModel, setting: FeatureSetting, *, examples: int
) -> dict[str, float]:
    """Returns the measures of `Trial` on new examples, the same for every dictionary.

    Args:
      autoencoder: the dictionary.
      params: its parameters.
      model: the generator.
      setting: its setting.
      examples: the number of examples.
    """
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
    family: str,
    level: Level,
    model: FeatureModel,
    setting: FeatureSetting,
    training: Training,
    *,
    seed: int,
    on_steps: OnSteps | None = None,
) -> Trial:
    """Trains one dictionary and measures it.

    Args:
      family: of `FAMILIES`.
      level: how sparse its codes shall be.
      model: the generator.
      setting: its setting.
      training: how it is trained.
      seed: of its parameters and examples.
      on_steps: as for `train_on_mixtures`.

    Raises:
      ValueError: as for `train_on_mixtures`.
    """
    autoencoder, params, weight = train_on_mixtures(
        family, level, model, setting, training, seed=seed, on_steps=on_steps
    )
    measures = measure(autoencoder, params, model, setting, examples=training.examples)
    return Trial(family, level.active, weight, seed, **measures)


def summarize(trials: Sequence[Trial]) -> dict[tuple[str, Level], dict[str, tuple[float, float]]]:
    """Returns mean and standard deviation over seeds of every measure, by family and level; NaN for one seed.

    >>> trial = Trial("top_k", 5.0, None, 0, *(1.0,) * 10)
    >>> summarize([trial, trial._replace(seed=1, f1=0.5)])["top_k", Level(5.0)]["f1"]
    (0.75, 0.3535533905932738)
    """
    groups: dict[tuple[str, Level], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.family, level_of(trial)), []).append(trial)
    names = Trial._fields[4:]
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


def level_of(trial: Trial) -> Level:
    """Returns the level that was asked for.

    >>> level_of(Trial("gated", 5.0, 0.32, 0, *(1.0,) * 10))
    Level(active=5.0, weight=None)
    """
    return Level(weight=trial.weight) if trial.active is None else Level(trial.active)

"""The generator: x = Σ c_r g_r + b, with known unit features g and sparse coefficients c; one example is one key.

Few random numbers are drawn. Trees are sampled from the root downwards: children of a feature exclude one another, so
at most one feature of a level is active, and the probability of each is a closed form. Where many features outside
trees are rare, the active ones are the points of a Poisson process. Both give exactly the distribution of drawing every
feature and discarding those without a parent.
"""

import itertools
import math
import operator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Float, Key
from scipy.special import ndtri as exact_ndtri

from aejax.datasets.synthetic_features.orthogonal import orthogonalized
from aejax.datasets.synthetic_features.rates import (
    base_probabilities,
    expected_rates,
    firing_probabilities,
    levels_of,
    means_of,
)
from aejax.datasets.synthetic_features.setting import FeatureSetting, NormalMagnitudes, check_setting
from aejax.keys import named_key

_RARE, _MANY = 0.02, 1024  # this many features below this probability are drawn as points of a Poisson process
_BLOCK = 64  # features whose intensities are summed, to find the feature of a point in two steps
_UNROLLED = 8  # features that are added in one fused loop


class FeatureModel(NamedTuple):
    """The arrays of a generator, on the device; `sample` draws examples from it."""

    features: Float[Array, "G D"]  # g, unit vectors: the true dictionary
    bias: Float[Array, "D"]  # b
    thresholds: Float[Array, "G"]  # Φ⁻¹(1 - q)/√(1 - ‖a‖²), with the probability q of firing
    factors: Float[Array, "G k"]  # a/√(1 - ‖a‖²), of the copula: a feature fires if factors·z + ε > threshold
    means: Float[Array, "G"]  # of magnitudes
    spreads: Float[Array, "G"]  # standard deviations of magnitudes; not used for uniform ones
    positive: Float[Array, "G"]  # the probabilities that magnitudes are above 0


class Example(NamedTuple):
    """One example and what it is made of."""

    x: Float[Array, "D"]
    coefficients: Float[Array, "G"]  # c, most of them 0


class _Active(NamedTuple):
    """Features that may be active, and their coefficients; 0 where they are not."""

    features: Array
    coefficients: Array


def make_feature_model(key: Key[Array, ""], setting: FeatureSetting) -> FeatureModel:
    """Returns the generator of a setting; the key draws directions, bias, copula and spreads of magnitudes.

    Args:
      key: a random key; the same key always makes the same generator.
      setting: the knobs, such as `SETTINGS["small"]`.

    Raises:
      ArgumentError: a knob is out of range.

    >>> from aejax.datasets.synthetic_features.setting import FeatureSetting
    >>> setting = FeatureSetting(features=6, dimensions=4, orthogonal_steps=0)
    >>> model = jax.eval_shape(lambda key: make_feature_model(key, setting), jax.random.key(0))
    >>> model.features.shape, model.thresholds.shape
    ((6, 4), (6,))
    """
    check_setting(setting)
    number, dimensions, rank = setting.features, setting.dimensions, setting.correlation_rank
    features = jax.random.normal(named_key(key, "features"), (number, dimensions))
    orthogonal = partial(orthogonalized, steps=setting.orthogonal_steps, learning_rate=setting.orthogonal_learning_rate)
    direction = jax.random.normal(named_key(key, "bias"), (dimensions,))
    factors = setting.correlation_scale * jax.random.normal(named_key(key, "correlation"), (number, rank))
    largest = jnp.max(jnp.sum(jnp.square(factors), axis=1), initial=0)
    factors = factors * jnp.where(largest >= 1, jnp.sqrt(0.99 / jnp.maximum(largest, 1)), 1)
    residuals = jnp.sqrt(1 - jnp.sum(jnp.square(factors), axis=1))
    spreads, magnitudes = jnp.zeros(number), setting.magnitudes
    means = jnp.asarray(means_of(setting), jnp.float32)
    if isinstance(magnitudes, NormalMagnitudes):
        noise = jax.random.normal(named_key(key, "spreads"), (number,))
        spreads = jnp.abs(magnitudes.spread_mean + magnitudes.spread_deviation * noise)
    return FeatureModel(
        jax.jit(orthogonal)(features),
        bias=setting.bias_norm * direction / jnp.linalg.norm(direction),
        thresholds=jnp.asarray(-exact_ndtri(firing_probabilities(setting)), jnp.float32) / residuals,
        factors=factors / residuals[:, None],
        means=means,
        spreads=spreads,
        positive=ndtr(means / jnp.maximum(spreads, 1e-12)),
    )


def sample(model: FeatureModel, key: Key[Array, ""], setting: FeatureSetting) -> Example:
    """Returns one example and its coefficients; vmap over keys for a batch.

    Args:
      model: from `make_feature_model`.
      key: a random key, not used elsewhere.
      setting: the setting that the model was made with.

    >>> setting = FeatureSetting(features=6, dimensions=4, orthogonal_steps=0)
    >>> model = jax.eval_shape(lambda key: make_feature_model(key, setting), jax.random.key(0))
    >>> draw = jax.vmap(lambda model, key: sample(model, key, setting), in_axes=(None, 0))
    >>> batch = jax.eval_shape(draw, model, jax.random.split(jax.random.key(1), 5))
    >>> batch.x.shape, batch.coefficients.shape
    ((5, 4), (5, 6))
    """

    def add(example: Example, active: _Active) -> Example:
        x, coefficients = example
        return Example(_add_mixture(x, model, active), coefficients.at[active.features].add(active.coefficients))

    start = Example(model.bias, jnp.zeros(len(model.features)))
    return _generate(model, key, setting, add, start)


def sample_x(model: FeatureModel, key: Key[Array, ""], setting: FeatureSetting) -> Float[Array, "D"]:
    """Returns x of `sample`, without the cost of its dense coefficients: for training.

    Args:
      model: from `make_feature_model`.
      key: a random key, not used elsewhere.
      setting: the setting that the model was made with.

    >>> setting = FeatureSetting(features=6, dimensions=4, orthogonal_steps=0)
    >>> model = jax.eval_shape(lambda key: make_feature_model(key, setting), jax.random.key(0))
    >>> jax.eval_shape(lambda model, key: sample_x(model, key, setting), model, jax.random.key(1)).shape
    (4,)
    """
    return _generate(model, key, setting, lambda x, active: _add_mixture(x, model, active), model.bias)


def _generate(model: FeatureModel, key: Array, setting: FeatureSetting, add: Any, start: Any) -> Any:
    """Returns `start` to which `add` has added all active features, a few at a time."""
    shared = jax.random.normal(named_key(key, "shared"), (model.factors.shape[1],))
    frequent, rare = _ranges(setting)
    result = start
    if setting.hierarchy is not None:
        result = _add_trees(model, named_key(key, "trees"), setting, shared, add, result)
    if len(frequent):
        result = _add_frequent(model, named_key(key, "frequent"), setting, shared, frequent, add, result)
    if len(rare):
        result = _add_rare(model, named_key(key, "rare"), setting, shared, rare, add, result)
    return result


def _ranges(setting: FeatureSetting) -> tuple[range, range]:
    """Returns the features outside trees that are drawn one by one, and those that are points of a process."""
    first = 0 if setting.hierarchy is None else setting.hierarchy.features
    frequent = int(np.sum(base_probabilities(setting)[first:] >= _RARE))  # probabilities decrease
    if setting.features - first - frequent < _MANY:
        frequent = setting.features - first
    return range(first, first + frequent), range(first + frequent, setting.features)


def _add_trees(model: FeatureModel, key: Array, setting: FeatureSetting, shared: Array, add: Any, start: Any) -> Any:
    """Adds the active features of trees: of every tree whose root fires, at most one of each level."""
    trees = setting.hierarchy
    assert trees is not None
    (_, roots), *levels = levels_of(trees)
    count = min(_usual_number(expected_rates(setting)[:roots]), roots)
    fires = jax.random.uniform(named_key(key, "roots"), (roots,)) < _probabilities(model, shared, jnp.arange(roots))

    def add_some(state: tuple[Any, Array, Array]) -> tuple[Any, Array, Array]:
        result, left, turn = state
        own_key = jax.random.fold_in(key, turn)
        shape = (len(levels) + 1, count)
        lots, sizes = (jax.random.uniform(named_key(own_key, name), shape) for name in ("fires", "magnitudes"))
        exists, place = jax.lax.top_k(left, count)
        value = jnp.where(exists > 0, _magnitudes(model, setting, sizes[0], place), 0)
        active = [_Active(place, value)]
        for level, (first, _) in enumerate(levels, 1):
            parent, parent_value = active[-1]
            children = [trees.branching * place + j for j in range(trees.branching)]  # their places in the level
            ends = itertools.accumulate(_exclusive([_probabilities(model, shared, first + each) for each in children]))
            chosen = sum(jnp.where(lots[level] >= end, 1, 0) for end in ends)  # all of them if no child fires
            place = trees.branching * place + jnp.minimum(chosen, trees.branching - 1)
            value = _magnitudes(model, setting, sizes[level], first + place)
            if trees.scaled:
                value = value * parent_value / jnp.maximum(model.means[parent], 1e-12)
            stays = (chosen < trees.branching) & (parent_value > 0)
            active.append(_Active(first + place, jnp.where(stays, value, 0)))
        found = _Active(*(jnp.concatenate(parts) for parts in zip(*active, strict=True)))
        return add(result, found), left.at[active[0].features].set(0), turn + 1

    return jax.lax.while_loop(
        lambda state: jnp.max(state[1]) > 0, add_some, (start, jnp.where(fires, 1.0, 0.0), jnp.array(0))
    )[0]


def _exclusive(probabilities: list[Array]) -> list[Array]:
    """Returns the probabilities of each of b siblings to be the one that stays: q_j E[1/(1 + N_j)].

    N_j is the number of other siblings that fire, and E[1/(1 + N_j)] = ∫₀¹ Π_{k≠j} (1 - q_k s) ds, a polynomial that
    Gauss's quadrature with b/2 nodes integrates exactly.
    """
    nodes, weights = np.polynomial.legendre.leggauss((len(probabilities) + 1) // 2)
    kept = [jnp.zeros_like(q) for q in probabilities]
    for node, weight in zip(((nodes + 1) / 2).tolist(), (weights / 2).tolist(), strict=True):
        factors = [1 - node * q for q in probabilities]
        before = itertools.accumulate(factors[:-1], operator.mul, initial=jnp.full_like(kept[0], weight))
        after = [*itertools.accumulate(factors[:0:-1], operator.mul, initial=jnp.ones_like(kept[0]))][::-1]
        kept = [sum_ + one * other for sum_, one, other in zip(kept, before, after, strict=True)]
    return [q * mean for q, mean in zip(probabilities, kept, strict=True)]


def _add_frequent(
    model: FeatureModel, key: Array, setting: FeatureSetting, shared: Array, which: range, add: Any, start: Any
) -> Any:
    """Adds features outside trees that are drawn one by one."""
    features = jnp.arange(which.start, which.stop)
    lots, sizes = (jax.random.uniform(named_key(key, name), features.shape) for name in ("fires", "magnitudes"))
    fires = lots < _probabilities(model, shared, features)
    values = jnp.where(fires, _magnitudes(model, setting, sizes, features), 0)
    count = min(_usual_number(expected_rates(setting)[which.start : which.stop]), len(which))

    def add_largest(state: tuple[Any, Array]) -> tuple[Any, Array]:
        result, left = state
        largest, places = jax.lax.top_k(left, count)
        return add(result, _Active(which.start + places, largest)), left.at[places].set(0)

    return jax.lax.while_loop(lambda state: jnp.max(state[1]) > 0, add_largest, (start, values))[0]


def _add_rare(
    model: FeatureModel, key: Array, setting: FeatureSetting, shared: Array, which: range, add: Any, start: Any
) -> Any:
    """Adds rare features: those with a point of a process of intensity λ_r = -log(1 - π_r) on a line of length Σ λ_r.

    Points come in increasing order, so that points on the same feature follow each other; the first one counts.
    """
    probabilities = _probabilities(model, shared, jnp.arange(which.start, which.stop))
    intensities = -jnp.log1p(-jnp.minimum(probabilities, 1 - 2**-24))
    blocks = jnp.pad(intensities, (0, -len(which) % _BLOCK)).reshape(-1, _BLOCK)
    ends = _running_sums(jnp.sum(blocks, axis=1))
    starts = jnp.concatenate([jnp.zeros(1), ends[:-1]])
    count = _usual_number(expected_rates(setting)[which.start :])

    def add_points(state: tuple[Any, Array, Array, Array]) -> tuple[Any, Array, Array, Array]:
        result, end, previous, turn = state
        own_key = jax.random.fold_in(key, turn)
        points = end + jnp.cumsum(jax.random.exponential(named_key(own_key, "points"), (count,)))
        block = jnp.minimum(jnp.sum(points[:, None] >= ends[None], axis=1), len(blocks) - 1)
        inside = (points - starts[block])[:, None] >= _running_sums(blocks[block])
        place = _BLOCK * block + jnp.minimum(jnp.sum(inside, axis=1), _BLOCK - 1)
        place = jnp.minimum(place, len(which) - 1)
        is_new = place != jnp.concatenate([previous[None], place[:-1]])
        features = which.start + place
        lots = jax.random.uniform(named_key(own_key, "magnitudes"), (count,))
        values = jnp.where((points < ends[-1]) & is_new, _magnitudes(model, setting, lots, features), 0)
        return add(result, _Active(features, values)), points[-1], place[-1], turn + 1

    state = (start, jnp.zeros(()), jnp.array(-1), jnp.array(0))
    return jax.lax.while_loop(lambda state: state[1] < ends[-1], add_points, state)[0]


def _running_sums(x: Array) -> Array:
    """Returns cumulative sums over the last axis, as a product: faster than `cumsum` for short axes."""
    return jnp.matmul(x, jnp.triu(jnp.ones((x.shape[-1], x.shape[-1]))), precision="highest")


def _probabilities(model: FeatureModel, shared: Array, features: Array) -> Array:
    """Returns π: the probabilities to fire with a magnitude above 0, given the shared part of the copula."""
    return ndtr(model.factors[features] @ shared - model.thresholds[features]) * model.positive[features]


def _magnitudes(model: FeatureModel, setting: FeatureSetting, lots: Array, features: Array) -> Array:
    """Returns the magnitudes, given that they are above 0, as quantiles of uniform lots in [0, 1)."""
    magnitudes = setting.magnitudes
    if not isinstance(magnitudes, NormalMagnitudes):
        return magnitudes.low + (magnitudes.high - magnitudes.low) * lots
    quantiles = ndtri((1 - lots) * model.positive[features])
    return jnp.maximum(model.means[features] - model.spreads[features] * quantiles, 0)


def _add_mixture(x: Array, model: FeatureModel, active: _Active) -> Array:
    """Returns x + Σ c_r g_r, a few features in one fused loop; on a GPU, all at once took a quarter longer."""
    padding = -len(active.features) % _UNROLLED
    groups = tuple(jnp.pad(each, (0, padding)).reshape(-1, _UNROLLED) for each in active)

    def add(x: Array, group: tuple[Array, ...]) -> tuple[Array, None]:
        features, coefficients = group
        return sum((coefficients[i] * model.features[features[i]] for i in range(_UNROLLED)), x), None

    return jax.lax.scan(add, x, groups)[0]


def _usual_number(rates: np.ndarray) -> int:
    """Returns a multiple of 8 of active features that few examples exceed."""
    if not len(rates):
        return 0
    return max(8, 8 * math.ceil((rates.sum() + 4 * np.sqrt(np.sum(rates * (1 - rates)))) / 8))

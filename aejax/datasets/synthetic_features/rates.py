"""Firing probabilities of features, and the rates at which features are active, in closed form."""

import itertools

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from aejax.datasets.synthetic_features.setting import FeatureSetting, Hierarchy, NormalMagnitudes, Zipf


def base_probabilities(setting: FeatureSetting) -> Float[np.ndarray, "G"]:
    """Returns p_r for r = 1, ..., G, as `Zipf` and `Geometric` define them.

    >>> from aejax.datasets.synthetic_features.setting import SETTINGS
    >>> base_probabilities(SETTINGS["synth_sae_bench_16k"])[[0, -1]].round(6).tolist()
    [0.4, 0.0005]
    >>> float(base_probabilities(SETTINGS["small"]).sum().round(6))
    5.0
    """
    ranks = np.arange(1, setting.features + 1, dtype=np.float64)
    firing = setting.probabilities
    if isinstance(firing, Zipf):
        powers = ranks**-firing.exponent
        span = max(1 - powers[-1], 1e-300)
        return np.where(ranks == 1, firing.high, firing.low + (firing.high - firing.low) * (powers - powers[-1]) / span)
    weights = firing.ratio**ranks
    probabilities = np.zeros_like(weights)
    free = np.ones(len(ranks), bool)
    while free.any():  # where a probability would exceed 1, it is 1, and the others share the rest
        rest = firing.active - (~free).sum()
        probabilities = np.where(free, weights * rest / weights[free].sum(), 1.0)
        if not (above := free & (probabilities > 1)).any():
            break
        free &= ~above
    return np.minimum(probabilities, 1)


def levels_of(hierarchy: Hierarchy) -> list[tuple[int, int]]:
    """Returns the first feature of every level and the number of its features, roots first.

    >>> levels_of(Hierarchy(roots=2, branching=3, depth=2))
    [(0, 2), (2, 6), (8, 18)]
    """
    sizes = [hierarchy.roots * hierarchy.branching**level for level in range(hierarchy.depth + 1)]
    return list(zip(np.cumsum([0, *sizes[:-1]]).tolist(), sizes, strict=True))


def firing_probabilities(setting: FeatureSetting) -> Float[np.ndarray, "G"]:
    """Returns the probability with which each feature fires before trees are applied: q of `Hierarchy` in trees.

    >>> from aejax.datasets.synthetic_features.setting import FeatureSetting, Geometric
    >>> trees = Hierarchy(roots=1, branching=2, depth=1)
    >>> firing_probabilities(FeatureSetting(3, 2, Geometric(0.5, active=0.7), hierarchy=trees)).round(3).tolist()
    [0.4, 0.625, 0.375]
    """
    base = base_probabilities(setting)
    probabilities, trees = base.copy(), setting.hierarchy
    if trees is None or not trees.compensated:
        return probabilities
    levels = levels_of(trees)
    for (start, size), (child_start, child_size) in itertools.pairwise(levels):
        parents = base[start : start + size, None]
        children = base[child_start : child_start + child_size].reshape(size, trees.branching)
        with np.errstate(divide="ignore", invalid="ignore"):
            conditional = children / parents
            competitors = conditional.sum(axis=1, keepdims=True) - conditional
            corrected = np.nan_to_num(np.minimum(conditional * (1 + competitors), 1))
        probabilities[child_start : child_start + child_size] = corrected.reshape(-1)
    return probabilities


def expected_rates(setting: FeatureSetting, spreads: Float[np.ndarray, "G"] | None = None) -> Float[np.ndarray, "G"]:
    """Returns the probability that each feature is active in an example; their sum is the true L0.

    Without a copula it is exact: a child's rate is its parent's times q E[1/(1 + N)], where N is the number of siblings
    that fire too. A copula changes the rates of children, but not those of the other features.

    Args:
      setting: the setting.
      spreads: (G,) standard deviations of magnitudes, since a magnitude of 0 or less is inactive; None neglects that.

    Source: of the setting: D. Chanin, A. Garriga-Alonso (2026), SynthSAEBench, which reports an L0 of about 34, and of
    about 25 for the first 4,096 features.

    >>> from aejax.datasets.synthetic_features.setting import SETTINGS
    >>> rates = expected_rates(SETTINGS["synth_sae_bench_16k"])
    >>> float(rates.sum().round(2)), float(rates[:4096].sum().round(2))
    (34.5, 25.17)
    """
    firing = firing_probabilities(setting)
    if spreads is not None and isinstance(setting.magnitudes, NormalMagnitudes):
        firing = firing * ndtr(means_of(setting) / np.maximum(spreads, 1e-12))
    rates, trees = firing.copy(), setting.hierarchy
    if trees is None:
        return rates
    levels = levels_of(trees)
    for (start, size), (child_start, child_size) in itertools.pairwise(levels):
        children = firing[child_start : child_start + child_size].reshape(size, trees.branching)
        kept = np.stack([_kept(np.delete(children, j, axis=1)) for j in range(trees.branching)], axis=1)
        rates[child_start : child_start + child_size] = (rates[start : start + size, None] * children * kept).reshape(
            -1
        )
    return rates


def _kept(others: np.ndarray) -> np.ndarray:
    """Returns E[1/(1 + N)], N the number of successes of independent trials with probabilities `others` (n, trials)."""
    counts = np.ones((len(others), 1))  # the distribution of N, one trial after the other
    for q in others.T[..., None]:
        counts = np.pad(counts * (1 - q), ((0, 0), (0, 1))) + np.pad(counts * q, ((0, 0), (1, 0)))
    return counts @ (1 / np.arange(1, counts.shape[1] + 1))


def means_of(setting: FeatureSetting) -> Float[np.ndarray, "G"]:
    """Returns the mean of each feature's magnitude, before what is below 0 is cut off.

    >>> from aejax.datasets.synthetic_features.setting import SETTINGS
    >>> means_of(SETTINGS["synth_sae_bench_16k"])[[0, -1]].tolist()
    [5.0, 4.0]
    """
    magnitudes = setting.magnitudes
    if isinstance(magnitudes, NormalMagnitudes):
        return np.linspace(magnitudes.first_mean, magnitudes.last_mean, setting.features)
    return np.full(setting.features, (magnitudes.low + magnitudes.high) / 2)

"""How well the units of a dictionary match known features: cosines, Hungarian matching, uniqueness."""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from aejax.checks import as_floats


class FeatureMatch(NamedTuple):
    """How the F units of a dictionary match G known features; cosines have no unit."""

    mean_matched_cosine: float  # MCC: mean |cos| of pairs, each unit and feature in at most one
    mean_max_cosine_of_features: float  # MMCS: mean over FEATURES of the largest cosine with a unit
    mean_max_cosine_of_units: float  # the other direction: mean over UNITS of the largest cosine with a feature
    uniqueness: float  # distinct best-matching features / units
    best_feature: Int[np.ndarray, "F"]  # of each unit, by |cos|


def cosine_similarities(units: ArrayLike, features: ArrayLike) -> Float[np.ndarray, "F G"]:
    """Returns the cosine of every unit with every feature; 0 where a vector is 0.

    Args:
      units: (F, D) one vector per row, such as a decoder's weights.
      features: (G, D) one vector per row.

    Returns:
      Float64, or float32 if both arrays are.

    Raises:
      TypeError: an array does not hold real numbers.
      ValueError: shapes do not match, or a number is not finite.

    >>> cosine_similarities(np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([[3.0, 3.0]])).round(4).tolist()
    [[0.7071], [0.0]]
    """
    rows = {name: as_floats(name, array) for name, array in (("units", units), ("features", features))}
    shapes = [array.shape for array in rows.values()]
    if any(len(shape) != 2 or 0 in shape for shape in shapes) or shapes[0][1] != shapes[1][1]:
        raise ValueError(f"units and features must have shapes (F, D) and (G, D), got {shapes[0]} and {shapes[1]}")
    unit_rows, feature_rows = (_normalized(array) for array in rows.values())
    return unit_rows @ feature_rows.T


def _normalized(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return (rows / np.where(norms > 0, norms, 1)).astype(rows.dtype)


def mean_max_cosine_similarity(vectors: ArrayLike, others: ArrayLike) -> float:
    """Returns the mean over `vectors` of the largest cosine with one of `others`: MMCS.

    It has a direction. With the true features as `vectors` and the dictionary as `others`, it reports which features
    were found; the other way round, which units are features.

    Args:
      vectors: (G, D), which the mean is over.
      others: (F, D), among which the largest cosine is searched.

    Source: L. Sharkey, D. Braun, B. Millidge (2022), Taking Features out of Superposition with Sparse Autoencoders.

    >>> truth = np.eye(2)
    >>> mean_max_cosine_similarity(truth, truth[:1]), mean_max_cosine_similarity(truth[:1], truth)
    (0.5, 1.0)
    """
    return float(cosine_similarities(vectors, others).max(axis=1).mean(dtype=np.float64))


def mean_matched_cosine(units: ArrayLike, features: ArrayLike) -> float:
    """Returns the mean |cos| over the best one-to-one matching of units and features: MCC.

        MCC = max over matchings M of (1/|M|) Σ_{(i, j) ∈ M} |cos(dᵢ, gⱼ)|,  |M| = min(F, G)

    Args:
      units: (F, D), such as a decoder's weights.
      features: (G, D).

    Source: X. Song et al. (2025), Mechanistic Interpretability Should Prioritize Feature Consistency in SAEs;
    the matching by H. W. Kuhn (1955), The Hungarian Method for the Assignment Problem.

    >>> mean_matched_cosine(-np.eye(3)[[2, 0, 1]], np.eye(3))
    1.0
    """
    return _matched(np.abs(cosine_similarities(units, features)))


def uniqueness(units: ArrayLike, features: ArrayLike) -> float:
    """Returns the number of distinct features that are a unit's best match by |cos|, divided by the number of units.

    Best matches may coincide, which is what is counted; pairs of a one-to-one matching never do.

    Args:
      units: (F, D), such as a decoder's weights.
      features: (G, D).

    Source: D. Chanin, A. Garriga-Alonso (2026), SynthSAEBench, section on metrics.

    >>> uniqueness(np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0], [0.0, -3.0]]), np.eye(2))
    0.5
    """
    return _uniqueness(np.abs(cosine_similarities(units, features)).argmax(axis=1))


def match_features(units: ArrayLike, features: ArrayLike) -> FeatureMatch:
    """Returns all measures of the match, from one matrix of cosines.

    Args:
      units: (F, D), such as a decoder's weights.
      features: (G, D).

    >>> match = match_features(np.eye(3)[:2], np.eye(3))
    >>> match.mean_matched_cosine, round(match.mean_max_cosine_of_features, 4), match.uniqueness
    (1.0, 0.6667, 1.0)
    """
    cosines = cosine_similarities(units, features)
    of_features, of_units = (float(cosines.max(axis=axis).mean(dtype=np.float64)) for axis in (0, 1))
    magnitudes = np.abs(cosines, out=cosines)
    best = magnitudes.argmax(axis=1)
    return FeatureMatch(_matched(magnitudes), of_features, of_units, _uniqueness(best), best)


def _matched(magnitudes: np.ndarray) -> float:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(magnitudes, maximize=True)
    return float(magnitudes[rows, columns].mean(dtype=np.float64))


def _uniqueness(best: np.ndarray) -> float:
    return len(np.unique(best)) / len(best)

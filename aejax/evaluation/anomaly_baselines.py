"""Baselines of anomaly detection that train no network: PCA, Mahalanobis distance, norm, isolation forest."""

import numpy as np
from jaxtyping import Float, Shaped

from aejax.checks import as_float64, check_count
from aejax.evaluation.principal import fit_pca


def pca_scores(
    train: Shaped[np.ndarray, "M ..."], x: Shaped[np.ndarray, "N ..."], *, components: int
) -> Float[np.ndarray, "N"]:
    """Returns the squared distance of each example from the principal subspace of the training examples.

    Args:
      train: training examples.
      x: examples to score.
      components: the dimension of the subspace, at least 1; reduced to the smaller size of `train` if larger.

    Raises:
      TypeError: the examples are not numbers, or `components` is not an integer.
      ValueError: shapes do not match, values are NaN or infinite, or `components` is below 1.
    """
    check_count("components", components)
    flat, examples = _flat_pair(train, x)
    analysis = fit_pca(flat, min(components, *flat.shape), svd_solver="auto", random_state=0)
    return np.sum(np.square(examples - analysis.inverse_transform(analysis.transform(examples))), axis=1)


def isolation_forest_scores(
    train: Shaped[np.ndarray, "M ..."], x: Shaped[np.ndarray, "N ..."], *, seed: int
) -> Float[np.ndarray, "N"]:
    """Returns scores of examples by an isolation forest of 100 trees, higher for anomalies.

    Args:
      train: training examples.
      x: examples to score.
      seed: of the forest.

    Raises:
      TypeError: the examples are not numbers.
      ValueError: shapes do not match, or values are NaN or infinite.

    Source: F. T. Liu, K. M. Ting, Z.-H. Zhou (2008), Isolation Forest.
    """
    from sklearn.ensemble import IsolationForest

    flat, examples = _flat_pair(train, x)
    return -IsolationForest(random_state=seed).fit(flat).score_samples(examples)


def mahalanobis_scores(train: Shaped[np.ndarray, "M ..."], x: Shaped[np.ndarray, "N ..."]) -> Float[np.ndarray, "N"]:
    """Returns the squared Mahalanobis distance of each example from the mean of the training examples.

        (x - m)ᵀ Σ⁺ (x - m)

    m and Σ are mean and covariance of the training examples. Σ⁺ is the pseudoinverse: directions in which the training
    examples do not vary are not counted.

    Args:
      train: training examples.
      x: examples to score.

    Raises:
      TypeError: the examples are not numbers.
      ValueError: shapes do not match, or values are NaN or infinite.

    Source: P. C. Mahalanobis (1936), On the Generalised Distance in Statistics.

    >>> train = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, -2.0], [0.0, 2.0]])
    >>> mahalanobis_scores(train, np.array([[1.0, 0.0], [0.0, 2.0], [2.0, 4.0]])).round(6).tolist()
    [2.0, 2.0, 16.0]
    """
    from sklearn.covariance import EmpiricalCovariance

    flat, examples = _flat_pair(train, x)
    return EmpiricalCovariance().fit(flat).mahalanobis(examples)


def norm_scores(x: Shaped[np.ndarray, "N ..."]) -> Float[np.ndarray, "N"]:
    """Returns the squared norm of each example; on standardized rows, the squared distance from the training mean.

    Args:
      x: examples to score.

    Raises:
      TypeError: the examples are not numbers.
      ValueError: there is no axis of features, or values are NaN or infinite.

    >>> norm_scores(np.array([[3.0, 4.0], [0.0, 1.0]])).tolist()
    [25.0, 1.0]
    """
    _, examples = _flat_pair(x, x)
    return np.sum(np.square(examples), axis=1)


def _flat_pair(train: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns training examples and examples to score, each flattened to rows of float64."""
    known, examples = as_float64("train", train), as_float64("x", x)
    if known.shape[1:] != examples.shape[1:] or known.ndim < 2:
        raise ValueError(
            f"train and x must have shape (examples, features...) with equal features, got {known.shape} and "
            f"{examples.shape}"
        )
    for name, array in (("train", known), ("x", examples)):
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite, got NaN or infinity")
    return known.reshape(len(known), -1), examples.reshape(len(examples), -1)

"""Dimensionality reduction: how well codes preserve reconstruction, neighbors and classes, with PCA as baseline."""

from typing import NamedTuple

import numpy as np

from aejax.checks import as_float64, as_floats, check_count, check_same_shape
from aejax.datasets.dataset import Dataset, Splits
from aejax.datasets.subset import random_positions, random_subset
from aejax.evaluation.principal import fit_pca
from aejax.evaluation.probe import classes_of, error_percent, fit_probe

NEIGHBORS = 5  # for the classifier and for trustworthiness
_MAX_EXAMPLES = 2000  # for computations over all pairs of examples


class Reduction(NamedTuple):
    """Measures of one method of dimensionality reduction, on test examples; accuracies are None without labels."""

    squared_error: float  # mean per feature
    neighbors_accuracy_percent: float | None  # of a classifier by the 5 nearest training codes
    probe_accuracy_percent: float | None  # of a linear classifier fitted to training codes
    trustworthiness: float | None  # from 0 to 1; None for fewer than 3 examples


def measure_reduction(splits: Splits, codes: Splits, reconstruction: np.ndarray) -> Reduction:
    """Returns measures of what codes preserve of the test examples.

    Let r(i, j) be the rank of example j among the neighbors of i in data space, and U(i) those of the k nearest
    neighbors of i in code space that are not among its k nearest neighbors in data space. Trustworthiness is

        T = 1 - 2 / (n k (2n - 3k - 1)) Σᵢ Σ_{j in U(i)} (r(i, j) - k),

    computed over the first n <= 2,000 test examples, with k = 5, or (n - 1) // 2 if that is smaller.

    Args:
      splits: (N, ...) examples.
      codes: (N, ...) codes of the same examples, with the same labels if there are any.
      reconstruction: (N, ...) reconstructions of the test examples.

    Raises:
      TypeError: arrays are not numbers, or only some of the splits have labels.
      ValueError: a split has no examples, the numbers of examples and codes differ, or the reconstruction has another
        shape than the test examples.

    Source: J. Venna, S. Kaski (2001), Neighborhood preservation in nonlinear projection methods, eq. 1.
    """
    from sklearn.manifold import trustworthiness
    from sklearn.neighbors import KNeighborsClassifier

    squared_error = mean_squared_error(splits.test.x, reconstruction)
    for name, split, coded in zip(splits._fields, splits, codes, strict=True):
        if len(split.x) != len(coded.x):
            raise ValueError(
                f"{name} must have one code per example, got {len(split.x)} examples and {len(coded.x)} codes"
            )
    codes = Splits(*(split._replace(x=flatten(name, split.x)) for name, split in codes._asdict().items()))
    neighbors = probe = None
    if any(split.labels is not None for split in codes):
        labels, *_ = (classes_of(name, split) for name, split in codes._asdict().items())
        classifier = KNeighborsClassifier(min(NEIGHBORS, len(labels))).fit(codes.train.x, labels)
        neighbors = 100.0 - error_percent(classifier, codes.test)
        if len(np.unique(labels)) > 1:
            probe = 100.0 - error_percent(fit_probe(codes.train, codes.validation), codes.test)
    some = random_positions(len(splits.test.x), _MAX_EXAMPLES, seed=0)
    k, examples = min(NEIGHBORS, (len(some) - 1) // 2), flatten("test", splits.test.x[some])
    return Reduction(
        squared_error,
        neighbors,
        probe,
        None if len(some) < 3 else float(trustworthiness(examples, codes.test.x[some], n_neighbors=k)),
    )


def mean_squared_error(x: np.ndarray, reconstruction: np.ndarray) -> float:
    """Returns the squared error averaged over features and examples, computed in double precision.

    Args:
      x: (N, ...) examples, of any real type.
      reconstruction: (N, ...) their reconstructions.

    Returns:
      The error, in the square of the data's unit.

    Raises:
      TypeError: the arrays are not numbers.
      ValueError: shapes differ, or the arrays are empty.

    >>> mean_squared_error(np.zeros((2, 3)), np.full((2, 3), 2.0))
    4.0
    """
    expected, got = as_float64("x", x), as_float64("reconstruction", reconstruction)
    check_same_shape(x=expected, reconstruction=got)
    if expected.size == 0:
        raise ValueError(f"x must hold at least one example, got shape {expected.shape}")
    return float(np.mean(np.square(expected - got)))


def principal_components(splits: Splits, components: int) -> tuple[Splits, np.ndarray]:
    """Returns codes by PCA fitted to the training examples, and reconstructions of the test examples.

    Args:
      splits: (N, ...) examples of D features.
      components: K, at least 1; reduced to D or the number of training examples if larger.

    Returns:
      Codes (N, K) of every split, with its labels, and reconstructions (N, ...) of the test examples, all float32.

    Raises:
      TypeError: examples are not numbers, or `components` is not an integer.
      ValueError: `components` is below 1, or the splits differ in the shape of an example.
    """
    check_count("components", components)
    if len({split.x.shape[1:] for split in splits}) > 1:
        raise ValueError(f"examples must have one shape in all splits, got {[split.x.shape[1:] for split in splits]}")
    flat = {name: flatten(name, split.x) for name, split in splits._asdict().items()}
    train = flat["train"].astype(np.float64)
    solver = "full" if len(train) < 2000 else "covariance_eigh"
    analysis = fit_pca(train, min(components, *train.shape), svd_solver=solver)
    transformed = {name: analysis.transform(x) for name, x in flat.items()}
    codes = Splits(*(split._replace(x=transformed[n].astype(np.float32)) for n, split in splits._asdict().items()))
    reconstruction = analysis.inverse_transform(transformed["test"])
    return codes, reconstruction.reshape(splits.test.x.shape).astype(np.float32)


def embed_2d(codes: Dataset, *, seed: int = 0) -> Dataset:
    """Returns a 2-dimensional embedding of codes, by t-SNE if they have more than two units.

    Of more than 2,000 codes, random ones are embedded, in their order.
    t-SNE is for visualization only: distances between distant points have little meaning. Of fewer than four codes, or
    of equal codes, the first two units are returned instead, since t-SNE requires neighbors.

    Args:
      codes: (N, ...) codes, with or without labels.
      seed: of t-SNE.

    Returns:
      Points (min(N, 2000), 2) as `x`, with the labels of their codes.

    Raises:
      TypeError: the codes are not numbers.
      ValueError: there are no codes, or values are NaN or infinite.

    Source: L. van der Maaten, G. Hinton (2008), Visualizing Data using t-SNE.
    """
    from sklearn.manifold import TSNE

    codes = random_subset(codes, _MAX_EXAMPLES, seed=seed)
    some, x = len(codes.x), flatten("codes", codes.x)
    if x.shape[1] == 1:
        x = np.column_stack([x, np.zeros(some)])
    elif x.shape[1] > 2 and (some < 4 or np.ptp(x, axis=0).max() == 0):
        x = x[:, :2]
    elif x.shape[1] > 2:
        x = TSNE(2, perplexity=min(30.0, (some - 1) / 3), init="pca", random_state=seed).fit_transform(x)
    return Dataset(x, codes.labels)


def flatten(name: str, x: np.ndarray) -> np.ndarray:
    """Returns examples or codes flattened to a floating-point matrix (N, D).

    Args:
      name: of the array, for error messages.
      x: (N, ...), N >= 1.

    Raises:
      TypeError: the array does not hold real numbers.
      ValueError: the array is empty or has fewer than two axes, or values are NaN or infinite.
    """
    array = as_floats(name, x)
    if array.ndim < 2 or array.size == 0:
        raise ValueError(f"{name} must have shape (examples, features...), not empty, got {array.shape}")
    return array.reshape(len(array), -1)

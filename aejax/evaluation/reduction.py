"""How much codes keep of the examples: reconstruction, neighbors and classes, beside principal components."""

from typing import NamedTuple

import numpy as np

from aejax.checks import as_float64, as_floats, check_count, check_same_shape
from aejax.datasets.dataset import Dataset, Splits
from aejax.evaluation.principal import fit_pca
from aejax.evaluation.probe import classes_of, error_percent, fit_probe

NEIGHBORS = 5  # of the classifier and of trustworthiness
_MOST_EXAMPLES = 2000  # for what compares all pairs of examples


class Reduction(NamedTuple):
    """Of one way to reduce dimensions, on test examples that it was not fitted to; None without labels."""

    squared_error: float  # per number of an example
    neighbors_accuracy_percent: float | None  # of the 5 nearest codes of training examples
    probe_accuracy_percent: float | None  # of a linear classifier of the codes of training examples
    trustworthiness: float | None  # from 0 to 1; None of fewer than 3 examples


def measure_reduction(splits: Splits, codes: Splits, reconstruction: np.ndarray) -> Reduction:
    """What codes keep of the test examples.

    With r(i, j) the rank of example j among the neighbors of i in data space, and U(i) the k nearest codes of i that
    are not among its k nearest examples, trustworthiness is

        T = 1 - 2 / (n k (2n - 3k - 1)) Σᵢ Σ_{j in U(i)} (r(i, j) - k),

    with k = 5, or less than half of the n test examples, over the first 2,000 at most.

    Args:
      splits: (N, ...) examples.
      codes: of the same examples, (N, ...), with the same labels where there are any.
      reconstruction: (N, ...) of the test examples.

    Raises:
      TypeError: what holds no numbers, or labels of some splits alone.
      ValueError: a split without examples, or with another number of codes; a reconstruction of another shape.

    Source: J. Venna, S. Kaski (2001), Neighborhood preservation in nonlinear projection methods, eq. 1.
    """
    from sklearn.manifold import trustworthiness
    from sklearn.neighbors import KNeighborsClassifier

    squared_error = mean_squared_error(splits.test.x, reconstruction)
    for name, part, coded in zip(splits._fields, splits, codes, strict=True):
        if len(part.x) != len(coded.x):
            raise ValueError(f"{name} has {len(part.x)} examples and {len(coded.x)} codes")
    codes = Splits(*(part._replace(x=flatten(name, part.x)) for name, part in codes._asdict().items()))
    neighbors = probe = None
    if any(part.labels is not None for part in codes):
        labels, *_ = (classes_of(name, part) for name, part in codes._asdict().items())
        classifier = KNeighborsClassifier(min(NEIGHBORS, len(labels))).fit(codes.train.x, labels)
        neighbors = 100.0 - error_percent(classifier, codes.test)
        if len(np.unique(labels)) > 1:
            probe = 100.0 - error_percent(fit_probe(codes.train, codes.validation), codes.test)
    some = min(len(splits.test.x), _MOST_EXAMPLES)
    k, examples = min(NEIGHBORS, (some - 1) // 2), flatten("test", splits.test.x[:some])
    return Reduction(
        squared_error,
        neighbors,
        probe,
        None if some < 3 else float(trustworthiness(examples, codes.test.x[:some], n_neighbors=k)),
    )


def mean_squared_error(x: np.ndarray, reconstruction: np.ndarray) -> float:
    """Per number of an example, over all examples (N, ...), of any real type, summed in double precision.

    Raises:
      TypeError: what holds no numbers.
      ValueError: shapes that differ, or no numbers at all.

    >>> mean_squared_error(np.zeros((2, 3)), np.full((2, 3), 2.0))
    4.0
    """
    numbers, others = as_float64("x", x), as_float64("reconstruction", reconstruction)
    check_same_shape(x=numbers, reconstruction=others)
    if numbers.size == 0:
        raise ValueError(f"there are no numbers to take the error of, x has shape {numbers.shape}")
    return float(np.mean(np.square(numbers - others)))


def principal_components(splits: Splits, components: int) -> tuple[Splits, np.ndarray]:
    """Codes by PCA fitted to the training examples, and the reconstruction of the test examples.

    Args:
      splits: (N, ...) examples of D numbers.
      components: K, at least 1; at most D and the number of training examples are taken.

    Raises:
      TypeError: examples that are no numbers, or components that are no integer.
      ValueError: components below 1, or examples of different shapes in different splits.
    """
    check_count("components", components)
    if len({part.x.shape[1:] for part in splits}) > 1:
        raise ValueError(f"examples must have one shape, got {[part.x.shape[1:] for part in splits]}")
    flat = {name: flatten(name, part.x) for name, part in splits._asdict().items()}
    train = flat["train"].astype(np.float64)
    solver = "full" if len(train) < 2000 else "covariance_eigh"
    analysis = fit_pca(train, min(components, *train.shape), svd_solver=solver)
    transformed = {name: analysis.transform(x) for name, x in flat.items()}
    codes = Splits(*(part._replace(x=transformed[n].astype(np.float32)) for n, part in splits._asdict().items()))
    reconstruction = analysis.inverse_transform(transformed["test"])
    return codes, reconstruction.reshape(splits.test.x.shape).astype(np.float32)


def picture(codes: Dataset, *, seed: int = 0) -> Dataset:
    """The first 2,000 codes in the plane: by t-SNE, for the eye, as its distances mean little; two numbers as they are.

    Fewer than four codes, and equal ones, have no neighbors to keep: their first two numbers are taken.

    Source: L. van der Maaten, G. Hinton (2008), Visualizing Data using t-SNE.
    """
    from sklearn.manifold import TSNE

    some = min(len(codes.x), _MOST_EXAMPLES)
    x = flatten("codes", codes.x[:some])
    if x.shape[1] == 1:
        x = np.column_stack([x, np.zeros(some)])
    elif x.shape[1] > 2 and (some < 4 or np.ptp(x, axis=0).max() == 0):
        x = x[:, :2]
    elif x.shape[1] > 2:
        x = TSNE(2, perplexity=min(30.0, (some - 1) / 3), init="pca", random_state=seed).fit_transform(x)
    return Dataset(x, None if codes.labels is None else codes.labels[:some])


def flatten(name: str, x: np.ndarray) -> np.ndarray:
    """Examples or codes (N, ...), at least one, as rows of single or double precision.

    Raises:
      TypeError: `x`, called `name`, holds no real numbers.
      ValueError: no examples, one number instead of them, NaN or infinity.
    """
    array = as_floats(name, x)
    if array.ndim < 2 or array.size == 0:
        raise ValueError(f"{name} must have shape (examples, features...), not empty, got {array.shape}")
    return array.reshape(len(array), -1)

"""How much codes keep of the examples: reconstruction, neighbors and classes, beside principal components."""

from typing import NamedTuple

import numpy as np

from aejax.datasets.dataset import Dataset, Splits
from aejax.evaluation.probe import error_percent, fit_probe

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

    Source: J. Venna, S. Kaski (2001), Neighborhood preservation in nonlinear projection methods, eq. 1.
    """
    from sklearn.manifold import trustworthiness
    from sklearn.neighbors import KNeighborsClassifier

    codes = Splits(*(part._replace(x=_flat(part.x)) for part in codes))
    neighbors = probe = None
    if codes.train.labels is not None:
        classifier = KNeighborsClassifier(min(NEIGHBORS, len(codes.train.x))).fit(codes.train.x, codes.train.labels)
        neighbors = 100.0 - error_percent(classifier, codes.test)
        if len(np.unique(codes.train.labels)) > 1:
            probe = 100.0 - error_percent(fit_probe(codes.train, codes.validation), codes.test)
    some = min(len(splits.test.x), _MOST_EXAMPLES)
    k = min(NEIGHBORS, (some - 1) // 2)
    return Reduction(
        mean_squared_error(splits.test.x, reconstruction),
        neighbors,
        probe,
        None if some < 3 else float(trustworthiness(_flat(splits.test.x[:some]), codes.test.x[:some], n_neighbors=k)),
    )


def mean_squared_error(x: np.ndarray, reconstruction: np.ndarray) -> float:
    """Per number of an example, over all examples (N, ...).

    >>> mean_squared_error(np.zeros((2, 3)), np.full((2, 3), 2.0))
    4.0
    """
    return float(np.mean(np.square(x - reconstruction), dtype=np.float64))


def principal_components(splits: Splits, components: int) -> tuple[Splits, np.ndarray]:
    """Codes by PCA fitted to the training examples, and the reconstruction of the test examples.

    Args:
      splits: (N, ...) examples of D numbers.
      components: K; at most D and the number of training examples are taken.
    """
    from sklearn.decomposition import PCA

    train = _flat(splits.train.x).astype(np.float64)
    analysis = PCA(min(components, *train.shape), svd_solver="full" if len(train) < 2000 else "covariance_eigh")
    analysis.fit(train)
    codes = Splits(*(part._replace(x=analysis.transform(_flat(part.x)).astype(np.float32)) for part in splits))
    reconstruction = analysis.inverse_transform(analysis.transform(_flat(splits.test.x)))
    return codes, reconstruction.reshape(splits.test.x.shape).astype(np.float32)


def picture(codes: Dataset, *, seed: int = 0) -> Dataset:
    """The first 2,000 codes in the plane: by t-SNE, for the eye, as its distances mean little; two numbers as they are.

    Source: L. van der Maaten, G. Hinton (2008), Visualizing Data using t-SNE.
    """
    from sklearn.manifold import TSNE

    some = min(len(codes.x), _MOST_EXAMPLES)
    x = _flat(codes.x[:some])
    if x.shape[1] == 1:
        x = np.column_stack([x, np.zeros(some)])
    elif x.shape[1] > 2:
        x = TSNE(2, perplexity=min(30.0, (some - 1) / 3), init="pca", random_state=seed).fit_transform(x)
    return Dataset(x, None if codes.labels is None else codes.labels[:some])


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)

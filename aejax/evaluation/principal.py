"""Principal component analysis, the baseline that codes are compared with."""

from typing import Any

import numpy as np
from jaxtyping import Float


def fit_pca(examples: Float[np.ndarray, "N D"], components: int, **options: Any) -> Any:
    """Returns scikit-learn's `PCA` fitted to examples, without a warning if all examples are equal.

    Args:
      examples: one example per row, float32 or float64.
      components: K, the number of components, at most N and D.
      **options: further arguments of `sklearn.decomposition.PCA`.

    Source: I. T. Jolliffe (2002), Principal Component Analysis.

    >>> fit_pca(np.array([[0.0, 1.0], [2.0, 1.0]]), 1).transform(np.array([[2.0, 5.0]])).round(6).tolist()
    [[1.0]]
    """
    from sklearn.decomposition import PCA

    with np.errstate(divide="ignore", invalid="ignore"):  # explained_variance_ratio_ of zero variance
        return PCA(components, **options).fit(examples)

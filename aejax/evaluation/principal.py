"""Principal components, which codes are compared with."""

from typing import Any

import numpy as np
from jaxtyping import Float


def fit_pca(examples: Float[np.ndarray, "N D"], components: int, **options: Any) -> Any:
    """scikit-learn's PCA of that many components, fitted to examples; equal examples have components too.

    Args:
      examples: rows of float32 or float64.
      components: K, at most N and D.
      **options: of `sklearn.decomposition.PCA`.

    Source: I. T. Jolliffe (2002), Principal Component Analysis.

    >>> fit_pca(np.array([[0.0, 1.0], [2.0, 1.0]]), 1).transform(np.array([[2.0, 5.0]])).round(6).tolist()
    [[1.0]]
    """
    from sklearn.decomposition import PCA

    with np.errstate(divide="ignore", invalid="ignore"):  # shares of a variance of 0, which nothing here reads
        return PCA(components, **options).fit(examples)

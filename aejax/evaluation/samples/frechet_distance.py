"""The Fréchet distance between Gaussians fitted to features of samples and data."""

import numpy as np
from jaxtyping import Float, Shaped

from aejax.evaluation.principal import fit_pca
from aejax.evaluation.samples.distances import as_points


def frechet_distance(samples: Shaped[np.ndarray, "N D"], data: Shaped[np.ndarray, "M D"]) -> float:
    """Returns ‖m₁ - m₂‖² + tr(C₁ + C₂ - 2 (C₁ C₂)^½) of the means and covariances of two sets of features.

    It depends on the features: always name them. With features of the Inception network it is known as FID, which this
    is not. It has a bias that falls with the number of examples: compare only numbers of equal sizes.

    Args:
      samples: features of N samples of a model, N >= D + 1.
      data: features of M examples, M >= D + 1.

    Returns:
      A number in the square of the features' unit.

    Raises:
      ValueError: there are fewer examples than features and one, shapes differ, or values are not finite.
      TypeError: an array does not hold real numbers.

    Source: D. C. Dowson, B. V. Landau (1982), The Fréchet Distance between Multivariate Normal Distributions.

    >>> frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [5.0]]))
    9.0
    """
    least = int(np.prod(np.shape(samples)[1:])) + 1
    points = as_points(f"the Fréchet distance in {least - 1} features", least, samples=samples, data=data)
    moments = [(each.mean(axis=0), np.atleast_2d(np.cov(each, rowvar=False))) for each in points]
    return frechet_distance_of_gaussians(*moments[0], *moments[1])


def frechet_distance_of_gaussians(
    first_mean: Float[np.ndarray, "D"],
    first_covariance: Float[np.ndarray, "D D"],
    second_mean: Float[np.ndarray, "D"],
    second_covariance: Float[np.ndarray, "D D"],
) -> float:
    """Returns the squared Fréchet distance of two Gaussians; covariances may be singular.

    The trace of (C₁ C₂)^½ is that of (C₁^½ C₂ C₁^½)^½, which is symmetric: its eigenvalues are real.

    >>> frechet_distance_of_gaussians(np.zeros(2), np.eye(2), np.zeros(2), 4 * np.eye(2))
    2.0
    """
    values, vectors = np.linalg.eigh(first_covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    product = root @ second_covariance @ root
    of_product = np.linalg.eigvalsh((product + product.T) / 2)
    cross = float(np.sum(np.sqrt(np.maximum(of_product, 0.0))))
    distance = float(np.sum(np.square(first_mean - second_mean)))
    return max(distance + float(np.trace(first_covariance) + np.trace(second_covariance)) - 2 * cross, 0.0)


def frechet_distance_in_components(
    samples: Shaped[np.ndarray, "N ..."],
    data: Shaped[np.ndarray, "M ..."],
    train: Shaped[np.ndarray, "T ..."],
    *,
    components: int,
) -> float:
    """Returns the Fréchet distance in the principal components of training data.

    Args:
      samples: N samples of a model, more than components.
      data: M examples that the model was not trained on, more than components.
      train: T examples, of which the components are computed, at least as many as components.
      components: their number, at most that of an example's numbers.

    Raises:
      ValueError: there are too few examples or components, shapes differ, or values are not finite.
      TypeError: an array does not hold real numbers.

    >>> x = np.random.default_rng(0).normal(size=(50, 4))
    >>> frechet_distance_in_components(x, x + 1.0, x, components=4)
    4.0...
    """
    points = as_points("the Fréchet distance", components, samples=samples, data=data, train=train)
    if not 1 <= components <= points[0].shape[1]:
        raise ValueError(
            f"components must be between 1 and the numbers of an example, {points[0].shape[1]}, got {components}"
        )
    features = fit_pca(points[2], components, random_state=0)
    return frechet_distance(features.transform(points[0]), features.transform(points[1]))

"""Whether samples are copies of training examples."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from aejax.evaluation.samples.distances import as_points, squared_distances


class Copying(NamedTuple):
    """How near samples are to training examples, compared with held-out examples; without unit."""

    ratio: float  # of the median distances to the nearest training example: samples / held-out examples
    nearer: float  # probability that a sample is nearer to the training examples than a held-out example


def copying(
    samples: Shaped[np.ndarray, "N ..."], held_out: Shaped[np.ndarray, "M ..."], train: Shaped[np.ndarray, "T ..."]
) -> Copying:
    """Compares the distances from samples and from held-out examples to their nearest training examples.

    Samples of the data's own distribution are nearer with probability ½ in the mean, and if N = M, their ratio is as
    often below as above 1; copies of training examples have a ratio of 0 and are nearer with probability 1. Blurred
    samples are often nearer too, so read both with precision and density.

    Args:
      samples: N samples of a model.
      held_out: M examples that the model was not trained on, from the distribution of the training examples.
      train: T training examples.

    Returns:
      Ratio and probability; the ratio is infinite if more than half of the held-out examples are training examples.

    Raises:
      ValueError: an array has fewer than 2 examples, shapes differ, or values are not finite.
      TypeError: an array does not hold real numbers.

    Source: C. Meehan, K. Chaudhuri, S. Dasgupta (2020), A Non-Parametric Test to Detect Data-Copying in Generative
    Models, for the probability.

    >>> train, held_out = np.array([[0.0], [10.0]]), np.array([[1.0], [8.0]])
    >>> copying(np.array([[0.0], [0.5]]), held_out, train)
    Copying(ratio=0.16..., nearer=1.0)
    """
    points = as_points("the comparison with training examples", 2, samples=samples, held_out=held_out, train=train)
    center = points[2].mean(axis=0)
    of_train = points[2] - center
    nearest = [np.sqrt(squared_distances(each - center, of_train).min(axis=1)) for each in points[:2]]
    of_samples, of_held_out = (np.median(each) for each in nearest)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(of_samples / of_held_out) if of_samples else 0.0
    ordered = np.sort(nearest[1])
    farther = len(ordered) - np.searchsorted(ordered, nearest[0], side="right")
    ties = len(ordered) - farther - np.searchsorted(ordered, nearest[0], side="left")
    return Copying(ratio, float(np.mean((farther + 0.5 * ties) / len(ordered))))

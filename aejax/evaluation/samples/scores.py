"""All scores of samples at once, by name, with their titles and units."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from aejax.evaluation.samples.classifier_test import LEAST, classifier_test
from aejax.evaluation.samples.copying import copying
from aejax.evaluation.samples.density_coverage import density_coverage_of, expected_coverage
from aejax.evaluation.samples.distances import as_points, distances
from aejax.evaluation.samples.energy_distance import energy_distance_of
from aejax.evaluation.samples.frechet_distance import frechet_distance_in_components
from aejax.evaluation.samples.maximum_mean_discrepancy import unbiased_mmd_of
from aejax.evaluation.samples.precision_recall import precision_recall_of

LEAST_EXAMPLES = LEAST  # of samples, of held-out and of training examples
_COMPONENTS = 20  # at most, of the Fréchet distance


class Score(NamedTuple):
    """A score of samples."""

    value: float
    title: str
    unit: str
    equal: float | None  # for samples of the data's own distribution; None: not known in closed form


def sample_scores(
    samples: Shaped[np.ndarray, "N ..."],
    held_out: Shaped[np.ndarray, "M ..."],
    train: Shaped[np.ndarray, "T ..."],
    *,
    seed: int = 0,
) -> dict[str, Score]:
    """Returns every score of samples by name; the distances between points are computed once.

    Precision and recall are by 3 neighbors, density and coverage by 5, the classifier is that of `classifier_test`, and
    the last two compare the distances to the nearest training examples, as `copying` does. `equal` is a score's mean
    for samples of the data's own distribution, but the median of the nearest-neighbor ratio, for N = M. That of MMD² is
    exact for a bandwidth that does not depend on the data.

    Args:
      samples: N >= 20 samples of a model.
      held_out: M >= 20 examples that it was not trained on.
      train: T >= 20 training examples.
      seed: of the halves of the classifier two-sample test.

    Raises:
      ValueError: there are too few examples, shapes differ, or values are not finite.
      TypeError: an array does not hold real numbers.

    >>> rng = np.random.default_rng(0)
    >>> scores = sample_scores(*(rng.normal(size=(50, 3)) for _ in range(3)))
    >>> scores["density"].title, scores["density"].equal
    ('density', 1.0)
    """
    points = as_points("the comparison of samples", LEAST_EXAMPLES, samples=samples, held_out=held_out, train=train)
    of = distances(*points[:2])
    two_sample = classifier_test(*points[:2], seed=seed)
    precision, recall = precision_recall_of(of)
    density, coverage = density_coverage_of(of)
    components = min(_COMPONENTS, points[0].shape[1], *(len(each) - 1 for each in points))
    frechet = frechet_distance_in_components(*points, components=components)
    ratio, nearer = copying(*points)
    unit = "unit of data"
    return {
        "mmd": Score(unbiased_mmd_of(of), "MMD²", "no unit", 0.0),
        "energy_distance": Score(energy_distance_of(of), "energy distance", unit, 0.0),
        "frechet_distance": Score(
            frechet, f"Fréchet distance in {components} principal components", f"({unit})²", None
        ),
        "classifier_accuracy": Score(two_sample.accuracy, "classifier accuracy", "fraction", 0.5),
        "classifier_p_value": Score(two_sample.p_value, "classifier p-value", "no unit", None),
        "precision": Score(precision, "precision", "fraction", None),
        "recall": Score(recall, "recall", "fraction", None),
        "density": Score(density, "density", "no unit", 1.0),
        "coverage": Score(coverage, "coverage", "fraction", expected_coverage(*map(len, points[:2]))),
        "nearest_ratio": Score(ratio, "nearest-neighbor ratio", "no unit", 1.0),
        "nearer": Score(nearer, "nearer than held-out examples", "no unit", 0.5),
    }

"""Scores of samples against data, without a pretrained network: functions of (N, ...) samples and (M, ...) examples.

Each score has a file of its own. They compare in the space of the data: state the number of samples and of examples
with every number, since all but the unbiased ones depend on them.
"""

from aejax.evaluation.samples.classifier_test import ClassifierTest as ClassifierTest
from aejax.evaluation.samples.classifier_test import classifier_test as classifier_test
from aejax.evaluation.samples.copying import Copying as Copying
from aejax.evaluation.samples.copying import copying as copying
from aejax.evaluation.samples.density_coverage import DensityCoverage as DensityCoverage
from aejax.evaluation.samples.density_coverage import density_coverage as density_coverage
from aejax.evaluation.samples.density_coverage import expected_coverage as expected_coverage
from aejax.evaluation.samples.energy_distance import energy_distance as energy_distance
from aejax.evaluation.samples.frechet_distance import frechet_distance as frechet_distance
from aejax.evaluation.samples.frechet_distance import frechet_distance_in_components as frechet_distance_in_components
from aejax.evaluation.samples.frechet_distance import frechet_distance_of_gaussians as frechet_distance_of_gaussians
from aejax.evaluation.samples.maximum_mean_discrepancy import unbiased_mmd as unbiased_mmd
from aejax.evaluation.samples.precision_recall import PrecisionRecall as PrecisionRecall
from aejax.evaluation.samples.precision_recall import precision_recall as precision_recall
from aejax.evaluation.samples.scores import Score as Score
from aejax.evaluation.samples.scores import sample_scores as sample_scores

__all__ = [
    "ClassifierTest",
    "Copying",
    "DensityCoverage",
    "PrecisionRecall",
    "Score",
    "classifier_test",
    "copying",
    "density_coverage",
    "energy_distance",
    "expected_coverage",
    "frechet_distance",
    "frechet_distance_in_components",
    "frechet_distance_of_gaussians",
    "precision_recall",
    "sample_scores",
    "unbiased_mmd",
]

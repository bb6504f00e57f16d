"""Detects anomalies with a run: scores of examples, and a threshold from the scores of validation examples."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped
from matplotlib.figure import Figure

from aejax import plots
from aejax.datasets.dataset import Dataset
from aejax.datasets.stored import blocks_of
from aejax.errors import ArgumentError
from aejax.evaluation.anomaly import Detection, is_finer_than, measure_detection, threshold_of
from aejax.experiment.scores import SAMPLES, score, score_validation
from aejax.experiment.trained import TrainedRun
from aejax.host.memory import check_fits
from aejax.host.optional import optional
from aejax.likelihoods import check_support


class Detected(NamedTuple):
    """Scores of examples, the threshold from validation examples, and measures of detection if anomalies are known."""

    scores: Float[np.ndarray, "N"]
    validation_scores: Float[np.ndarray, "V"]
    threshold: float  # examples with a higher score are detected as anomalies
    unit: str  # of the scores
    anomalies: Bool[np.ndarray, "N"] | None  # whether each example is an anomaly, if known
    detection: Detection | None  # if anomalies are known, with at least two normal examples and two anomalies
    notes: tuple[str, ...]  # on measures that are missing or imprecise


def detect(
    run: TrainedRun,
    examples: Dataset | None = None,
    anomalies: Shaped[np.ndarray, "N"] | None = None,
    *,
    quantile: float = 0.95,
    samples: int = SAMPLES,
    name: str = "the examples",
) -> Detected:
    """Returns the anomaly score of every example, and a threshold above which examples are detected as anomalies.

    The score is the squared error of the reconstruction, or the negative evidence lower bound of a variational run. It
    is deterministic: the same run gives the same example the same score.

    Args:
      run: the run whose autoencoder scores the examples.
      examples: the examples to score; None for the run's test examples.
      anomalies: whether each example is an anomaly; None if that is not known. By default, test examples with labels
        are anomalies if the run was not trained on their class.
      quantile: the quantile of the validation examples' scores that is the threshold, in (0, 1].
      samples: samples of a variational run's posterior per example.
      name: what messages call the examples.

    Raises:
      UserError: values outside the likelihood's support, samples that do not fit into memory, or an argument out of
        range.
    """
    if not 0 < quantile <= 1:
        raise ArgumentError("quantile", f"must be above 0 and at most 1, got {quantile:g}")
    if samples < 1:
        raise ArgumentError("samples", f"must be at least 1, got {samples}")
    if examples is None:
        examples = run.splits.test
        anomalies = _of_unseen_classes(run) if anomalies is None else anomalies
    distributions = run.autoencoder.variational
    if distributions is not None:
        for block in blocks_of(examples.x):
            check_support(distributions.likelihood, block, name, advice="scale them like the run's training examples")
    # scores are computed for up to 500 examples at once
    size = 4 * samples * min(500, len(examples.x)) * math.prod(run.example_shape)
    check_fits(size, f"{samples:,} samples of every example", advice="use fewer samples")
    validation_scores = score_validation(run, samples=samples)
    threshold = threshold_of(validation_scores, quantile=quantile)
    scores = score(run, examples, samples=samples)
    unit = "squared error per example" if distributions is None else "negative bound, nats per example"
    detection: Detection | None = None
    notes: list[str] = []
    if anomalies is not None:
        with optional("measures of detection", notes.append):
            detection = measure_detection(scores, anomalies, threshold=threshold)
    if is_finer_than(quantile, len(validation_scores)):
        notes.append(
            f"{len(validation_scores):,} validation examples are too few for the quantile {quantile:g}: the threshold "
            "is the largest of their scores"
        )
    return Detected(scores, validation_scores, threshold, unit, anomalies, detection, tuple(notes))


def draw_scores(detected: Detected) -> Figure:
    """Returns a figure of the distributions of scores: validation examples, normal examples, anomalies."""
    kinds = None if detected.detection is None else detected.anomalies
    return plots.anomaly_scores(
        detected.validation_scores, detected.scores, kinds, threshold=detected.threshold, unit=detected.unit
    )


def _of_unseen_classes(run: TrainedRun) -> np.ndarray | None:
    """Returns whether each test example's class is missing from the training examples; None without labels."""
    train, test = run.splits.train.labels, run.splits.test.labels
    return None if train is None or test is None else ~np.isin(test, np.unique(train))

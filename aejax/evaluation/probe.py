"""The linear probe: how well a linear classifier tells the classes of examples from their codes."""

import warnings
from typing import Any

import numpy as np

from aejax.datasets.dataset import Dataset

PROBE_INVERSE_WEIGHTS = (0.01, 0.1, 1.0)


def fit_probe(train: Dataset, validation: Dataset) -> Any:
    """A linear classifier of codes (N, units): logistic regression on standardized units.

    The weight 1 / C of its L2 penalty is the one, of three, that gives the classes of the validation examples the
    highest probability; their error rate has too few steps to tell the three apart.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probes = []
    for inverse_weight in PROBE_INVERSE_WEIGHTS:
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_weight, tol=1e-3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits of its weights do not matter
            probes.append(probe.fit(train.x, train.labels))
    return max(probes, key=lambda probe: _mean_log_probability(probe, validation))


def _mean_log_probability(probe: Any, codes: Dataset) -> float:
    of_their_class = np.asarray(codes.labels)[:, None] == probe.classes_
    probabilities = np.where(of_their_class, probe.predict_proba(codes.x), 0).sum(axis=1)
    return float(np.mean(np.log(np.maximum(probabilities, 1e-12))))  # the softmax of float32 logits may be 0


def error_percent(probe: Any, codes: Dataset) -> float:
    """The part of the codes whose class a classifier misses."""
    return 100.0 * float(np.mean(probe.predict(codes.x) != codes.labels))

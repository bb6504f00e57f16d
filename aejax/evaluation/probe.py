"""The linear probe: how well a linear classifier tells the classes of examples from their codes."""

import warnings
from typing import Any

import numpy as np

from aejax.checks import as_floats
from aejax.datasets.dataset import Dataset

PROBE_INVERSE_WEIGHTS = (0.01, 0.1, 1.0)


def fit_probe(train: Dataset, validation: Dataset) -> Any:
    """A linear classifier of codes (N, units): logistic regression on standardized units.

    The weight 1 / C of its L2 penalty is the one, of three, that gives the classes of the validation examples the
    highest probability; their error rate has too few steps to tell the three apart.

    Raises:
      TypeError: codes that are no numbers, or labels that are no classes.
      ValueError: codes that are no matrix of equally many units, labels of another length, or one class alone.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    codes, labels = as_codes("train", train), classes_of("train", train)
    held_out, held_out_labels = as_codes("validation", validation), classes_of("validation", validation)
    if codes.shape[1] != held_out.shape[1]:
        raise ValueError(f"train has {codes.shape[1]} units, validation {held_out.shape[1]}")
    if len(np.unique(labels)) < 2:
        raise ValueError(f"a classifier needs two classes at least, train has {np.unique(labels).tolist()}")
    probes = []
    for inverse_weight in PROBE_INVERSE_WEIGHTS:
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_weight, tol=1e-3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits of its weights do not matter
            probes.append(probe.fit(codes, labels))
    return max(probes, key=lambda probe: _mean_log_probability(probe, held_out, held_out_labels))


def _mean_log_probability(probe: Any, codes: np.ndarray, labels: np.ndarray) -> float:
    of_their_class = labels[:, None] == probe.classes_
    probabilities = np.where(of_their_class, probe.predict_proba(codes), 0).sum(axis=1)
    return float(np.mean(np.log(np.maximum(probabilities, 1e-12))))  # the softmax of float32 logits may be 0


def error_percent(probe: Any, codes: Dataset) -> float:
    """The part of the codes whose class a classifier misses.

    Raises:
      TypeError: codes that are no numbers, or labels that are no classes.
      ValueError: codes that are no matrix, or labels of another length.
    """
    return 100.0 * float(np.mean(probe.predict(as_codes("codes", codes)) != classes_of("codes", codes)))


def as_codes(name: str, codes: Dataset) -> np.ndarray:
    """The codes (N, units) of at least one example, of single or double precision."""
    x = as_floats(name, codes.x)
    if x.ndim != 2 or len(x) == 0:
        raise ValueError(f"{name} must hold codes (examples, units), at least one example, got {x.shape}")
    return x


def classes_of(name: str, codes: Dataset) -> np.ndarray:
    """The class of each code: integers of any type, whole numbers of a floating type, booleans or text.

    Raises:
      TypeError: no labels, or labels of another kind.
      ValueError: labels that are not one for each code, or numbers that are not whole.
    """
    if codes.labels is None:
        raise TypeError(f"{name} has no labels")
    labels = np.asarray(codes.labels)
    if labels.dtype.kind not in "biufSU":
        raise TypeError(f"labels of {name} must be classes, got dtype {labels.dtype}")
    if labels.shape != (len(codes.x),):
        raise ValueError(f"labels of {name} must be one class for each of {len(codes.x)} examples, got {labels.shape}")
    if labels.dtype.kind == "f":
        is_class = np.isfinite(labels) & (labels == np.round(labels))
        if not is_class.all():
            raise ValueError(f"labels of {name} must be classes, got {labels[~is_class][0]:g}")
        return labels.astype(np.int64)
    return labels

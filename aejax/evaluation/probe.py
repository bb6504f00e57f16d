"""Linear probe: the error of a linear classifier of classes from codes."""

import warnings
from typing import Any

import numpy as np

from aejax.checks import as_floats
from aejax.datasets.dataset import Dataset

PROBE_INVERSE_WEIGHTS = (0.01, 0.1, 1.0)


def fit_probe(train: Dataset, validation: Dataset) -> Any:
    """Returns a linear classifier of codes: logistic regression on standardized units.

    The inverse weight C of its L2 penalty is the one of `PROBE_INVERSE_WEIGHTS` with the highest mean log probability
    of the validation examples' classes; their error rate is too coarse to choose by.

    Args:
      train: codes (N, K) as `x`, and their classes as `labels`.
      validation: codes (M, K) and classes, to choose C on.

    Returns:
      A fitted scikit-learn pipeline.

    Raises:
      TypeError: codes are not numbers, or labels are missing or not classes.
      ValueError: codes are not matrices with equally many units, the numbers of labels and codes differ, or the
        training codes have fewer than two classes.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    codes, labels = as_codes("train", train), classes_of("train", train)
    held_out, held_out_labels = as_codes("validation", validation), classes_of("validation", validation)
    if codes.shape[1] != held_out.shape[1]:
        raise ValueError(
            f"train and validation must have equally many units, got {codes.shape[1]} and {held_out.shape[1]}"
        )
    if len(np.unique(labels)) < 2:
        raise ValueError(f"train must have at least two classes, got {np.unique(labels).tolist()}")
    probes = []
    for inverse_weight in PROBE_INVERSE_WEIGHTS:
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_weight, tol=1e-3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # weights are not needed to full precision
            probes.append(probe.fit(codes, labels))
    return max(probes, key=lambda probe: _mean_log_probability(probe, held_out, held_out_labels))


def _mean_log_probability(probe: Any, codes: np.ndarray, labels: np.ndarray) -> float:
    is_class = labels[:, None] == probe.classes_
    probabilities = np.where(is_class, probe.predict_proba(codes), 0).sum(axis=1)
    return float(np.mean(np.log(np.maximum(probabilities, 1e-12))))  # the softmax of float32 logits may be 0


def error_percent(probe: Any, codes: Dataset) -> float:
    """Returns the error rate of a classifier in percent.

    Args:
      probe: a fitted classifier with a method `predict`.
      codes: codes (N, K) as `x`, and their classes as `labels`.

    Raises:
      TypeError: codes are not numbers, or labels are missing or not classes.
      ValueError: codes are not a matrix, or the numbers of labels and codes differ.
    """
    return 100.0 * float(np.mean(probe.predict(as_codes("codes", codes)) != classes_of("codes", codes)))


def as_codes(name: str, codes: Dataset) -> np.ndarray:
    """Returns the codes of a split as a floating-point matrix (N, K).

    Args:
      name: of the split, for error messages.
      codes: codes as `x`.

    Raises:
      TypeError: the codes are not numbers.
      ValueError: they are not a matrix with at least one row, or hold NaN or infinity.
    """
    x = as_floats(name, codes.x)
    if x.ndim != 2 or len(x) == 0:
        raise ValueError(f"{name} must hold codes (examples, units), at least one example, got {x.shape}")
    return x


def classes_of(name: str, codes: Dataset) -> np.ndarray:
    """Returns the class of each code; floating-point labels are converted to integers.

    Args:
      name: of the split, for error messages.
      codes: classes as `labels`: integers, whole numbers of a floating type, booleans or text.

    Returns:
      (N,) classes.

    Raises:
      TypeError: there are no labels, or they are of another type.
      ValueError: the numbers of labels and codes differ, or a label is not a whole number.
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

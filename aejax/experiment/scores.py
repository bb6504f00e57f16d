"""Anomaly scores by a run; those of its validation examples are stored, so that a threshold needs no data."""

import io
import os
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from aejax.datasets.dataset import Dataset
from aejax.errors import UserError
from aejax.evaluation.anomaly import anomaly_scores
from aejax.evaluation.table_errors import standardized_error
from aejax.experiment.objective import columns_of
from aejax.experiment.trained import TrainedRun
from aejax.host.files import read_bytes
from aejax.losses import OverKnown, squared_error

FILE = "validation_scores.npy"
SAMPLES = 16  # of the posterior, for every stored score
_MAX_BYTES = 2**30


def score(run: TrainedRun, examples: Dataset, *, samples: int = SAMPLES) -> Float[np.ndarray, "N"]:
    """Returns the anomaly score of every example, as `anomaly_scores` defines it; the random key is always the same.

    Args:
      run: the run whose autoencoder scores the examples.
      examples: N examples, with labels if the run is conditional.
      samples: samples of a variational run's posterior per example.
    """
    conditions, key = run.conditions_of(examples), run.keys.evaluation
    columns = columns_of(run.facts, corruption=run.experiment.regularization.corruption)
    known = squared_error if run.facts.lengths is None else OverKnown(squared_error)
    error = known if columns is None else partial(standardized_error, columns)
    return anomaly_scores(
        run.autoencoder, run.params, key, examples.x, *conditions, inputs=examples.input, samples=samples, error=error
    )


def score_validation(run: TrainedRun, *, samples: int = SAMPLES) -> Float[np.ndarray, "V"]:
    """Returns the anomaly scores of a run's validation examples, from its folder if they have `samples` samples there.

    Raises:
      UserError: the scores have to be computed, but the data are missing or have changed.
    """
    if samples == SAMPLES or run.autoencoder.variational is None:
        stored = read_scores(run.path)
        if stored is not None:
            return stored
    return score(run, run.splits.validation, samples=samples)


def write_scores(folder: Path, scores: Float[np.ndarray, "V"]) -> None:
    """Writes the anomaly scores of validation examples to a run folder."""
    partial = folder / f".{FILE}.partial"
    with partial.open("wb") as file:
        np.save(file, scores, allow_pickle=False)
    partial.replace(folder / FILE)


def read_scores(folder: Path) -> Float[np.ndarray, "V"] | None:
    """Returns the anomaly scores in a run folder; None if the run is not finished.

    Raises:
      UserError: the file cannot be read or does not hold scores.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return None
    content = read_bytes(path, limit=_MAX_BYTES)
    try:
        scores = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path}: holds no scores, it was changed or damaged: {str(error).splitlines()[0]}") from error
    is_array = isinstance(scores, np.ndarray) and scores.ndim == 1 and scores.dtype in (np.float32, np.float64)
    if not is_array or not len(scores) or not np.isfinite(scores).all():
        raise UserError(f"{path}: must hold a vector of finite scores; it was changed or damaged")
    return scores

"""Early stopping on validation loss, as pure functions of a record."""

import math
from typing import NamedTuple


class EarlyStopping(NamedTuple):
    """The best validation loss so far, and the number of evaluations since then."""

    best_loss: float = math.inf
    best_epoch: int = 0
    evaluations_since: int = 0


def update(stopping: EarlyStopping, *, loss: float, epoch: int, min_delta: float) -> EarlyStopping:
    """Returns the record after an evaluation; a loss is the new best if it is lower by more than `min_delta`.

    >>> update(EarlyStopping(best_loss=1.0, best_epoch=3), loss=0.95, epoch=4, min_delta=0.1)
    EarlyStopping(best_loss=1.0, best_epoch=3, evaluations_since=1)
    """
    if loss < stopping.best_loss - min_delta:
        return EarlyStopping(loss, epoch, 0)
    return stopping._replace(evaluations_since=stopping.evaluations_since + 1)


def is_exhausted(stopping: EarlyStopping, *, patience: int | None) -> bool:
    """Whether `patience` evaluations in a row brought no improvement; always False if patience is None."""
    return patience is not None and stopping.evaluations_since >= patience

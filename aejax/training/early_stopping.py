"""Early stopping on validation loss, as a value."""

import math
from typing import NamedTuple


class EarlyStopping(NamedTuple):
    """The best validation loss so far, and for how many evaluations nothing has been better."""

    best_loss: float = math.inf
    best_epoch: int = 0
    evaluations_since: int = 0


def observe(stopping: EarlyStopping, *, loss: float, epoch: int, min_delta: float) -> EarlyStopping:
    """Take note of a validation loss; it is the best if it is lower than the best by more than `min_delta`.

    >>> observe(EarlyStopping(best_loss=1.0, best_epoch=3), loss=0.95, epoch=4, min_delta=0.1)
    EarlyStopping(best_loss=1.0, best_epoch=3, evaluations_since=1)
    """
    if loss < stopping.best_loss - min_delta:
        return EarlyStopping(loss, epoch, 0)
    return stopping._replace(evaluations_since=stopping.evaluations_since + 1)


def is_over(stopping: EarlyStopping, *, patience: int | None) -> bool:
    """Whether `patience` evaluations in a row have brought nothing better; never with a patience of None."""
    return patience is not None and stopping.evaluations_since >= patience

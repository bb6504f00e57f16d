"""Early stopping counts evaluations without improvement."""

import pytest

from aejax.training.early_stopping import EarlyStopping, is_exhausted, update


def after(losses: list[float], min_delta: float = 0.0) -> EarlyStopping:
    stopping = EarlyStopping()
    for epoch, loss in enumerate(losses, start=1):
        stopping = update(stopping, loss=loss, epoch=epoch, min_delta=min_delta)
    return stopping


def test_best_is_remembered() -> None:
    assert after([3.0, 1.0, 2.0, 1.5]) == EarlyStopping(best_loss=1.0, best_epoch=2, evaluations_since=2)


def test_equal_loss_is_no_improvement() -> None:
    assert after([1.0, 1.0]).evaluations_since == 1


def test_small_gains_do_not_count_but_add_up() -> None:
    """Each is compared with the best that counted, so a slow fall is noticed in the end."""
    assert after([1.0, 0.95, 0.89], min_delta=0.1) == EarlyStopping(best_loss=0.89, best_epoch=3)
    assert after([1.0, 0.95, 0.91], min_delta=0.1).evaluations_since == 2


@pytest.mark.parametrize(("patience", "over"), [(None, False), (1, True), (2, True), (3, False)])
def test_patience(patience: int | None, over: bool) -> None:
    assert is_exhausted(after([1.0, 2.0, 2.0]), patience=patience) is over

"""Labels of examples: their places among the classes of a run, and lists of them for messages."""

from collections.abc import Sequence

import numpy as np

from aejax.errors import UserError

_LISTED = 10  # labels in a message


def unseen_labels(labels: np.ndarray, classes: Sequence[int | str | None]) -> list[int | str]:
    """Returns the distinct labels that are not among the classes, sorted.

    >>> unseen_labels(np.array([3, 4, 7, 9]), (3, 7))
    [4, 9]
    """
    known = set(classes)
    return [label for label in np.unique(labels).tolist() if label not in known]


def positions_of(labels: np.ndarray, classes: Sequence[int | str | None], *, name: str) -> np.ndarray:
    """Returns the index of every label among the classes: (N,) int32.

    Args:
      labels: (N,) labels.
      classes: the known classes.
      name: what the error message calls the labels.

    Raises:
      UserError: a label that is not among the classes.

    >>> positions_of(np.array([7, 3, 7]), (3, 7), name="mine.npy").tolist()
    [1, 0, 1]
    """
    if unseen := unseen_labels(labels, classes):
        raise UserError(
            f"{name}: expected labels of the training examples, {list_labels(classes)}, got {list_labels(unseen)}"
        )
    place = {label: number for number, label in enumerate(classes)}
    distinct, inverse = np.unique(labels, return_inverse=True)
    return np.array([place[label] for label in distinct.tolist()], np.int32)[inverse]


def list_labels(labels: Sequence[int | str | None]) -> str:
    """Returns a description of labels: the first and last of consecutive integers, else at most ten labels.

    >>> list_labels((0, 1, 2, 3)), list_labels((3, 7)), list_labels(("cat",))
    ('classes 0 to 3', 'classes 3, 7', "class 'cat'")
    """
    shown = [label for label in labels if label is not None]
    noun = "class" if len(shown) == 1 else "classes"
    if len(shown) > 2 and all(isinstance(label, int) for label in shown) and shown == [*range(shown[0], shown[-1] + 1)]:  # type: ignore[operator,arg-type]
        return f"{noun} {shown[0]} to {shown[-1]}"
    more = f" and {len(shown) - _LISTED:,} others" if len(shown) > _LISTED else ""
    return f"{noun} {', '.join(map(repr, shown[:_LISTED]))}{more}"

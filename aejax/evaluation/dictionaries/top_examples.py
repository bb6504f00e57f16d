"""The examples that activate each unit of a dictionary most, streamed: at most n of every unit are kept."""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from aejax.checks import as_array, check_count


class TopExamples(NamedTuple):
    """The n largest codes of every unit, in decreasing order, and the examples that have them."""

    values: Float[np.ndarray, "F n"]  # 0 where a unit has fired on fewer than n examples
    examples: Int[np.ndarray, "F n"]  # positions in the stream; -1 where there is none
    seen: int = 0  # the number of examples so far


def add_top_examples(top: TopExamples | None, codes: ArrayLike, *, count: int = 10) -> TopExamples:
    """Returns the top examples with the codes of the next batch of the stream.

    The result depends on the stream only, not on its division into batches: of equal codes the earlier one is kept.
    Only positive codes count, so a unit that never fires has no example.

    Args:
      top: the result for earlier batches; None for the first.
      codes: (B, F) codes of the next B examples.
      count: n, of every unit, for the first batch.

    Raises:
      TypeError: the codes are not numbers, or `count` is not an integer.
      ValueError: the codes are not a matrix, the number of units has changed, or `count` is below 1.

    >>> top = add_top_examples(None, np.array([[1.0, 0.0], [3.0, 0.0]]), count=2)
    >>> top = add_top_examples(top, np.array([[3.0, 0.5]]))
    >>> top.values.tolist(), top.examples.tolist()
    ([[3.0, 3.0], [0.5, 0.0]], [[1, 2], [2, -1]])
    """
    matrix = np.asarray(as_array("codes", codes)).astype(np.float32)
    if matrix.ndim != 2:
        raise ValueError(f"codes must have shape (examples, units), got {matrix.shape}")
    if top is None:
        check_count("count", count)
        shape = (matrix.shape[1], count)
        top = TopExamples(np.zeros(shape, np.float32), np.full(shape, -1, np.int64))
    if matrix.shape[1] != len(top.values):
        raise ValueError(f"codes must have {len(top.values)} units as in earlier batches, got {matrix.shape[1]}")
    seen, kept = top.seen, top.values.shape[1]
    # later examples need a larger code than the smallest kept one: most units change rarely, and are skipped
    changed = np.flatnonzero(matrix.max(axis=0, initial=0) > top.values[:, -1])
    if changed.size:
        new = np.maximum(matrix[:, changed].T, 0)
        values = np.concatenate([top.values[changed], new], axis=1)
        places = np.broadcast_to(np.arange(seen, seen + len(matrix)), new.shape)
        examples = np.concatenate([top.examples[changed], np.where(new > 0, places, -1)], axis=1)
        order = np.argsort(-values, axis=1, kind="stable")[:, :kept]  # columns are in the order of the stream
        top = top._replace(values=top.values.copy(), examples=top.examples.copy())
        top.values[changed] = np.take_along_axis(values, order, axis=1)
        top.examples[changed] = np.take_along_axis(examples, order, axis=1)
    return top._replace(seen=seen + len(matrix))

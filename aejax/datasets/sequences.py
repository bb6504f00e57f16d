"""Sequences of unequal length in one array: NaN fills the steps after the end of each."""

from collections.abc import Sequence

import numpy as np

from aejax.errors import UserError


def lengths_of(x: np.ndarray) -> np.ndarray:
    """Returns the number of real steps of every sequence, (N,): those before the steps that are NaN to the end.

    Args:
      x: (N, T) or (N, T, C).

    >>> lengths_of(np.array([[1.0, 2.0], [3.0, np.nan]])).tolist()
    [2, 1]
    """
    is_real = ~np.isnan(x).reshape(*x.shape[:2], -1).all(axis=2)
    return np.where(is_real.any(axis=1), x.shape[1] - np.argmax(is_real[:, ::-1], axis=1), 0)


def has_padding(x: np.ndarray) -> bool:
    """Returns whether an array in memory holds NaN."""
    return isinstance(x, np.ndarray) and x.dtype.kind == "f" and bool(np.isnan(np.min(x, initial=0)))


def check_padding(x: np.ndarray, name: str) -> None:
    """Raise UserError for NaN that is not padding: a step with and without it, or a real step after it.

    >>> check_padding(np.array([[1.0, np.nan, 2.0]]), "mine.npy")
    Traceback (most recent call last):
    ...
    aejax.errors.UserError: mine.npy: example 0 (from 0) holds NaN in step 1, before its last step, 2: NaN is accepted \
as padding after the end of sequences (N, T) or (N, T, C); remove the examples or replace the values
    """
    advice = "NaN is accepted as padding after the end of sequences (N, T) or (N, T, C); remove the examples or "
    advice += "replace the values"
    is_missing = np.isnan(x).reshape(len(x), x.shape[1], -1)
    if x.ndim > 3:
        raise UserError(f"{name}: holds NaN in examples of shape {x.shape[1:]}: {advice}")
    lengths = lengths_of(x)
    inside = is_missing.any(axis=2) & (np.arange(x.shape[1]) < lengths[:, None])
    if inside.any():
        example, step = np.argwhere(inside)[0]
        raise UserError(
            f"{name}: example {example} (from 0) holds NaN in step {step}, before its last step, "
            f"{lengths[example] - 1}: {advice}"
        )
    if (empty := np.flatnonzero(lengths == 0)).size:
        raise UserError(f"{name}: example {empty[0]} (from 0) has no step: all its values are NaN; remove it")


def check_lengths(lengths: np.ndarray, x_shape: tuple[int, ...], name: str) -> np.ndarray:
    """Returns the lengths of sequences x (N, T, ...) as integers (N,).

    Raises:
      UserError: they are not N whole numbers from 1 to T, or x does not hold sequences.
    """
    if len(x_shape) not in (2, 3):
        raise UserError(f"{name}: lengths expect sequences x (N, T) or (N, T, C), got x of shape {x_shape}")
    if lengths.shape != x_shape[:1] or lengths.dtype.kind not in "iuf" or not np.array_equal(lengths, lengths // 1):
        raise UserError(
            f"{name}: lengths must be {x_shape[0]} whole numbers, one per sequence, got shape {lengths.shape} and "
            f"dtype {lengths.dtype}"
        )
    wrong = np.flatnonzero((lengths < 1) | (lengths > x_shape[1]))
    if wrong.size:
        raise UserError(
            f"{name}: lengths must be from 1 to {x_shape[1]}, the steps of x, got {lengths[wrong[0]]:g} for example "
            f"{wrong[0]} (from 0)"
        )
    return lengths.astype(np.int64)


def is_padding(lengths: np.ndarray, steps: int) -> np.ndarray:
    """Returns whether each step of sequences with these lengths is padding, (N, T).

    >>> is_padding(np.array([2, 1]), 2).tolist()
    [[False, False], [False, True]]
    """
    return np.arange(steps) >= lengths[:, None]


def stacked(sequences: Sequence[np.ndarray], steps: int) -> np.ndarray:
    """Returns sequences (T_n,) or (T_n, C) as one array (N, steps, ...) float32; longer ones are cut.

    >>> stacked([np.array([1.0, 2.0, 3.0]), np.array([4.0])], 2).tolist()
    [[1.0, 2.0], [4.0, nan]]
    """
    x = np.full((len(sequences), steps, *sequences[0].shape[1:]), np.nan, np.float32)
    for place, sequence in enumerate(sequences):
        x[place, : len(sequence)] = sequence[:steps]
    return x


def with_steps(x: np.ndarray, steps: int) -> np.ndarray:
    """Returns sequences (N, T, ...) with `steps` >= T steps, padded with NaN."""
    return np.pad(x, [(0, 0), (0, steps - x.shape[1]), *[(0, 0)] * (x.ndim - 2)], constant_values=np.nan)


def describe_lengths(x: np.ndarray, name: str) -> str:
    """Returns a line for the user on the lengths of sequences.

    >>> describe_lengths(np.array([[1.0, 2.0], [3.0, np.nan]]), "mine.npy")
    'mine.npy: sequences of 1 to 2 steps, 1.5 on average; losses are sums over real steps'
    """
    lengths = lengths_of(x)
    return (
        f"{name}: sequences of {lengths.min():,} to {lengths.max():,} steps, {lengths.mean():.4g} on average; losses "
        "are sums over real steps"
    )


def cut_like(decoded: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Returns decoded sequences (N, T, ...) with NaN in the steps that are padding in x."""
    return np.where(np.isnan(x), np.float32(np.nan), decoded)


def cut_to(decoded: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns decoded sequences (N, T, ...) with NaN after these lengths (N,).

    >>> cut_to(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 2])).tolist()
    [[1.0, nan], [3.0, 4.0]]
    """
    return np.where(
        is_padding(lengths, decoded.shape[1]).reshape(*decoded.shape[:2], *(1,) * (decoded.ndim - 2)),
        decoded.dtype.type(np.nan),
        decoded,
    )


def real_steps(x: np.ndarray) -> np.ndarray:
    """Returns the real steps of all sequences (N, T) or (N, T, C), one after the other: (M, C), C = 1 for (N, T).

    >>> real_steps(np.array([[1.0, 2.0], [3.0, np.nan]])).tolist()
    [[1.0], [2.0], [3.0]]
    """
    steps = x.reshape(*x.shape[:2], -1)
    return steps[~is_padding(lengths_of(x), x.shape[1])]

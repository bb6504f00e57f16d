"""Streaming: examples stay on the host, and batches are gathered in the background while the devices compute."""

import itertools
import mmap
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import jax
import numpy as np
from jaxtyping import PyTree

from aejax.autoencoders import Examples
from aejax.datasets.stored import FileRows, StoredArray
from aejax.likelihoods import Likelihood, check_support
from aejax.training.entrance import check_finite

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")

ADVICE = "scale them, or use another likelihood"


def on_host(tree: PyTree) -> PyTree:
    """Returns arrays or files on the host; a mapped file becomes a `StoredArray`, whose pages do not stay in memory."""

    def leaf_on_host(leaf: PyTree) -> PyTree:
        is_whole_file = isinstance(leaf, np.memmap) and isinstance(leaf.base, mmap.mmap) and leaf.flags.c_contiguous
        if is_whole_file and leaf.dtype == StoredArray.dtype:
            return StoredArray(FileRows(leaf))
        return leaf if isinstance(leaf, StoredArray) else np.asarray(leaf)

    return jax.tree.map(leaf_on_host, tree)


def in_memory(tree: PyTree) -> PyTree:
    """Returns a tree of arrays: files are read, arrays stay as they are."""
    return jax.tree.map(lambda leaf: leaf if isinstance(leaf, jax.Array) else np.asarray(leaf), tree)


def gather(
    examples: Examples, positions: np.ndarray, likelihood: Likelihood | None, name: str, *, missing: bool = False
) -> Examples:
    """Returns the examples at `positions`, of any shape, as arrays (*positions.shape, ...); `missing` allows NaN.

    Raises:
      UserError: an example holds NaN or infinity, is outside the likelihood's range, or cannot be read.
    """
    flat = positions.reshape(-1)
    gathered = jax.tree.map(lambda leaf: leaf[flat].reshape(*positions.shape, *leaf.shape[1:]), examples)
    check_finite(gathered._replace(x=gathered.x.reshape(len(flat), -1)), name, missing=missing)
    if likelihood is not None:
        check_support(likelihood, gathered.x, name, advice=ADVICE)
    return gathered


def prefetch(load: Callable[[Item], Loaded], items: Iterable[Item]) -> Generator[Loaded, None, None]:
    """Yields `load(item)` for each item in order; the next one is loaded in another thread meanwhile.

    An error of `load` is raised in place of its result. Closing the generator waits for the load in progress.

    >>> list(prefetch(lambda number: number**2, range(4)))
    [0, 1, 4, 9]
    """
    items = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
        ahead: deque[Future[Loaded]] = deque(pool.submit(load, item) for item in itertools.islice(items, 1))
        while ahead:
            ahead.extend(pool.submit(load, item) for item in itertools.islice(items, 1))
            yield ahead.popleft().result()

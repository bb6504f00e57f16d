"""Random examples of a data set, for what is too expensive for all of them."""

import numpy as np
from jaxtyping import Int

from aejax.datasets.dataset import Dataset, take


def random_positions(examples: int, count: int, *, seed: int) -> Int[np.ndarray, "N"]:
    """Returns the sorted positions of at most `count` random examples; of all examples if there are no more.

    The first examples are no sample of data that are ordered, by class for instance. With the same seed, the positions
    of a smaller count are among those of a larger one.

    Args:
      examples: the number of examples.
      count: the maximum number of positions.
      seed: of the choice.

    >>> random_positions(3, 5, seed=0).tolist()
    [0, 1, 2]
    >>> random_positions(1000, 3, seed=0).tolist()
    [206, 222, 459]
    """
    if examples <= count:
        return np.arange(examples)
    return np.sort(np.random.default_rng(seed).permutation(examples)[:count])


def random_subset(dataset: Dataset, count: int, *, seed: int) -> Dataset:
    """Returns the examples at `random_positions`, in their order; files are not read.

    >>> random_subset(Dataset(np.arange(6.0).reshape(3, 2)), 2, seed=0).x.shape
    (2, 2)
    """
    if len(dataset.x) <= count:
        return dataset
    return take(dataset, random_positions(len(dataset.x), count, seed=seed))

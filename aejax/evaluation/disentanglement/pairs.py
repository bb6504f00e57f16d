"""Random examples of a table that share the value of one factor, in place of a generator with a fixed factor."""

import numpy as np
from jaxtyping import Int

LEAST = 2  # examples with the same value


class SharedValues:
    """For one factor, the examples with every value; those whose value no other example has are never drawn."""

    def __init__(self, classes: Int[np.ndarray, "N"], *, factor: int) -> None:
        """Sorts the examples by value.

        Args:
          classes: the values of the factor, numbers from 0.
          factor: its position, for error messages.

        Raises:
          ValueError: no two examples share a value.
        """
        counts = np.bincount(classes)
        self._order = np.argsort(classes, kind="stable")
        self._starts, self._counts, self._classes = np.cumsum(counts) - counts, counts, classes
        self._eligible = np.flatnonzero(counts[classes] >= LEAST)
        if not self._eligible.size:
            raise ValueError(f"no two examples share the value of factor {factor} (from 0)")

    def groups(self, generator: np.random.Generator, shape: tuple[int, int]) -> Int[np.ndarray, "G M"]:
        """Returns groups of M examples, drawn with replacement among those that share a random example's value."""
        values = self._classes[generator.choice(self._eligible, shape[0])][:, None]
        return self._order[self._starts[values] + generator.integers(0, self._counts[values], shape)]

    def pairs(self, generator: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Returns two arrays of examples; those at one place differ, and share a value that is random at each place."""
        first = generator.choice(self._eligible, shape)
        values = self._classes[first]
        rank = np.empty(len(self._order), np.int64)
        rank[self._order] = np.arange(len(self._order))
        steps = generator.integers(1, self._counts[values])  # from one example to another with the same value
        place = (rank[first] - self._starts[values] + steps) % self._counts[values]
        return first, self._order[self._starts[values] + place]

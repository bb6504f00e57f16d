"""Weights that follow the steps of a run: `schedule(step) -> weight`."""

from collections.abc import Callable

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array

from aejax.checks import check_in_range, check_positive

Schedule = Callable[[ArrayLike], Array]


def linear_warm_up(steps: int, *, end: float = 1.0) -> Schedule:
    """Rises from 0 to `end` over so many steps, and stays there.

    Source: S. R. Bowman et al. (2016), Generating Sentences from a Continuous Space, section 3.1.

    >>> [linear_warm_up(10)(step).item() for step in (0, 5, 10, 20)]
    [0.0, 0.5, 1.0, 1.0]
    """
    check_positive("steps", steps)
    return lambda step: end * jnp.clip(jnp.asarray(step, jnp.float32) / steps, 0, 1)


def cyclical_warm_up(steps_per_cycle: int, *, cycles: int, rising: float = 0.5, end: float = 1.0) -> Schedule:
    """Rises from 0 to `end` over the first part of each cycle, stays for the rest, and begins anew; at last it stays.

    Args:
      steps_per_cycle: of each cycle.
      cycles: how many; after them the weight is `end`.
      rising: the part of a cycle over which the weight rises, in (0, 1].
      end: the highest weight.

    Source: H. Fu et al. (2019), Cyclical Annealing Schedule, eq. 6.

    >>> [cyclical_warm_up(10, cycles=2)(step).item() for step in (0, 5, 9, 10, 12, 25)]
    [0.0, 1.0, 1.0, 0.0, 0.4000000059604645, 1.0]
    """
    check_positive("steps_per_cycle", steps_per_cycle)
    check_positive("cycles", cycles)
    check_positive("rising", rising)
    check_in_range("rising", rising, 0.0, 1.0)

    def schedule(step: ArrayLike) -> Array:
        step = jnp.asarray(step)
        phase = (step % steps_per_cycle).astype(jnp.float32) / (rising * steps_per_cycle)
        return end * jnp.where(step < cycles * steps_per_cycle, jnp.clip(phase, 0, 1), 1.0)

    return schedule

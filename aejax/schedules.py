"""Schedules of weights over the steps of training: `schedule(step) -> weight`."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array

from aejax.checks import check_in_range, check_positive
from aejax.precision import knob

Schedule = Callable[[ArrayLike], Array]


def linear_warm_up(steps: float, *, end: ArrayLike = 1.0) -> Schedule:
    """Returns a schedule that rises linearly from 0 to `end` and stays there: end · min(step / steps, 1).

    Args:
      steps: the length of the rise, in steps.
      end: the final weight.

    Returns:
      A schedule whose weight is a float32 scalar, whatever the types of the arguments.

    Raises:
      ValueError: steps is not positive and finite, or end is negative or not finite.

    Source: S. R. Bowman et al. (2016), Generating Sentences from a Continuous Space, section 3.1.

    >>> [linear_warm_up(10)(step).item() for step in (0, 5, 10, 20)]
    [0.0, 0.5, 1.0, 1.0]
    """
    check_positive("steps", steps)
    check_in_range("end", end, 0.0)
    length, end = knob(steps, jnp.float32), knob(end, jnp.float32)
    return lambda step: end * jnp.clip(jnp.asarray(step, jnp.float32) / length, 0, 1)


def cyclical_warm_up(
    steps_per_cycle: float, *, cycles: int, rising_fraction: float = 0.5, end: ArrayLike = 1.0
) -> Schedule:
    """Returns a schedule of `cycles` cycles, each a linear rise from 0 to `end` followed by a constant phase at `end`.

    Args:
      steps_per_cycle: the length of a cycle, in steps.
      cycles: the number of cycles; after them the weight stays at `end`.
      rising_fraction: the fraction of a cycle over which the weight rises, in (0, 1].
      end: the highest weight.

    Returns:
      A schedule whose weight is a float32 scalar, whatever the types of the arguments.

    Raises:
      ValueError: steps_per_cycle or cycles is not positive and finite, rising_fraction is outside (0, 1], or end is
        negative or not finite.

    Source: H. Fu et al. (2019), Cyclical Annealing Schedule, eq. 6.

    >>> [cyclical_warm_up(10, cycles=2)(step).item() for step in (0, 5, 9, 10, 12, 25)]
    [0.0, 1.0, 1.0, 0.0, 0.4000000059604645, 1.0]
    """
    check_positive("steps_per_cycle", steps_per_cycle)
    check_positive("cycles", cycles)
    check_positive("rising_fraction", rising_fraction)
    check_in_range("rising_fraction", rising_fraction, 0.0, 1.0)
    check_in_range("end", end, 0.0)
    # Python numbers: a product of narrow NumPy integers overflows, and a NumPy float64 promotes the weight
    period, rise = _python_number(steps_per_cycle), _python_number(rising_fraction) * _python_number(steps_per_cycle)
    last = _python_number(cycles) * period
    if not isinstance(last, Tracer):
        last = min(last, 2**31 - 1)  # the largest step
    rise, end = knob(rise, jnp.float32), knob(end, jnp.float32)

    def schedule(step: ArrayLike) -> Array:
        step = jnp.asarray(step)
        if isinstance(period, float) or isinstance(last, float):
            step = step.astype(jnp.float32)
        phase = (step % period).astype(jnp.float32) / rise
        return end * jnp.where(step < last, jnp.clip(phase, 0, 1), 1.0)

    return schedule


def _python_number(value: ArrayLike) -> Any:
    """Returns a whole number as an int, another one as a float, and a traced one unchanged."""
    if isinstance(value, Tracer):
        return value
    return int(value) if float(value).is_integer() else float(value)  # type: ignore[arg-type]

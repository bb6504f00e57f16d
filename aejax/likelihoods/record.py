"""A likelihood is a value: a record of pure functions; and what data it can explain."""

import math
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from aejax.errors import UserError

Shape = tuple[int, ...]


class Support(NamedTuple):
    """The values that a feature may take."""

    low: float  # the least
    high: float  # the greatest
    integers: bool = False  # whole numbers only
    open: bool = False  # the least and the greatest themselves are left out


class Likelihood(NamedTuple):
    """The distribution p(x | parameters) of one example; `parameters` is what the decoder returns, constrained.

    The densities hold for all parameters; `constrain` bounds logarithms of scales and rates where a
    decoder's output becomes parameters.
    """

    log_prob: Callable[[Array, Array], Array]  # (x, parameters) -> scalar, in nats, with all constants
    mean: Callable[[Array], Array]  # parameters -> E[x], in data space
    sample: Callable[[Array, Array], Array]  # (key, parameters) -> x
    support: Support
    name: str = "the likelihood"  # in messages
    parameters: Callable[[Shape], Shape] | None = None  # shape of x -> shape of the parameters; None: the same
    constrain: Callable[[Array], Array] | None = None  # a decoder's output -> parameters that are safe; None: as it is


def trailing_axis(size: int) -> Callable[[Shape], Shape]:
    """Of a likelihood that wants `size` numbers per feature: from the shape of x to that of the parameters.

    >>> trailing_axis(2)((28, 28))
    (28, 28, 2)
    """
    return lambda shape: (*shape, size)


def constrain(likelihood: Likelihood, output: Array) -> Array:
    """The parameters that a decoder's output stands for: logarithms of scales and rates are bounded.

    >>> import jax.numpy as jnp
    >>> from aejax.likelihoods import poisson
    >>> constrain(poisson(), jnp.array([5.0, 1000.0])).round(3).tolist()  # log-rates
    [5.0, 16.89...]
    """
    return output if likelihood.constrain is None else likelihood.constrain(output)


def check_trailing_axis(parameters: ArrayLike, size: int, wanted: str) -> None:
    """Raise ValueError unless the parameters of a likelihood have a last axis of that size, for what is `wanted`.

    >>> check_trailing_axis(np.zeros((4, 3)), 2, "numbers, a mean and a log-variance")
    Traceback (most recent call last):
    ...
    ValueError: the parameters must have a last axis of 2 numbers, a mean and a log-variance; got shape (4, 3)
    """
    if np.shape(parameters)[-1:] != (size,):
        raise ValueError(f"the parameters must have a last axis of {size} {wanted}; got shape {np.shape(parameters)}")


def parameter_shape(likelihood: Likelihood, shape: Shape) -> Shape:
    """The shape that a decoder must return for examples of `shape`.

    Args:
      likelihood: of one example.
      shape: of x; where a class may be given as a number or one-hot, as a number.

    >>> from aejax.likelihoods import categorical, gaussian
    >>> parameter_shape(gaussian(), (28, 28)), parameter_shape(categorical(classes=5), (7,))
    ((28, 28), (7, 5))
    """
    return tuple(shape) if likelihood.parameters is None else likelihood.parameters(tuple(shape))


def check_support(likelihood: Likelihood, x: Any, name: str, *, advice: str = "scale them") -> None:
    """Raise UserError where data lie outside the support of a likelihood.

    Args:
      likelihood: whose `support` is meant.
      x: data of any shape.
      name: what the message calls the data: a file, a data set or a column.
      advice: what the message tells the user to do about values out of range.

    Raises:
      UserError: a value below, above or (where the support is open) on a bound, a missing or infinite one, a fraction
        where only whole numbers are wanted, or text.

    >>> from aejax.likelihoods import poisson
    >>> check_support(poisson(), np.array([0.0, 2.5]), "visits.npy")
    Traceback (most recent call last):
    ...
    aejax.errors.UserError: visits.npy: poisson wants whole numbers, and there are fractions such as 2.5
    """
    support, values = likelihood.support, numbers_of(x, name)
    if values.size == 0:
        return
    low, high = float(np.min(values)), float(np.max(values))
    if not (np.isfinite(low) and np.isfinite(high)):
        missing = int(np.count_nonzero(np.isnan(values)))
        found = f"; {missing} of {values.size} are missing (NaN)" if missing else ""
        raise UserError(
            f"{name}: {likelihood.name} wants finite values, and they reach from {low:g} to {high:g}{found}: fill them "
            "in, by the median of their column for instance, or leave out their rows"
        )
    inside = support.low < low and high < support.high if support.open else support.low <= low and high <= support.high
    if not inside:
        left, right = "()" if support.open else "[]"
        raise UserError(
            f"{name}: {likelihood.name} wants values in {left}{support.low:g}, {support.high:g}{right}, and they reach "
            f"from {low:g} to {high:g}; {advice}"
        )
    if support.integers and (fractions := values[values != np.round(values)]).size:
        raise UserError(
            f"{name}: {likelihood.name} wants whole numbers, and there are fractions such as {fractions[0]:g}"
        )


def numbers_of(x: Any, name: str) -> np.ndarray:
    """Data as an array of real numbers; UserError, which calls the data by `name`, where they are text or ragged.

    A None or a pandas.NA is a missing value, NaN.

    >>> numbers_of([[1, None], [3, 4.5]], "rows").tolist()
    [[1.0, nan], [3.0, 4.5]]
    """
    try:
        values = np.asarray(np.ma.filled(x, np.nan) if isinstance(x, np.ma.MaskedArray) else x)
    except ValueError as error:
        raise UserError(f"{name}: the rows must be of one length, and are not") from error
    if values.dtype == object:
        flat = [math.nan if value is None or type(value).__name__ == "NAType" else value for value in values.ravel()]
        if others := [value for value in flat if not isinstance(value, numbers.Real | np.number)]:
            raise UserError(f"{name}: numbers are wanted, and there is {others[0]!r:.80}; give each class a number")
        return np.array(flat, np.float64).reshape(values.shape)
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind not in "iuf" and not jnp.issubdtype(values.dtype, jnp.floating):
        example = f" such as {str(values.flat[0])!r}" if values.size else ""
        raise UserError(f"{name}: numbers are wanted, and they are of type {values.dtype}{example}")
    return values

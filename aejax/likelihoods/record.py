"""A likelihood as a record of pure functions, its support, and checks of data against it."""

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
_LEVEL_TOLERANCE = 1e-3  # of a level: bytes divided by 255 in single precision deviate by up to 2e-5


class Support(NamedTuple):
    """The values that a feature may take."""

    low: float  # the lower bound
    high: float  # the upper bound
    integers: bool = False  # whether only whole numbers are allowed
    open: bool = False  # whether the bounds themselves are excluded
    missing: bool = False  # whether NaN is a missing value, which has no term in the log-probability
    levels: int | None = None  # n + 1 if only the multiples k/n are allowed: the log-probability is that of a level


class Likelihood(NamedTuple):
    """The distribution p(x | parameters) of one example; the parameters are the decoder's output after `constrain`.

    `log_prob`, `mean` and `sample` accept any parameters. `constrain` bounds the logarithms of scales and rates, so
    that a decoder's output never overflows.
    """

    log_prob: Callable[[Array, Array], Array]  # (x, parameters) -> scalar, in nats, with all normalizing constants
    mean: Callable[[Array], Array]  # parameters -> E[x], in data space
    sample: Callable[[Array, Array], Array]  # (key, parameters) -> x
    support: Support
    name: str = "the likelihood"  # in messages
    parameters: Callable[[Shape], Shape] | None = None  # shape of x -> shape of the parameters; None: the same shape
    constrain: Callable[[Array], Array] | None = None  # a decoder's output -> parameters; None: the output itself


def trailing_axis(size: int) -> Callable[[Shape], Shape]:
    """Returns the function from x's shape to the parameters' shape for a likelihood with `size` parameters per feature.

    >>> trailing_axis(2)((28, 28))
    (28, 28, 2)
    """
    return lambda shape: (*shape, size)


def constrain(likelihood: Likelihood, output: Array) -> Array:
    """Returns a decoder's output as parameters of the likelihood: logarithms of scales and rates are bounded.

    Args:
      likelihood: the likelihood of one example.
      output: the decoder's output, of shape `parameter_shape(likelihood, x.shape)`.

    Returns:
      The parameters, of the shape and dtype of output.

    >>> import jax.numpy as jnp
    >>> from aejax.likelihoods import poisson
    >>> constrain(poisson(), jnp.array([5.0, 1000.0])).round(3).tolist()  # log-rates
    [5.0, 16.89...]
    """
    return output if likelihood.constrain is None else likelihood.constrain(output)


def check_trailing_axis(parameters: ArrayLike, size: int, expected: str) -> None:
    """Raise ValueError, which names what is `expected`, unless the parameters have a last axis of length `size`.

    >>> check_trailing_axis(np.zeros((4, 3)), 2, "numbers, a mean and a log-variance")
    Traceback (most recent call last):
    ...
    ValueError: the parameters must have a last axis of 2 numbers, a mean and a log-variance; got shape (4, 3)
    """
    if np.shape(parameters)[-1:] != (size,):
        raise ValueError(f"the parameters must have a last axis of {size} {expected}; got shape {np.shape(parameters)}")


def parameter_shape(likelihood: Likelihood, shape: Shape) -> Shape:
    """Returns the shape that a decoder's output must have for examples of the given shape.

    Args:
      likelihood: the likelihood of one example.
      shape: the shape of x; for classes, the shape of x as numbers, not as one-hot vectors.

    >>> from aejax.likelihoods import categorical, gaussian
    >>> parameter_shape(gaussian(), (28, 28)), parameter_shape(categorical(classes=5), (7,))
    ((28, 28), (7, 5))
    """
    return tuple(shape) if likelihood.parameters is None else likelihood.parameters(tuple(shape))


def check_support(likelihood: Likelihood, x: Any, name: str, *, advice: str = "scale them") -> None:
    """Raise UserError if data lie outside the support of a likelihood.

    Args:
      likelihood: the likelihood whose `support` the data must lie in.
      x: data of any shape.
      name: the name of the data in the message: a file, a data set or a column.
      advice: what the message advises for values out of range.

    Raises:
      UserError: a value is out of range (or, if the support is open, on a bound), missing or infinite, a fraction where
        only whole numbers are allowed, a value between levels, or text.

    >>> from aejax.likelihoods import poisson
    >>> check_support(poisson(), np.array([0.0, 2.5]), "visits.npy")
    Traceback (most recent call last):
    ...
    aejax.errors.UserError: visits.npy: poisson expects whole numbers, but there are fractions such as 2.5
    """
    support, values = likelihood.support, numbers_of(x, name)
    if support.missing:
        values = values[~np.isnan(values)]
    if values.size == 0:
        return
    low, high = float(np.min(values)), float(np.max(values))
    if not (np.isfinite(low) and np.isfinite(high)):
        counts = {"missing (NaN)": np.isnan(values), "infinite": np.isinf(values)}
        found = [f"{flags.sum()} of {flags.size} are {what}" for what, flags in counts.items() if flags.any()]
        raise UserError(
            f"{name}: {likelihood.name} expects finite values, but {' and '.join(found)}; fill them "
            "in, for instance by the median of their column, or remove their rows"
        )
    inside = support.low < low and high < support.high if support.open else support.low <= low and high <= support.high
    if not inside:
        left, right = "()" if support.open else "[]"
        raise UserError(
            f"{name}: {likelihood.name} expects values in {left}{support.low:g}, {support.high:g}{right}, but they "
            f"range from {low:g} to {high:g}; {advice}"
        )
    if support.integers and (fractions := values[values != np.round(values)]).size:
        raise UserError(
            f"{name}: {likelihood.name} expects whole numbers, but there are fractions such as {fractions[0]:g}"
        )
    if support.levels is not None:
        places = values.astype(np.float64) * (support.levels - 1)
        if (between := values[np.abs(places - np.round(places)) > _LEVEL_TOLERANCE]).size:
            raise UserError(
                f"{name}: {likelihood.name} expects multiples of 1/{support.levels - 1}, such as bytes divided by "
                f"{support.levels - 1}, but there are other values, such as {between[0]:g}"
            )


def numbers_of(x: Any, name: str) -> np.ndarray:
    """Returns data as an array of real numbers on the host; None and pandas.NA, missing values, become NaN.

    Args:
      x: numbers of any real type, such as an array, lists or a masked array.
      name: the name of the data in the message.

    Raises:
      UserError: the data are text, or rows differ in length.

    >>> numbers_of([[1, None], [3, 4.5]], "rows").tolist()
    [[1.0, nan], [3.0, 4.5]]
    """
    try:
        values = np.asarray(np.ma.filled(x, np.nan) if isinstance(x, np.ma.MaskedArray) else x)
    except ValueError as error:
        raise UserError(f"{name}: all rows must have the same length, but their lengths differ") from error
    if values.dtype == object:
        flat = [math.nan if value is None or type(value).__name__ == "NAType" else value for value in values.ravel()]
        if others := [value for value in flat if not isinstance(value, numbers.Real | np.number)]:
            raise UserError(f"{name}: expected numbers, but there is {others[0]!r:.80}; give each class a number")
        return np.array(flat, np.float64).reshape(values.shape)
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind not in "iuf" and not jnp.issubdtype(values.dtype, jnp.floating):
        example = f" such as {str(values.flat[0])!r}" if values.size else ""
        raise UserError(f"{name}: expected numbers, but the values have type {values.dtype}{example}")
    return values

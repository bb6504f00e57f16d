"""Checks at the entrance of public functions: what was got, and what was wanted."""

import numbers

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike


def check_floating(**arrays: ArrayLike) -> None:
    """Raise TypeError unless every array, given by its name, is of a floating type."""
    for name, array in arrays.items():
        dtype = jnp.result_type(array)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(f"{name} must be a floating-point array, got dtype {dtype}")


def check_same_shape(**arrays: ArrayLike) -> None:
    """Raise ValueError unless all arrays, given by their names, have one shape: nothing broadcasts in silence."""
    shapes = {name: jnp.shape(array) for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        got = ", ".join(f"{name} has {shape}" for name, shape in shapes.items())
        raise ValueError(f"shapes must be equal: {got}")


def check_in_range(name: str, value: ArrayLike, low: float, high: float = float("inf")) -> None:
    """Raise ValueError unless low <= value <= high; a traced value passes, since it has none yet."""
    if isinstance(value, Tracer):
        return
    if not low <= float(value) <= high:  # type: ignore[arg-type]
        wanted = f"at least {low:g}" if high == float("inf") else f"between {low:g} and {high:g}"
        raise ValueError(f"{name} must be {wanted}, got {value}")


def check_positive(name: str, value: ArrayLike) -> None:
    """Raise ValueError unless 0 < value < infinity; a traced value passes, since it has none yet."""
    if not isinstance(value, Tracer) and not 0 < float(value) < float("inf"):  # type: ignore[arg-type]
        raise ValueError(f"{name} must be positive and finite, got {value}")


def check_count(name: str, count: int, least: int = 1) -> None:
    """Raise TypeError unless a number of something is an integer, NumPy's too, ValueError unless it is large enough."""
    if not isinstance(count, numbers.Integral) or isinstance(count, bool):
        raise TypeError(f"{name} must be an integer, got {count!r}")
    if count < least:
        raise ValueError(f"{name} must be at least {least}, got {count}")


def as_float64(name: str, values: ArrayLike) -> np.ndarray:
    """Numbers of any real type as float64 on the host, where neither bytes wrap nor large offsets cancel.

    Raises:
      TypeError: `values`, called `name`, are not real numbers.

    >>> as_float64("x", np.array([3], np.uint8)) - 4
    array([-1.])
    """
    array = np.asarray(values)
    if not any(jnp.issubdtype(array.dtype, kind) for kind in (np.bool_, np.integer, np.floating)):
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array.astype(np.float64)


def as_floats(name: str, values: ArrayLike) -> np.ndarray:
    """Numbers of single or double precision as they are, those of any other real type as float64, on the host.

    Raises:
      TypeError: `values`, called `name`, are not real numbers.
      ValueError: NaN or infinity.

    >>> as_floats("x", np.array([[3]], np.uint8)) - 4
    array([[-1.]])
    """
    array = np.asarray(values)
    array = array if array.dtype in (np.float32, np.float64) else as_float64(name, array)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return array


def as_booleans(name: str, values: ArrayLike) -> np.ndarray:
    """Booleans, or numbers of any type that are 0 or 1, as booleans on the host.

    Raises:
      TypeError: `values`, called `name`, are not real numbers.
      ValueError: a number that is neither 0 nor 1.

    >>> as_booleans("is_anomaly", [0, 1, 1])
    array([False,  True,  True])
    """
    numbers_given = as_float64(name, values)
    if others := np.setdiff1d(numbers_given, [0, 1])[:1].tolist():
        raise ValueError(f"{name} must hold booleans, or 0 and 1, got {others[0]:g}")
    return numbers_given == 1

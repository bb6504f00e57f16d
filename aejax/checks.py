"""Checks of the arguments of public functions: each error says what was passed and what is expected."""

import math
import numbers
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike


def check_floating(**arrays: ArrayLike) -> None:
    """Raise TypeError unless every argument, passed by its name, is a JAX or NumPy array of a floating type."""
    for name, array in arrays.items():
        check_array(**{name: array})
        dtype = jnp.result_type(array)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(f"{name} must be a floating-point array, got dtype {dtype}")


def check_array(**arrays: ArrayLike) -> None:
    """Raise TypeError if an argument, passed by its name, is a list, a DataFrame or a tensor of another library."""
    for name, array in arrays.items():
        if not (
            isinstance(array, jax.Array | np.ndarray | np.generic | numbers.Number) or hasattr(array, "__jax_array__")
        ):
            raise TypeError(
                f"{name} must be a JAX or NumPy array, got {type(array).__name__}; convert it, for instance by "
                f"jnp.asarray({name})"
            )


def check_same_shape(**arrays: ArrayLike) -> None:
    """Raise ValueError unless all arrays, passed by their names, have the same shape: nothing broadcasts silently."""
    shapes = {name: jnp.shape(array) for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        got = ", ".join(f"{name} has {shape}" for name, shape in shapes.items())
        raise ValueError(f"shapes must be equal: {got}")


def check_number_or_shape(x: ArrayLike, **knobs: ArrayLike) -> None:
    """Raise ValueError unless every knob, passed by its name, is one number or an array of the shape of x."""
    for name, value in knobs.items():
        if np.ndim(value):
            check_same_shape(x=x, **{name: value})


def check_vector(**arrays: ArrayLike) -> None:
    """Raise ValueError unless every array, passed by its name, has exactly one axis."""
    for name, array in arrays.items():
        if jnp.ndim(array) != 1:
            raise ValueError(f"{name} must be one vector, got shape {jnp.shape(array)}")


def check_image(x: ArrayLike) -> None:
    """Raise ValueError unless x has the shape of one image, with at least one pixel and one channel."""
    shape = jnp.shape(x)
    if len(shape) not in (2, 3):
        raise ValueError(f"an image must have shape (H, W) or (H, W, C), got {shape}")
    if 0 in shape:
        raise ValueError(f"an image must have at least one pixel and one channel, got shape {shape}")


def check_in_range(name: str, value: ArrayLike, low: float, high: float = math.inf) -> None:
    """Raise ValueError unless value is finite and low <= value <= high; a traced number passes, having no value yet."""
    number = _number(name, value)
    if number is not None and not (low <= number <= high and math.isfinite(number)):
        expected = f"at least {low:g} and finite" if high == math.inf else f"between {low:g} and {high:g}"
        raise ValueError(f"{name} must be {expected}, got {value}")


def check_positive(name: str, value: ArrayLike) -> None:
    """Raise ValueError unless 0 < value < infinity; a traced number passes, since it has no value yet."""
    number = _number(name, value)
    if number is not None and not 0 < number < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value}")


def check_count(name: str, count: int, least: int = 1) -> None:
    """Raise TypeError unless a count is an integer (of Python or NumPy), ValueError unless it is at least `least`."""
    if not isinstance(count, numbers.Integral) or isinstance(count, bool):
        raise TypeError(f"{name} must be an integer, got {count!r}")
    if count < least:
        raise ValueError(f"{name} must be at least {least}, got {count}")


def check_sizes(name: str, sizes: Any, *, at_least: int = 0) -> tuple[int, ...]:
    """Returns sizes, such as the widths of layers or a shape, as a tuple of Python integers.

    Args:
      name: the name of the argument, for error messages.
      sizes: a sequence of integers.
      at_least: the smallest number of sizes allowed.

    Raises:
      TypeError: sizes is not a sequence of integers.
      ValueError: a size is below 1, or there are fewer than `at_least` sizes.

    >>> check_sizes("hidden", [64, 32])
    (64, 32)
    >>> check_sizes("hidden", 64)
    Traceback (most recent call last):
    ...
    TypeError: hidden must be a sequence of integers, such as (64,), got 64
    """
    if isinstance(sizes, str | bytes | dict) or not isinstance(sizes, Iterable):
        raise TypeError(f"{name} must be a sequence of integers, such as (64,), got {sizes!r}")
    sizes = tuple(sizes)
    for size in sizes:
        check_count(f"every number in {name}", size)
    if len(sizes) < at_least:
        raise ValueError(f"{name} must hold at least {at_least} number{'s' * (at_least > 1)}, got {sizes}")
    return tuple(map(int, sizes))


def check_function(name: str, function: Any) -> None:
    """Raise TypeError unless the argument called `name` is callable."""
    if not callable(function):
        raise TypeError(f"{name} must be a function, such as jax.nn.relu, got {function!r}")


def as_float64(name: str, values: ArrayLike) -> np.ndarray:
    """Returns real numbers of any type as float64 on the host: bytes do not wrap, and large offsets do not cancel.

    Args:
      name: the name of the argument, for error messages.
      values: booleans, integers or floating-point numbers, of any shape.

    Raises:
      TypeError: values are not real numbers.

    >>> as_float64("x", np.array([3], np.uint8)) - 4
    array([-1.])
    """
    array = np.asarray(values)
    if not any(jnp.issubdtype(array.dtype, kind) for kind in (np.bool_, np.integer, np.floating)):
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array.astype(np.float64)


def as_floats(name: str, values: ArrayLike) -> np.ndarray:
    """Returns numbers of single or double precision unchanged, and real numbers of other types as float64, on the host.

    Args:
      name: the name of the argument, for error messages.
      values: booleans, integers or floating-point numbers, of any shape.

    Raises:
      TypeError: values are not real numbers.
      ValueError: a value is NaN or infinite.

    >>> as_floats("x", np.array([[3]], np.uint8)) - 4
    array([[-1.]])
    """
    array = np.asarray(values)
    array = array if array.dtype in (np.float32, np.float64) else as_float64(name, array)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return array


def as_booleans(name: str, values: ArrayLike) -> np.ndarray:
    """Returns booleans, or numbers that are 0 or 1, as booleans on the host.

    Args:
      name: the name of the argument, for error messages.
      values: booleans, or numbers of any real type, of any shape.

    Raises:
      TypeError: values are not real numbers.
      ValueError: a number is neither 0 nor 1.

    >>> as_booleans("is_anomaly", [0, 1, 1])
    array([False,  True,  True])
    """
    array = as_float64(name, values)
    if others := np.setdiff1d(array, [0, 1])[:1].tolist():
        raise ValueError(f"{name} must hold booleans, or 0 and 1, got {others[0]:g}")
    return array == 1


def _number(name: str, value: ArrayLike) -> float | None:
    """Returns one real number as a float, None if it is traced; raises TypeError or ValueError for anything else."""
    if isinstance(value, str) or not isinstance(value, jax.Array | np.ndarray | np.generic | numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if np.ndim(value) != 0:
        raise ValueError(f"{name} must be one number, got shape {np.shape(value)}")
    return None if isinstance(value, Tracer) else float(value)


def as_array(name: str, value: Any) -> np.ndarray | jax.Array:
    """Returns the value as an array: a NumPy or JAX array unchanged, and anything else as NumPy reads it.

    NumPy reads lists, data frames and tensors (anything with `__array__`).

    Args:
      name: the name of the argument, for error messages.
      value: an array, or a value that NumPy can read as numbers.

    Raises:
      TypeError: the value does not hold numbers, or is a masked array.

    >>> as_array("x", [[1.0, 2.0], [3.0, 4.0]]).shape
    (2, 2)
    >>> as_array("x", {"a": 1.0})
    Traceback (most recent call last):
    ...
    TypeError: x must be an array of numbers, got dict
    """
    if isinstance(value, jax.Array):
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array of numbers, got a masked array: put numbers where it is masked")
    try:
        array = value if isinstance(value, np.memmap) else np.asarray(value)
    except jax.errors.TracerArrayConversionError:  # a list of traced values
        return jnp.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise TypeError(f"{name} must be an array of numbers, got {type(value).__name__}: {reason}") from error
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool):
        of_dtype = f" of dtype {array.dtype}" if hasattr(value, "__len__") and not isinstance(value, str | dict) else ""
        raise TypeError(f"{name} must be an array of numbers, got {type(value).__name__}{of_dtype}")
    return array


def as_jax_array(name: str, value: Any) -> jax.Array:
    """Returns the value as a JAX array, read as by `as_array`.

    Raises:
      TypeError: the value does not hold numbers, or is a masked array.
      ValueError: it holds integers that JAX would wrap (see `check_integers_fit`).
    """
    array = as_array(name, value)
    check_integers_fit(**{name: array})
    return jnp.asarray(array)


def check_integers_fit(**arrays: Any) -> None:
    """Raise ValueError if a NumPy array holds integers that are too large for JAX, which would silently wrap them.

    JAX's integers have 32 bits unless `jax_enable_x64` is set.

    >>> check_integers_fit(x=np.array([2**32 + 2]))
    Traceback (most recent call last):
    ...
    ValueError: x must hold integers that fit into int32, got 4294967298; pass larger ones as floats
    """
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray | np.generic) or array.dtype.kind not in "iu" or not array.size:
            continue
        narrow = jax.dtypes.canonicalize_dtype(array.dtype)
        if narrow != array.dtype:
            limits = np.iinfo(narrow)
            for extreme in (array.min(), array.max()):
                if not limits.min <= extreme <= limits.max:
                    raise ValueError(
                        f"{name} must hold integers that fit into {narrow}, got {extreme}; pass larger ones as floats"
                    )

"""Checks at the entrance of public functions: what was got, and what was wanted."""

import numbers

import jax.numpy as jnp
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

"""Standardization of data to mean 0 and standard deviation 1, and its inverse: z = (x - m)/s, x = m + s z."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from aejax.checks import check_floating
from aejax.precision import at_least_single


class Standardization(NamedTuple):
    """The statistics m and s > 0, each one number or an array of the shape of ONE example."""

    mean: np.ndarray
    standard_deviation: np.ndarray

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Returns z = (x - m)/s, of x's shape and dtype, computed in at least single precision."""
        mean, deviation = self._for("x", x)
        return ((x.astype(mean.dtype) - mean) / deviation).astype(x.dtype)

    def backward(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        """Returns x = m + s z, the inverse of `forward`, of z's shape and dtype."""
        mean, deviation = self._for("z", z)
        return (mean + deviation * z.astype(mean.dtype)).astype(z.dtype)

    def log_determinant(self, shape: tuple[int, ...]) -> float:
        """Returns Σᵢ log sᵢ over the features of an example of shape `shape`: log p(x) = log p(z) - Σᵢ log sᵢ."""
        logarithms = np.log(self.standard_deviation)
        return float(logarithms) * math.prod(shape) if logarithms.ndim == 0 else float(np.sum(logarithms))

    def log_determinant_of(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """Returns Σᵢ log sᵢ over the features of an example that are known, which are those that are not NaN."""
        logarithms = jnp.asarray(np.log(self.standard_deviation), at_least_single(x.dtype))
        return jnp.sum(jnp.where(jnp.isnan(x), jnp.zeros_like(logarithms), logarithms))

    def _for(self, name: str, x: Array) -> tuple[Array, Array]:
        check_floating(**{name: x})
        for statistic in self:
            if statistic.shape not in ((), jnp.shape(x)):
                raise ValueError(
                    f"mean and standard_deviation must be numbers or have the shape of {name}, {jnp.shape(x)}, got "
                    f"{statistic.shape}"
                )
        dtype = at_least_single(x.dtype)
        return jnp.asarray(self.mean, dtype), jnp.asarray(self.standard_deviation, dtype)


def standardization(*, mean: ArrayLike, standard_deviation: ArrayLike) -> Standardization:
    """Returns the standardization with the given statistics.

    Args:
      mean: m, one number for all features or an array of the shape of one example.
      standard_deviation: s >= 0, one number or an array of the shape of one example; 0, of a constant feature, counts
        as 1.

    Raises:
      ValueError: a statistic is not finite, or standard_deviation is negative.
      TypeError: a statistic is not a real number.

    >>> years = standardization(mean=2000.0, standard_deviation=5.0)
    >>> z = years.forward(jnp.array([1990.0, 2005.0]))
    >>> z.tolist(), years.backward(z).tolist(), round(years.log_determinant((2,)), 4)
    ([-2.0, 1.0], [1990.0, 2005.0], 3.2189)
    """
    statistics = []
    for name, value in (("mean", mean), ("standard_deviation", standard_deviation)):
        array = np.asarray(value)
        if array.dtype.kind not in "uif" and not jnp.issubdtype(array.dtype, jnp.floating):
            raise TypeError(f"{name} must be real numbers, got dtype {array.dtype}")
        array = array.astype(np.float64)
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite, got {value}")
        statistics.append(array)
    offset, deviation = statistics
    if (deviation < 0).any():
        raise ValueError(f"standard_deviation must be at least 0, got {standard_deviation}")
    return Standardization(offset, np.where(deviation == 0, 1.0, deviation))

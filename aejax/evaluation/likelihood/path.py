"""The geometric path from a distribution that can be sampled to p(x, z), and its inverse temperatures."""

from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from aejax.autoencoders.densities import Densities, log_weight
from aejax.checks import check_count, check_positive
from aejax.evaluation.likelihood.hamiltonian import Point, PointAt

Schedule = Literal["linear", "sigmoid"]
Start = Literal["prior", "encoder"]
_RADIUS = 4.0  # of the sigmoid schedule, as in the code of Wu et al.


class Path(NamedTuple):
    """The densities f_β = f₀ (f₁/f₀)^β of ONE example, from a normalized f₀ at β = 0 to f₁ = p(x, z) at β = 1."""

    start: Start  # what f₀ is: the prior p(z), or the posterior q(z | x) of the encoder
    densities: Densities

    def sample(self, key: Array) -> Array:
        """Returns a sample of f₀."""
        of = self.densities
        return of.sample_prior(key) if self.start == "prior" else of.sample_posterior(key)

    def log_base(self, code: Array) -> Array:
        """Returns log f₀(z)."""
        of = self.densities
        return of.log_prior(code) if self.start == "prior" else of.log_posterior(code)

    def log_ratio(self, code: Array) -> Array:
        """Returns log f₁(z)/f₀(z): log p(x | z) from the prior, log p(x, z)/q(z | x) from the encoder."""
        of = self.densities
        return of.log_likelihood(code) if self.start == "prior" else log_weight(of, code)

    def point_at(self, temperature: Array) -> PointAt:
        """Returns the function z -> point of f_β; its details are the base, the ratio and their gradients."""

        def point(position: Array) -> Point:
            base, base_gradient = jax.value_and_grad(self.log_base)(position)
            ratio, ratio_gradient = jax.value_and_grad(self.log_ratio)(position)
            return at(Point(position, base, base_gradient, (base, ratio, base_gradient, ratio_gradient)), temperature)

        return point


def at(point: Point, temperature: Array) -> Point:
    """Returns a point of a path at another inverse temperature β, without evaluating the decoder again."""
    base, ratio, base_gradient, ratio_gradient = point.details
    return point._replace(log_density=base + temperature * ratio, gradient=base_gradient + temperature * ratio_gradient)


def ratio_of(point: Point) -> Array:
    """Returns log f₁(z)/f₀(z) at a point of a path."""
    return point.details[1]


def temperatures(distributions: int, schedule: Schedule) -> Float[np.ndarray, "T1"]:
    """Returns the inverse temperatures 0 = β₀ < β₁ < ... < β_T = 1 of T steps.

        linear: β_t = t/T;  sigmoid: β_t = (s_t - s₀)/(s_T - s₀), s_t = σ(4 (2 t/T - 1))

    Args:
      distributions: T >= 1.
      schedule: the sigmoid one has small steps at both ends, where the distributions change most.

    Raises:
      ValueError: distributions is below 1, or the schedule is unknown.
      TypeError: distributions is not an integer.

    Source: Y. Wu, Y. Burda, R. Salakhutdinov, R. Grosse (2017), On the Quantitative Analysis of Decoder-Based
    Generative Models, section 5.1, and the authors' code.

    >>> temperatures(4, "linear").tolist(), temperatures(1, "sigmoid").tolist()
    ([0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 1.0])
    """
    check_count("distributions", distributions)
    line = np.linspace(0.0, 1.0, distributions + 1)
    if schedule == "linear":
        return line
    if schedule != "sigmoid":
        raise ValueError(f"schedule must be linear or sigmoid, got {schedule!r}")
    sigmoid = 1 / (1 + np.exp(-_RADIUS * (2 * line - 1)))
    return (sigmoid - sigmoid[0]) / (sigmoid[-1] - sigmoid[0])


def step_sizes_at(
    betas: Float[np.ndarray, "T"], knots: Float[np.ndarray, "S"], sizes: Float[np.ndarray, "S"]
) -> Float[np.ndarray, "T"]:
    """Returns the step size at every inverse temperature, log-linear between the knots at which they were tuned.

    >>> step_sizes_at(np.array([0.5]), np.array([0.0, 1.0]), np.array([1.0, 0.01])).round(3).tolist()
    [0.1]
    """
    for size in sizes:
        check_positive("every step size", float(size))
    return np.exp(np.interp(betas, knots, np.log(sizes)))

"""Hamiltonian Monte Carlo: one transition as a pure function that leaves a density unchanged."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key

from aejax.checks import check_count, check_in_range
from aejax.precision import knob


class Point(NamedTuple):
    """A position of a chain, with what is known of the density there."""

    position: Array  # z, any shape
    log_density: Float[Array, ""]  # log f(z) up to a constant
    gradient: Array  # ∇ log f(z), of the shape of z
    details: tuple[Array, ...] = ()  # anything else that the density's function returns, such as its terms


PointAt = Callable[[Array], Point]  # z -> the point there


def point_of(log_density: Callable[[Array], Array]) -> PointAt:
    """Returns the function z -> point of a log-density, by one evaluation of value and gradient.

    >>> point_of(lambda z: -0.5 * jnp.sum(z**2))(jnp.array([2.0])).gradient.tolist()
    [-2.0]
    """
    value_and_gradient = jax.value_and_grad(log_density)
    return lambda position: Point(position, *value_and_gradient(position))


def leapfrog(
    point_at: PointAt, point: Point, momentum: Array, *, step_size: ArrayLike, steps: int
) -> tuple[Point, Array]:
    """Follows Hamilton's equations of H(z, p) = -log f(z) + ½ ‖p‖² for `steps` leapfrog steps of size ε.

        p ← p + ½ ε ∇ log f(z);  z ← z + ε p;  p ← p + ½ ε ∇ log f(z)

    The map keeps volumes, and is its own inverse if the momentum's sign is changed before and after.

    Args:
      point_at: evaluates the density; it is called once for every step.
      point: where the trajectory begins.
      momentum: p, of the shape of z.
      step_size: ε > 0.
      steps: the number of steps, at least 1.

    Returns:
      The point at the end and its momentum.

    Source: R. M. Neal (2011), MCMC Using Hamiltonian Dynamics, eq. 2.28 to 2.30.

    >>> flat = point_of(lambda z: jnp.zeros_like(z).sum())
    >>> leapfrog(flat, flat(jnp.zeros(1)), jnp.ones(1), step_size=0.5, steps=4)[0].position.tolist()
    [2.0]
    """
    check_count("steps", steps)
    size = knob(step_size, point.position.dtype)

    def step(carry: tuple[Point, Array], _: None) -> tuple[tuple[Point, Array], None]:
        point, momentum = carry
        momentum = momentum + 0.5 * size * point.gradient
        point = point_at(point.position + size * momentum)
        return (point, momentum + 0.5 * size * point.gradient), None

    return lax.scan(step, (point, momentum), length=steps)[0]


def hamiltonian_transition(
    key: Key[Array, ""], point_at: PointAt, point: Point, *, step_size: ArrayLike, steps: int = 10, jitter: float = 0.0
) -> tuple[Point, Float[Array, ""]]:
    """Moves a chain by one trajectory with a new momentum p ~ N(0, I), accepted with probability min(1, e^(H - H')).

    The density f is unchanged by this transition, and the transition is reversible, whatever the step size. A
    trajectory to where the density is not a number is rejected.

    Args:
      key: a random key, not used elsewhere.
      point_at: evaluates the density, as `point_of` returns it.
      point: the present point of the chain.
      step_size: ε > 0; it must not depend on the point.
      steps: leapfrog steps of the trajectory.
      jitter: the fraction 0 <= j <= 1 by which the trajectory's step size is drawn below or above ε, uniformly. Without
        it, trajectories of about half a period reach -z from z, at nearly the same density, again and again.

    Returns:
      The next point, and the probability of acceptance.

    Raises:
      ValueError: steps is below 1, or jitter is not between 0 and 1.
      TypeError: steps is not an integer.

    Source: R. M. Neal (2011), MCMC Using Hamiltonian Dynamics, sections 3.2 and 4.2.

    >>> normal = point_of(lambda z: -0.5 * jnp.sum(z**2))
    >>> _, accepted = hamiltonian_transition(jax.random.key(0), normal, normal(jnp.ones(3)), step_size=0.01)
    >>> bool(accepted > 0.999)
    True
    """
    check_in_range("jitter", jitter, 0.0, 1.0)
    momentum_key, accept_key, size_key = jax.random.split(key, 3)
    momentum = jax.random.normal(momentum_key, point.position.shape, point.position.dtype)
    size = knob(step_size, momentum.dtype)
    if jitter:
        size = size * jax.random.uniform(size_key, (), size.dtype, 1 - jitter, 1 + jitter)
    proposed, end = leapfrog(point_at, point, momentum, step_size=size, steps=steps)
    change = proposed.log_density - point.log_density + 0.5 * jnp.sum(jnp.square(momentum) - jnp.square(end))
    probability = jnp.where(jnp.isnan(change), 0, jnp.exp(jnp.minimum(change, 0)))
    is_accepted = jax.random.uniform(accept_key, (), probability.dtype) < probability
    chosen = jax.tree.map(lambda new, old: jnp.where(is_accepted, new, old), proposed, point)
    return chosen, probability

"""Hamiltonian Monte Carlo: reversible, volume-keeping trajectories; exact moments; acceptance 1 for small steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.evaluation.likelihood import hamiltonian_transition, leapfrog, point_of

PRECISION = jnp.array([[2.0, 0.6], [0.6, 1.0]])


def log_density(z):
    return -0.5 * jnp.dot(z, jnp.dot(PRECISION.astype(z.dtype), z)) + jnp.sum(jnp.cos(3 * z))


def test_one_step_by_hand():
    """F = N(0, 1), z = 1, p = 0, ε = 0.2: p = -0.1, z = 0.98, p = -0.198."""
    normal = point_of(lambda z: -0.5 * jnp.sum(z**2))
    point, momentum = leapfrog(normal, normal(jnp.ones(1)), jnp.zeros(1), step_size=0.2, steps=1)
    np.testing.assert_allclose([point.position[0], momentum[0]], [0.98, -0.198], rtol=1e-6)
    np.testing.assert_allclose(point.log_density, -0.5 * 0.98**2, rtol=1e-6)


@pytest.mark.slow
def test_a_trajectory_is_its_own_inverse_and_keeps_volumes(float64):
    at = point_of(log_density)

    def end(start):
        point, momentum = leapfrog(at, at(start[:2]), start[2:], step_size=0.2, steps=7)
        return jnp.concatenate([point.position, momentum])

    start = jnp.array([0.3, -1.0, 0.7, 0.2])
    reached = end(start)
    back = end(reached * jnp.array([1.0, 1.0, -1.0, -1.0]))
    np.testing.assert_allclose(back * jnp.array([1.0, 1.0, -1.0, -1.0]), start, rtol=1e-10)
    assert np.linalg.det(jax.jacobian(end)(start)) == pytest.approx(1.0, rel=1e-10)


@pytest.mark.slow
def test_acceptance_tends_to_one_with_the_step(float64):
    """The error of the energy falls like ε² over a trajectory of fixed length."""
    at = point_of(log_density)
    rejected = []
    for size, steps in ((0.2, 10), (0.02, 100)):
        keys = jax.random.split(jax.random.key(0), 200)
        move = lambda key: hamiltonian_transition(key, at, at(jnp.array([0.3, -1.0])), step_size=size, steps=steps)  # noqa: B023, E731
        rejected.append(1 - float(jnp.mean(jax.vmap(move)(keys)[1])))
    assert rejected[0] > 1e-3
    assert rejected[1] == pytest.approx(rejected[0] / 100, rel=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("size", [0.3, 1.1])
def test_moments_are_those_of_the_density(size):
    """Chains that begin in the stationary distribution stay in it, also with steps of which many are rejected."""
    at, number = point_of(lambda z: -0.5 * jnp.dot(z, jnp.dot(PRECISION, z))), 20_000
    covariance = np.linalg.inv(np.asarray(PRECISION, np.float64))
    z = np.random.default_rng(0).multivariate_normal(np.zeros(2), covariance, number).astype(np.float32)

    def move(key, z):
        point, accepted = hamiltonian_transition(key, at, at(z), step_size=size, steps=3)
        return point.position, accepted

    moved, accepted = jax.jit(jax.vmap(move))(jax.random.split(jax.random.key(1), number), z)
    np.testing.assert_allclose(np.cov(moved.T), covariance, atol=5 * covariance.max() * np.sqrt(2 / number))
    assert np.mean(accepted) > 0.97 if size == 0.3 else 0.4 < np.mean(accepted) < 0.95


def test_where_the_density_is_not_a_number_the_chain_stays():
    at = point_of(lambda z: jnp.sum(jnp.sqrt(1 - z**2)))  # on a cube
    end, _ = leapfrog(at, at(jnp.zeros(3)), jnp.ones(3), step_size=1.0, steps=10)
    assert jnp.isnan(end.log_density)
    point, accepted = hamiltonian_transition(jax.random.key(0), at, at(jnp.zeros(3)), step_size=1.0)
    assert (point.position == 0).all()
    assert accepted == 0


def test_refuses_no_steps():
    at = point_of(jnp.sum)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        leapfrog(at, at(jnp.ones(2)), jnp.ones(2), step_size=0.1, steps=0)


@pytest.mark.slow
def test_jitter_breaks_up_trajectories_of_half_a_period():
    """Of N(0, 1), a trajectory of length π reaches -z from z; |z| then never changes without jitter."""
    normal = point_of(lambda z: -0.5 * jnp.sum(z**2))

    def last(key, jitter):
        def move(z, key):
            knobs = {"step_size": jnp.pi / 50, "steps": 50, "jitter": jitter}
            return hamiltonian_transition(key, normal, normal(z), **knobs)[0].position, None

        return jax.lax.scan(move, jnp.full(1, 2.0), jax.random.split(key, 20))[0]

    ends = [jax.vmap(lambda key, j=j: last(key, j))(jax.random.split(jax.random.key(0), 300)) for j in (0.0, 0.2)]
    assert np.std(np.abs(ends[0])) < 0.05
    assert np.std(ends[1]) == pytest.approx(1.0, abs=0.15)


def test_refuses_a_jitter_above_one():
    at = point_of(jnp.sum)
    with pytest.raises(ValueError, match="jitter must be between 0 and 1, got 2"):
        hamiltonian_transition(jax.random.key(0), at, at(jnp.ones(2)), step_size=0.1, jitter=2.0)

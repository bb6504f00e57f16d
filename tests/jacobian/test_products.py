"""Rows times a shared matrix: against einsum, its derivatives, every vmap, and the programs that it compiles to."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from aejax.jacobian.products import rows_times_matrix, sum_of_outer_products


def normal(seed, *shape):
    return jnp.array(np.random.default_rng(seed).standard_normal(shape))


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(leading=st.lists(st.integers(1, 4), max_size=3), n=st.integers(1, 5), m=st.integers(1, 5))
def test_products_are_those_of_einsum(leading, n, m):
    with jax.enable_x64(True):
        rows, matrix, others = normal(0, *leading, n), normal(1, n, m), normal(2, *leading, m)
        np.testing.assert_allclose(rows_times_matrix(rows, matrix), np.asarray(rows) @ matrix, rtol=1e-12, atol=1e-14)
        expected = np.einsum("an,am->nm", rows.reshape(-1, n), others.reshape(-1, m))
        np.testing.assert_allclose(sum_of_outer_products(rows, others), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize(("function", "second"), [(rows_times_matrix, (4, 5)), (sum_of_outer_products, (2, 3, 5))])
def test_derivatives_are_those_of_finite_differences(function, second, float64):
    of_arrays = lambda *operands: function(*map(jnp.asarray, operands))  # noqa: E731
    check_grads(of_arrays, (normal(0, 2, 3, 4), normal(1, *second)), order=3)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("axes", [(0, None), (1, None), (2, None), (None, 0), (None, 2), (0, 0), (2, 1)])
@pytest.mark.parametrize("function", [rows_times_matrix, sum_of_outer_products])
def test_any_vmap_is_the_loop_over_its_axis(function, axes, float64):
    batch, shapes = 6, ((2, 3), (3, 4) if function is rows_times_matrix else (2, 4))
    operands = [
        normal(seed, *shape) if axis is None else normal(seed, *shape[:axis], batch, *shape[axis:])
        for seed, (shape, axis) in enumerate(zip(shapes, axes, strict=True))
    ]
    out = jax.jit(jax.vmap(function, axes))(*operands)
    for i in range(batch):
        parts = (
            operand if axis is None else jnp.take(operand, i, axis)
            for operand, axis in zip(operands, axes, strict=True)
        )
        np.testing.assert_allclose(out[i], function(*parts), rtol=1e-12, atol=1e-14)


def of_batch(matrix, batch):
    return jnp.sum(jnp.square(jax.vmap(rows_times_matrix, (0, None))(jnp.tanh(batch), matrix)))


@pytest.mark.slow
def test_gradient_is_the_same_however_it_is_mapped(float64):
    batch, matrix = normal(0, 6, 3, 4), normal(1, 4, 5)
    expected = jax.jit(jax.grad(lambda matrix: jnp.sum(jnp.square(jnp.tanh(batch) @ matrix))))(matrix)
    np.testing.assert_allclose(jax.jit(jax.grad(of_batch))(matrix, batch), expected, rtol=1e-12)
    each = jax.jit(jax.vmap(jax.grad(of_batch), (None, 0)))(matrix, batch[:, None])
    np.testing.assert_allclose(jnp.sum(each, 0), expected, rtol=1e-12)
    population = jnp.stack([matrix, -matrix])
    of_all = jax.jit(jax.vmap(jax.grad(of_batch), (0, None)))(population, batch)
    np.testing.assert_allclose(of_all, jnp.stack([expected, -expected]), rtol=1e-12)


def test_gradient_over_examples_is_compiled_to_products_of_two_matrices():
    batch, matrix = jnp.ones((6, 3, 4)), jnp.ones((4, 5))
    ours = jax.jit(jax.grad(of_batch)).lower(matrix, batch).as_text()
    assert set(re.findall(r"contracting_dims = (\[[\d, ]+\] x \[[\d, ]+\])", ours)) == {"[1] x [0]", "[0] x [0]"}
    plain = jax.jit(jax.grad(lambda matrix: jnp.sum(jnp.square(jnp.tanh(batch) @ matrix)))).lower(matrix).as_text()
    assert "[0, 1] x [0, 1]" in plain  # what is avoided

"""Programs for a browser: what is written, what is computed beforehand, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.errors import UserError
from aejax.experiment.browser_program import Constants, as_constant, as_program
from aejax.experiment.explore import with_jacobian

WEIGHTS = np.arange(6, dtype=np.float32).reshape(3, 2)


def names(program):
    return [equation[0] for equation in program["equations"]]


def test_calls_are_inlined_and_constants_are_computed_beforehand():
    def function(x):
        return jax.nn.relu(jax.jit(lambda y: y @ jnp.asarray(WEIGHTS))(x)) + jnp.sum(jnp.exp(jnp.asarray(WEIGHTS)))

    constants = Constants()
    program = as_program(function, [np.ones(3, np.float32)], constants, name="f")
    assert names(program) == ["dot_general", "max", "add"]
    fills = [row["fill"] for row in constants.rows if "fill" in row]
    assert fills == pytest.approx([0.0, float(np.exp(WEIGHTS).sum())])


def test_equal_arrays_are_stored_once():
    constants = Constants()
    for _ in range(2):
        as_program(lambda x: x @ jnp.asarray(WEIGHTS), [np.ones(3, np.float32)], constants, name="f")
    assert len(constants.rows) == 1


def test_what_the_result_does_not_need_is_left_out():
    def function(x):
        jnp.tanh(x @ jnp.asarray(WEIGHTS))
        return x + 1

    constants = Constants()
    program = as_program(function, [np.ones(3, np.float32)], constants, name="f")
    assert names(program) == ["add"]
    assert [row["shape"] for row in constants.rows] == [[]]


def test_a_broadcast_of_many_values_stays_an_equation():
    bias = jnp.arange(2000.0)
    program = as_program(lambda x: x + jnp.broadcast_to(bias, (50, 2000)), [np.ones((50, 2000), np.float32)],
                         constants := Constants(), name="f")  # fmt: skip
    assert "broadcast_in_dim" in names(program)
    assert max(np.prod(row["shape"]) for row in constants.rows) == 2000


def test_an_unknown_operation_is_named_in_one_line():
    with pytest.raises(UserError, match=r"^mine: the decoder computes with sort, which a page cannot compute$"):
        as_program(jnp.sort, [np.ones(3, np.float32)], Constants(), name="mine: the decoder")


def test_values_that_are_not_finite_are_stored_as_bytes():
    assert "data" in as_constant(np.full(3, np.nan, np.float32))


@pytest.mark.parametrize(("inputs", "outputs"), [(2, 3), (3, 2)])
def test_the_jacobian_lies_along_its_smaller_side(inputs, outputs):
    matrix = np.random.default_rng(0).normal(size=(outputs, inputs)).astype(np.float32)
    value, rows = with_jacobian(lambda x: jnp.asarray(matrix) @ x, inputs, outputs)(jnp.ones(inputs))
    np.testing.assert_allclose(value, matrix.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(rows, matrix.T if inputs <= outputs else matrix, rtol=1e-6)

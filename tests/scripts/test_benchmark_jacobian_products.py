"""The matrix products of the exact norm: their operations, the table, refusals."""

import itertools

import jax
import jax.numpy as jnp
import pytest

from aejax.jacobian import frobenius_norm_squared


@pytest.mark.slow
def test_products_are_all_that_the_compiled_gradient_multiplies(load_script):
    script = load_script("benchmark_jacobian_products")
    widths, batch_size = (96, 64, 40, 12), 16
    shapes = list(itertools.pairwise(widths))

    def mean(weights, batch):
        def encode(x):
            for kernel in weights:
                x = jnp.tanh(x @ kernel)
            return x

        return jnp.mean(jax.vmap(lambda x: frobenius_norm_squared(encode, x, method="structured"))(batch))

    weights, batch = [jnp.ones(shape) for shape in shapes], jnp.ones((batch_size, widths[0]))
    cost = jax.jit(jax.value_and_grad(mean)).lower(weights, batch).compile().cost_analysis()
    of_encoder = (
        3 * 2 * batch_size * sum(a * b for a, b in shapes)
    )  # the forward pass and its gradient, a few rows each
    listed = sum(product.operations for product in script.structured_products(widths, batch_size)) + of_encoder
    assert listed < cost["flops"] < 1.2 * listed


@pytest.mark.slow
def test_table_sums_what_it_lists(run_script):
    result = run_script(
        "benchmark_jacobian_products", "--widths", "30", "20", "4", "--batch-size", "2", "--repeats", "1"
    )
    assert result.code == 0, result.errors
    assert "dW2 = N2ᵀ dN2" in result.output
    assert "these products alone are" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--widths", "30", "4"),
            "--widths must be those of an example, of at least one layer and of the code, got (30, 4)",
        ),
        (("--batch-size", "0"), "--batch-size must be at least 1, got 0"),
    ],
)
def test_mistakes_are_one_line(arguments, message, complaint_of):
    complaint = complaint_of("benchmark_jacobian_products", *arguments)
    assert complaint == f"benchmark_jacobian_products.py: error: {message}\n"

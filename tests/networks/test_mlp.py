"""Multilayer perceptrons: against a forward pass in NumPy, any shapes, any widths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.networks import MLP


def forward(params, x, activation):
    """The same network in NumPy, layer by layer."""
    layers = [params["params"][f"Dense_{index}"] for index in range(len(params["params"]))]
    x = np.asarray(x).reshape(-1)
    for index, layer in enumerate(layers):
        x = x @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])
        x = activation(x) if index < len(layers) - 1 else x
    return x


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_equals_a_forward_pass_in_numpy(hidden, random_params):
    x = jax.random.normal(jax.random.key(0), (4, 3))
    network = MLP(hidden=hidden, output_shape=(2, 3), activation=jnp.tanh)
    params = random_params(network, x)
    output = jax.jit(network.apply)(params, x)
    assert output.shape == (2, 3)
    np.testing.assert_allclose(output, forward(params, x, np.tanh).reshape(2, 3), rtol=1e-5, atol=1e-6)


def test_hidden_layers_are_relu_and_the_last_is_linear_unless_told(random_params):
    x = jax.random.normal(jax.random.key(0), (4,))
    params = random_params(MLP(hidden=(6,), output_shape=(8,)), x)
    linear = MLP(hidden=(6,), output_shape=(8,)).apply(params, x)
    np.testing.assert_allclose(linear, forward(params, x, lambda h: np.maximum(h, 0)), rtol=1e-5, atol=1e-6)
    assert linear.min() < 0
    logistic = MLP(hidden=(6,), output_shape=(8,), output_activation=jax.nn.sigmoid).apply(params, x)
    np.testing.assert_allclose(logistic, jax.nn.sigmoid(linear), rtol=1e-6)


@pytest.mark.slow
def test_vmap_equals_a_loop(random_params):
    network, x = MLP(hidden=(5,), output_shape=(2,)), jax.random.normal(jax.random.key(0), (3, 2, 2))
    params, apply = random_params(network, x[0]), jax.jit(network.apply)
    loop = jnp.stack([apply(params, one) for one in x])
    np.testing.assert_allclose(jax.jit(jax.vmap(apply, in_axes=(None, 0)))(params, x), loop, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("input_shape", "output_shape"), [((5,), ()), ((), (3,)), ((2, 3, 1), (4, 2, 1))])
def test_maps_any_shape_to_any_shape(input_shape, output_shape):
    output, _ = jax.eval_shape(
        MLP(hidden=(4,), output_shape=output_shape).init_with_output, jax.random.key(0), jnp.ones(input_shape)
    )
    assert output.shape == output_shape

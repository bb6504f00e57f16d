"""Exact Jacobians: every method against every other and against float64, chunks, memory, what is refused."""

import itertools
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from aejax.jacobian import frobenius_norm_squared, jacobian
from aejax.jacobian.exact import METHODS
from aejax.jacobian.first_layer import NoLinearFirstLayerError, split_first_layer
from aejax.networks.conv import ConvEncoder
from aejax.networks.mlp import MLP

every_method = pytest.mark.parametrize("method", METHODS)
ACTIVATIONS = {"tanh": nn.tanh, "sigmoid": nn.sigmoid, "relu": nn.relu, "gelu": nn.gelu, "softmax": nn.softmax}


def normal(seed, *shape):
    return jnp.array(np.random.default_rng(seed).standard_normal(shape))


def layers(widths, activation=jnp.tanh, seed=0):
    """An encoder of these widths; a tuple of its weights can be put in place of its own."""
    weights = tuple(normal(seed + i, *shape) / shape[0] ** 0.5 for i, shape in enumerate(itertools.pairwise(widths)))

    def encode(x, weights=weights):
        for kernel in weights:
            x = activation(x @ kernel + 0.1)
        return x

    return encode, weights


def as_dtype(tree, dtype):
    return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)


def reference(f, x):
    """‖J‖_F² by numpy from the Jacobian of JAX itself."""
    return np.sum(np.square(np.asarray(jax.jacfwd(f)(x))))


@pytest.mark.slow_after_first
@every_method
def test_jacobian_of_a_linear_map_is_its_matrix(method, float64):
    kernel, x = normal(0, 3, 5), normal(1, 5)
    np.testing.assert_allclose(jacobian(lambda x: kernel @ x, x, method=method), kernel, rtol=1e-15)
    expected = np.linalg.norm(kernel) ** 2
    np.testing.assert_allclose(frobenius_norm_squared(lambda x: kernel @ x, x, method=method), expected, rtol=1e-14)


@pytest.mark.slow_after_first
@every_method
@pytest.mark.parametrize("chunk_size", [None, 1, 5, 7, 100])
def test_jacobian_has_the_shape_of_the_code_and_of_the_example(method, chunk_size, float64):
    kernel, x = normal(0, 12, 6), normal(1, 2, 3, 2)
    encode = lambda x: jnp.tanh(x.reshape(-1) @ kernel).reshape(3, 2)  # noqa: E731
    whole = jacobian(encode, x, method=method, chunk_size=chunk_size)
    assert whole.shape == (3, 2, 2, 3, 2)
    np.testing.assert_allclose(whole, jax.jit(jax.jacfwd(encode))(x), rtol=1e-10, atol=1e-14)


@pytest.mark.slow
@settings(max_examples=10)
@given(
    widths=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    method=st.sampled_from(METHODS),
    chunk_size=st.sampled_from([None, 1, 2, 3, 7, 50]),
)
def test_dense_encoders_of_any_width_agree(widths, activation, method, chunk_size):
    with jax.enable_x64(True):
        encode, weights = layers(widths, ACTIVATIONS[activation])
        x = normal(9, widths[0])
        expected = reference(encode, x)
        for dtype, rtol in ((jnp.float64, 1e-10), (jnp.float32, 1e-5)):
            own = partial(encode, weights=as_dtype(weights, dtype))
            norm = frobenius_norm_squared(own, x.astype(dtype), method=method, chunk_size=chunk_size)
            assert norm.dtype == dtype
            np.testing.assert_allclose(norm, expected, rtol=rtol, atol=1e-12)


NETWORKS = {  # name: module, shape of an example
    "mlp": (MLP(hidden=(7, 5), output_shape=(2, 3), activation=nn.tanh), (4, 3)),
    "wide": (MLP(hidden=(20,), output_shape=(3,), activation=nn.gelu), (6,)),
    "longer code": (MLP(hidden=(4,), output_shape=(8,), activation=nn.relu), (3,)),
    "one layer": (MLP(output_shape=(2, 3), output_activation=nn.sigmoid), (5,)),
    "jit": (nn.jit(MLP)(hidden=(7,), output_shape=(3,), activation=nn.silu), (6,)),
    "remat": (nn.remat(MLP)(hidden=(7,), output_shape=(3,), activation=nn.elu), (6,)),
    "sequence": (nn.Sequential([nn.Dense(4), nn.tanh, lambda x: x.reshape(-1), nn.Dense(3)]), (5, 6)),
    "sequence, one layer": (nn.Sequential([nn.Dense(4), nn.tanh]), (5, 6)),
    "normalized": (nn.Sequential([nn.Dense(6), nn.softmax, nn.Dense(3)]), (5,)),
    "conv": (ConvEncoder(features=(3, 2), code_size=4, activation=nn.tanh), (6, 6)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_flax_encoders_agree_in_every_method_on_a_batch(name, float64):
    """In float32, and in value and gradient in float64, where the parameters are traced and the batch is vmapped."""
    module, shape = NETWORKS[name]
    batch = normal(1, 3, *shape)
    params = as_dtype(jax.jit(module.init)(jax.random.key(0), batch[0].astype(jnp.float32)), jnp.float64)

    def mean(params, batch, method, chunk_size=None):
        norm = partial(frobenius_norm_squared, partial(module.apply, params), method=method, chunk_size=chunk_size)
        return jnp.mean(jax.vmap(norm)(batch))

    both = jax.jit(jax.value_and_grad(mean), static_argnums=(2, 3))
    expected = both(params, batch, "jacfwd")
    single = as_dtype((params, batch), jnp.float32)
    others = [("jacrev", None), ("auto", 2), ("jacfwd", 7)]
    for method, chunk_size in [*others, *([] if name == "conv" else [("structured", None), ("structured", 2)])]:
        got = both(params, batch, method, chunk_size)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13), got, expected)
        np.testing.assert_allclose(jax.jit(mean, static_argnums=(2, 3))(*single, method, chunk_size), expected[0], 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("widths", "activation"),
    [
        ((3, 2), jnp.tanh),
        ((3, 2, 2), jnp.tanh),
        ((2, 3, 2), nn.softmax),
        ((2, 3, 4), nn.gelu),
    ],
)
def test_second_derivatives_equal_finite_differences(widths, activation, float64, without_type_checks):
    """Training through the penalty, by both modes: above the Gram matrix, beside it, elementwise and jacfwd."""
    encode, weights = layers(widths, activation)
    for method, chunk_size in (("structured", None), ("auto", 1)):

        def penalty(weights, x, method=method, chunk_size=chunk_size):
            own = partial(encode, weights=weights)
            return frobenius_norm_squared(own, x, method=method, chunk_size=chunk_size)

        arguments = weights, normal(5, widths[0])
        modes = ("fwd", "rev")
        check_grads(jax.jit(penalty), arguments, order=1, modes=modes, rtol=1e-5, atol=1e-5)
        check_grads(jax.jit(jax.grad(penalty)), arguments, order=1, modes=modes, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["structured", "jacrev"])
def test_same_on_several_devices(method, float64):
    encode, weights = layers((5, 4, 3))
    batch = normal(7, 8, 2, 5)

    def mean(weights, batch):
        own = partial(encode, weights=weights)
        return jnp.mean(jax.vmap(lambda x: frobenius_norm_squared(own, x, method=method, chunk_size=2))(batch))

    def step(weights, batch):
        value, gradient = jax.value_and_grad(mean)(weights, batch)
        return jax.lax.pmean((value, gradient), "devices")

    replicas = jax.tree.map(lambda leaf: jnp.stack([leaf] * 8), weights)
    parallel = jax.tree.map(lambda leaf: leaf[0], jax.pmap(step, axis_name="devices")(replicas, batch))
    alone = jax.jit(jax.value_and_grad(mean))(weights, batch.reshape(16, 5))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), parallel, alone)


def test_what_the_batch_shares_is_computed_once():
    """There is one Gram matrix, and one product for its gradient, over examples and code dimensions together."""
    encode, weights = layers((64, 32, 5))

    def mean(weights, batch):
        norm = lambda x: frobenius_norm_squared(partial(encode, weights=weights), x, method="structured")  # noqa: E731
        return jnp.mean(jax.vmap(norm)(batch))

    jaxpr = jax.make_jaxpr(jax.value_and_grad(mean))(weights, normal(3, 16, 64).astype(jnp.float32))
    shapes = [out.aval.shape for equation in equations(jaxpr.jaxpr) for out in equation.outvars]
    assert not any(shape[-2:] in ((5, 64), (32, 32)) and len(shape) > 2 for shape in shapes)
    names = ("dot_general", "rows_times_matrix", "sum_of_outer_products")
    products = [e.outvars[0].aval.shape for e in equations(jaxpr.jaxpr) if e.primitive.name in names]
    assert products.count((32, 32)) == 2  # G, and what its gradient sums over the batch
    assert products.count((16, 5, 32)) == 2  # M, and M G


def equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from equations(inner)


def test_auto_uses_the_cheapest_method():
    """By multiplications: structured for a wide example, jacfwd for a long code, else the side with fewer vectors."""

    def products(f, x, method):
        jaxpr = jax.make_jaxpr(partial(frobenius_norm_squared, f, method=method))(x)
        shapes = [e.outvars[0].aval.shape for e in equations(jaxpr.jaxpr) if e.primitive.name == "dot_general"]
        return [shape for shape in shapes if len(shape) > 1]

    for widths, expected in (((9, 5, 3), "structured"), ((3, 5, 9), "jacfwd"), ((9, 5), "structured")):
        encode, _ = layers(widths)
        assert products(encode, jnp.ones(widths[0]), "auto") == products(encode, jnp.ones(widths[0]), expected)
    for widths, expected in (((9, 5, 3), "jacrev"), ((3, 5, 9), "jacfwd")):
        after, _ = layers(widths)
        encode = lambda x, after=after: after(jnp.sin(x))  # noqa: E731
        assert products(encode, jnp.ones(widths[0]), "auto") == products(encode, jnp.ones(widths[0]), expected)


@pytest.mark.slow
def test_half_precision_is_summed_in_single():
    encode, weights = layers((40, 30, 20))
    own, x = partial(encode, weights=as_dtype(weights, jnp.bfloat16)), normal(1, 40).astype(jnp.bfloat16)
    expected = reference(partial(encode, weights=as_dtype(weights, jnp.float32)), x.astype(jnp.float32))
    for method, chunk_size in itertools.product(METHODS, (None, 3)):
        norm = frobenius_norm_squared(own, x, method=method, chunk_size=chunk_size)
        assert norm.dtype == jnp.float32
        np.testing.assert_allclose(norm, expected, rtol=0.03)


def peak(f, *arguments):
    """Bytes of the temporary arrays of a compiled function."""
    return jax.jit(f).lower(*arguments).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.slow
@pytest.mark.parametrize("method", ["jacfwd", "jacrev", "structured"])
def test_memory_grows_with_the_chunk_and_not_with_the_basis(method):
    """For value and gradient; code and example have the same size, so that all methods have as many basis vectors."""

    def temporary(size, chunk_size):
        weights = jax.ShapeDtypeStruct((size, 64), jnp.float32), jax.ShapeDtypeStruct((64, size), jnp.float32)

        def mean(weights, batch):
            encode = lambda x: jnp.tanh(jnp.tanh(x @ weights[0]) @ weights[1])  # noqa: E731
            norm = partial(frobenius_norm_squared, encode, method=method, chunk_size=chunk_size)
            return jnp.mean(jax.vmap(norm)(batch))

        bytes_of_weights = 2 * 4 * 64 * size
        batch = jax.ShapeDtypeStruct((4, size), jnp.float32)
        return peak(jax.value_and_grad(mean), weights, batch), bytes_of_weights

    whole, _ = temporary(512, None)
    small, _ = temporary(512, 32)
    (double, _), (fourfold, _) = temporary(512, 64), temporary(512, 128)
    larger, weights = temporary(1024, 32)
    assert small < 0.35 * whole
    assert small < double < fourfold < 2.2 * double  # between 32 and 64, XLA may choose another layout
    per_vector = 4 * 4 * 16  # bytes of one number in every example and vector of a chunk
    assert larger - small < 6 * (weights / 2 + per_vector * 512)


@pytest.mark.slow_after_first
@every_method
def test_refuses_invalid_chunk_sizes(method, without_type_checks):
    for function in (jacobian, frobenius_norm_squared):
        for chunk_size in (0, -3):
            with pytest.raises(ValueError, match=f"chunk_size must be at least 1, got {chunk_size}"):
                function(jnp.sin, jnp.ones(2), method=method, chunk_size=chunk_size)
        for chunk_size in (2.0, True):
            with pytest.raises(TypeError, match=f"chunk_size must be an integer, got {chunk_size}"):
                function(jnp.sin, jnp.ones(2), method=method, chunk_size=chunk_size)
        function(lambda x: jnp.ones((2, 2)) @ x, jnp.ones(2), method=method, chunk_size=np.int64(1))


def test_refuses_what_is_not_a_function_of_one_example(without_type_checks):
    for function in (jacobian, frobenius_norm_squared):
        with pytest.raises(TypeError, match="x must be a floating-point array, got dtype int32"):
            function(jnp.sin, jnp.ones(2, int))
        for x in (1.0, [1.0, 2.0], {"a": jnp.ones(2)}, (jnp.ones(2),), None):
            with pytest.raises(TypeError, match=f"x must be one floating-point array, .* got {type(x).__name__}"):
                function(jnp.sin, x)
        with pytest.raises(TypeError, match="x must be a floating-point array, got dtype complex64"):
            function(jnp.sin, jnp.ones(2, jnp.complex64))
        with pytest.raises(TypeError, match="f must be a function of one example, got int"):
            function(3, jnp.ones(2))
        with pytest.raises(TypeError, match="f must return a floating-point array, got dtype complex64"):
            function(jnp.fft.fft, jnp.ones(2))
        with pytest.raises(TypeError, match="f must return one array, the code of one example, got tuple"):
            function(lambda x: (x, x), jnp.ones(2))
        with pytest.raises(TypeError, match="f must return a floating-point array, got dtype int32"):
            function(lambda x: jnp.argmax(x).astype(jnp.int32), jnp.ones(2))
        with pytest.raises(ValueError, match="method must be one of jacfwd, jacrev, structured, auto, got 'jacsym'"):
            function(jnp.sin, jnp.ones(2), method="jacsym")


KERNEL = jnp.ones((3, 3))


@pytest.mark.slow_after_first
@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (jnp.sin, "its first operation on x is sin"),
        (lambda x: x + x @ KERNEL, "it uses x 2 times"),
        (lambda x: KERNEL[0], "it uses x 0 times"),
        (lambda x: x, "it uses x 0 times"),
        (lambda x: (x.reshape(3, 1) @ x.reshape(1, 3)).sum(0), "it uses x 2 times"),
        (lambda x: jnp.convolve(x, KERNEL[0]), "its first operation on x is .*"),
        (lambda x: jnp.einsum("i,ij->ij", x, KERNEL), ".*"),
    ],
)
def test_structured_says_why_it_does_not_apply(f, reason):
    x = jnp.ones(3)
    with pytest.raises(ValueError, match=f"structured expects .* but {reason}; use jacfwd, jacrev or auto"):
        frobenius_norm_squared(f, x, method="structured")
    with pytest.raises(NoLinearFirstLayerError):
        split_first_layer(f, x)
    np.testing.assert_allclose(frobenius_norm_squared(f, x, method="auto"), reference(f, x), rtol=1e-6)


@pytest.mark.slow
def test_a_unit_that_is_added_to_all_others_is_not_elementwise(float64):
    """The first unit is added to all others, which the elementwise derivatives alone would miss."""
    kernel, x = normal(0, 4, 1), normal(1, 4)
    f = lambda x: jnp.tanh((x @ kernel)[0] + jnp.arange(3.0))  # noqa: E731
    assert not split_first_layer(f, x).elementwise
    for method in METHODS:
        np.testing.assert_allclose(frobenius_norm_squared(f, x, method=method), reference(f, x), rtol=1e-12)


@pytest.mark.slow
def test_the_norm_is_never_negative_where_the_rows_are_nearly_dependent(float64):
    """Two rows a and a + 10⁻⁴ b, subtracted above: in float32 of the products with G nothing is left but rounding.

    Over many such encoders, within ε ‖M‖_F² ‖G‖_F of the number in float64; no root of it is NaN.
    """
    slack = []
    for seed in range(20):
        a, b = normal(seed, 2, 8)
        first, second = jnp.stack([a, a + 1e-4 * b], axis=1), jnp.array([[1.0, -1.0], [-1.0, 1.0]])
        encode = lambda x, first, second: x @ first @ second  # noqa: E731
        exact = reference(partial(encode, first=first, second=second), jnp.ones(8))
        weights = as_dtype({"first": first, "second": second}, jnp.float32)
        for method in ("structured", "auto"):
            got = frobenius_norm_squared(partial(encode, **weights), jnp.ones(8, jnp.float32), method=method)
            assert got >= 0
            slack.append(abs(float(got) - exact) / (np.finfo(np.float32).eps * 4 * np.linalg.norm(first.T @ first)))
    assert max(slack) < 2


@pytest.mark.slow
def test_axes_in_another_order_are_not_elementwise(float64):
    """Each entry of the code depends on two units, although every operation keeps their number."""
    kernel, x = normal(0, 4, 3), normal(1, 2, 4)

    def f(x):
        u = x @ kernel
        return jnp.tanh(u.ravel() + u.ravel(order="F"))

    assert not split_first_layer(f, x).elementwise
    for method in METHODS:
        expected = np.sum(np.square(jax.jit(jax.jacrev(f))(x)))
        np.testing.assert_allclose(frobenius_norm_squared(f, x, method=method), expected, rtol=1e-12)


@pytest.mark.slow_after_first
@every_method
@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0), (0, 0)])
def test_an_empty_jacobian_has_the_norm_zero(method, chunk_size, rows, columns):
    kernel = jnp.ones((rows, columns))
    f, x = lambda x: kernel @ x, jnp.ones(columns)
    if method == "structured" and rows == 0:
        with pytest.raises(ValueError, match=r"structured expects .* but its first layer has no units"):
            jacobian(f, x, method=method, chunk_size=chunk_size)
        return
    assert jacobian(f, x, method=method, chunk_size=chunk_size).shape == (rows, columns)
    assert frobenius_norm_squared(f, x, method=method, chunk_size=chunk_size) == 0
    assert jacobian(lambda x: x[:0], jnp.ones((2, 3)), chunk_size=chunk_size).shape == (0, 3, 2, 3)


def test_numpy_arrays_and_scalars_are_examples(without_type_checks):
    for x in (np.float32(0.3), np.array(0.3), np.full((2, 1), 0.3)):
        for method in ("jacfwd", "jacrev", "auto"):
            np.testing.assert_allclose(
                frobenius_norm_squared(jnp.sin, x, method=method), x.size * np.cos(0.3) ** 2, 1e-5
            )
            assert jacobian(jnp.sin, x, method=method).shape == 2 * x.shape


@jax.custom_vjp
def only_in_reverse(h):
    return jnp.tanh(h)


only_in_reverse.defvjp(lambda h: (jnp.tanh(h), jnp.tanh(h)), lambda t, g: ((1 - t * t) * g,))


@jax.custom_jvp
def only_forward(h):
    return jnp.tanh(h)


@only_forward.defjvp
def _only_forward_jvp(primals, tangents):
    (h,), (tangent,) = primals, tangents
    rate = lambda h: (1 - np.tanh(h) ** 2).astype(h.dtype)  # noqa: E731
    return jnp.tanh(h), jax.lax.while_loop(
        lambda c: c[0] < 1, lambda c: (c[0] + 1, jax.pure_callback(rate, h, h) * c[1]), (0, tangent)
    )[1]


def by_while(h):
    return jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, jnp.sin(c[1])), (0, h))[1]


def by_root(h):
    """The root y of y + y³ = h."""
    solve = lambda g, y: jax.lax.fori_loop(0, 30, lambda _, y: y - g(y) / (1 + 3 * y**2), y)  # noqa: E731
    return jax.lax.custom_root(lambda y: y + y**3 - h, jnp.zeros_like(h), solve, lambda g, y: y / g(jnp.ones_like(y)))


CALLS = {
    "while": by_while,
    "custom_vjp": only_in_reverse,
    "custom_jvp with a loop": only_forward,
    "custom_root": by_root,
    "scan": lambda h: jax.lax.scan(lambda h, _: (jnp.sin(h), None), h, length=3)[0],
    "cond": lambda h: jax.lax.cond(h[0] > 0, jnp.sin, jnp.tanh, h),
    "checkpoint": jax.checkpoint(jnp.tanh),
    "custom_vjp in a scan": lambda h: jax.lax.scan(lambda h, _: (only_in_reverse(h), None), h, length=2)[0],
    "while in jit": jax.jit(by_while),
}


def central_differences(f, x, step=1e-6):
    """The Jacobian of f at a vector x."""
    compiled = jax.jit(f)
    steps = step * np.eye(len(x))
    return np.stack([(compiled(x + one) - compiled(x - one)) / (2 * step) for one in steps], axis=-1)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("name", CALLS)
def test_auto_finds_a_method_that_works(name, float64):
    """Above a wide first layer and a narrow one, alone and without a first layer: against central differences."""
    for rows, columns in ((3, 6), (6, 3)):
        kernel, x = normal(0, rows, columns), normal(1, columns)
        for f in (lambda x: CALLS[name](kernel @ x), lambda x: kernel @ CALLS[name](jnp.sin(x))):  # noqa: B023
            expected = central_differences(f, x)
            chunks = (None, 2)
            wholes = jax.jit(lambda x: [jacobian(f, x, method="auto", chunk_size=size) for size in chunks])(x)  # noqa: B023
            norms = jax.jit(  # both are compiled, as in a loss
                lambda x: [frobenius_norm_squared(f, x, method="auto", chunk_size=size) for size in chunks]  # noqa: B023
            )(x)
            for whole, norm in zip(wholes, norms, strict=True):
                np.testing.assert_allclose(whole, expected, rtol=1e-6, atol=1e-8)
                np.testing.assert_allclose(norm, np.sum(expected**2), rtol=1e-6)


def test_auto_raises_the_error_of_jax_where_no_method_works():
    f = lambda x: jax.pure_callback(np.sin, x, x)  # noqa: E731
    for function in (jacobian, frobenius_norm_squared):
        with pytest.raises(ValueError, match="Pure callbacks do not support"):
            function(f, jnp.ones(2), method="auto")

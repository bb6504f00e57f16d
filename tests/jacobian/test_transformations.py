"""The same numbers on 8 devices and under every transformation: shard_map, pmap, explicit meshes, checkpoint, scan."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from aejax import jacobian
from aejax.autoencoders import as_batch, contractive, contractive_by_projections, undercomplete
from aejax.networks import MLP

KEY, DEVICES = jax.random.key(0), 8


def normal(seed, *shape):
    return jnp.array(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


PARAMS = normal(0, 6, 5), normal(1, 3, 6), normal(2, 7, 3)
BATCH = normal(3, DEVICES, 5)


def encode(params, x):
    return jnp.tanh(params[1] @ jnp.tanh(params[0] @ x))


def encode_in_rows(params, x):
    return jnp.tanh(x @ params[0].T) @ params[1].T  # its products are those of `rows_times_matrix`


def decode(params, code):
    return params[2] @ jnp.tanh(code)


def norms(params, x):
    """The exact methods and the estimators, of one example."""
    results = {}
    for method in jacobian.exact.METHODS:
        for chunk_size in (None, 2):
            options = {"method": method, "chunk_size": chunk_size}
            results[f"jacobian {options}"] = jacobian.jacobian(partial(encode, params), x, **options)
            results[f"norm {options}"] = jacobian.frobenius_norm_squared(partial(encode_in_rows, params), x, **options)
    results["one layer"] = jacobian.frobenius_norm_squared(lambda x: jnp.tanh(params[0] @ x), x, method="structured")
    for mode in jacobian.estimators.MODES:
        for distribution in jacobian.estimators.DISTRIBUTIONS:
            options = {"mode": mode, "distribution": distribution}
            results[f"estimate {options}"] = jacobian.estimate_frobenius_norm_squared(
                KEY, partial(encode, params), x, **options
            )
    results["spectral norm"] = jacobian.spectral_norm(KEY, partial(encode, params), x, iterations=3)
    results["bends"] = jacobian.higher_order_penalty(KEY, partial(encode, params), x, standard_deviation=0.1, samples=2)
    return results


def measures(params, x):
    """All else, of one example."""
    own_encode, own_decode, codes = partial(encode, params), partial(decode, params), jnp.stack([x[:3], x[2:]])
    return {
        "singular values": jacobian.singular_values(own_encode, x),
        "nuclear norm": jacobian.nuclear_norm(own_encode, x),
        "log determinant": jacobian.log_determinant(own_decode, x[:3]),
        "log volume": jacobian.log_volume(own_decode, codes),
        "orthogonality": jacobian.orthogonality_penalty(own_encode, x),
        "metric": jacobian.pullback_metric(own_decode, x[:3]),
        "contraction": jacobian.contraction_curve(KEY, own_encode, x, jnp.array([0.1, 1.0]), directions=3),
        "length": jacobian.curve_length(own_decode, codes),
        "energy": jacobian.curve_energy(own_decode, codes),
        "variance": jacobian.estimator_variance(jacobian.jacobian(own_encode, x)),
        "rank": jacobian.effective_rank(jacobian.singular_values(own_encode, x)),
        "saturation": jacobian.saturation(own_encode(x), low=-1.0),
    }


def mesh():
    return Mesh(np.array(jax.devices()[:DEVICES]), ("devices",))


def by_shard_map(f):
    return jax.shard_map(jax.vmap(f, (None, 0)), mesh=mesh(), in_specs=(P(), P("devices")), out_specs=P("devices"))


def by_pmap(f):
    return jax.pmap(f, in_axes=(None, 0))


def by_checkpoint(f):
    return jax.vmap(jax.checkpoint(f), (None, 0))


def by_scan(f):
    return lambda params, batch: jax.lax.scan(lambda count, x: (count + 1, f(params, x)), 0, batch)[1]


def on_explicit_mesh(f, params, batch):
    explicit = jax.make_mesh((DEVICES,), ("devices",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(explicit):
        return jax.jit(f)(params, jax.device_put(batch, NamedSharding(explicit, P("devices"))))


def assert_close(got, expected, rtol=1e-4, atol=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), got, expected)


@cache
def of_vmap(f):
    return jax.jit(jax.vmap(f, (None, 0)))(PARAMS, BATCH)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("f", "by"),
    [(f, by) for f in (norms, measures) for by in (by_shard_map, by_pmap, by_scan, by_checkpoint)],
)
def test_numbers_are_those_of_vmap(f, by):
    transformed = by(f)
    got = (transformed if by is by_pmap else jax.jit(transformed))(PARAMS, BATCH)
    assert_close(got, of_vmap(f))


@pytest.mark.slow
@pytest.mark.parametrize("f", [norms, measures])
def test_numbers_are_those_of_vmap_on_an_explicit_mesh(f):
    assert_close(on_explicit_mesh(jax.vmap(f, (None, 0)), PARAMS, BATCH), of_vmap(f))


@pytest.mark.slow
@pytest.mark.parametrize("f", [norms, measures])
def test_gradients_are_those_of_one_device(f):
    """Gradients of parameters that all devices share: under shard_map, summed over devices, and on an explicit mesh."""

    def total(params, batch, mapped=jax.vmap(f, (None, 0))):  # noqa: B008
        return sum(jnp.sum(jnp.sin(value)) for value in jax.tree.leaves(mapped(params, batch)))

    expected = jax.jit(jax.grad(total))(PARAMS, BATCH)

    def sharded(params, batch):
        return jax.grad(lambda params: jax.lax.psum(total(params, batch), "devices"))(params)

    got = jax.jit(jax.shard_map(sharded, mesh=mesh(), in_specs=(P(), P("devices")), out_specs=P()))(PARAMS, BATCH)
    assert_close(got, expected, rtol=1e-3, atol=1e-3)
    assert_close(on_explicit_mesh(jax.grad(total), PARAMS, BATCH), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_each_device_has_the_jacobian_of_its_own_parameters():
    """All devices share the example; JAX would sum its gradient over them, as it does not vary, and must not here."""
    own = jax.tree.map(lambda leaf: jnp.stack([leaf * (1 + i / 10) for i in range(DEVICES)]), PARAMS)

    def of_both(params, x):
        f = partial(encode, params)
        return [jacobian.jacobian(f, x, method=method) for method in jacobian.exact.METHODS] + [
            jacobian.frobenius_norm_squared(f, x, method=method) for method in jacobian.exact.METHODS
        ]

    def on_device(params, x):
        return jax.tree.map(lambda value: value[None], of_both(jax.tree.map(lambda leaf: leaf[0], params), x))

    sharded = jax.shard_map(on_device, mesh=mesh(), in_specs=(P("devices"), P()), out_specs=P("devices"))
    assert_close(jax.jit(sharded)(own, BATCH[0]), jax.jit(jax.vmap(of_both, (0, None)))(own, BATCH[0]))


@pytest.mark.slow
@pytest.mark.parametrize("build", [partial(contractive, higher_order_weight=0.1), contractive_by_projections])
def test_contractive_losses_are_those_of_one_device(build):
    autoencoder = build(undercomplete(MLP((3,), (4,), activation=jnp.tanh), MLP((5,))), weight=0.1)
    params = jax.jit(autoencoder.init)(KEY, BATCH[0])

    def loss(params, x):
        return autoencoder.loss(params, KEY, x[None])[0]

    expected = jax.jit(jax.vmap(loss, (None, 0)))(params, BATCH)
    assert_close(jax.jit(by_shard_map(loss))(params, BATCH), expected)
    assert_close(on_explicit_mesh(jax.vmap(loss, (None, 0)), params, BATCH), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrap",
    [
        lambda plain: plain,
        partial(contractive, weight=0.1, method="structured"),
        partial(contractive, weight=0.1, method="auto", chunk_size=1),
        partial(contractive_by_projections, weight=0.1, distribution="sphere"),
    ],
)
def test_losses_of_a_batch_divided_on_an_explicit_mesh(wrap):
    """With padding too, which is replaced by an example of another device."""
    autoencoder = wrap(undercomplete(MLP((2,)), MLP((5,))))
    params = jax.jit(autoencoder.init)(KEY, BATCH[0])
    explicit = jax.make_mesh((DEVICES,), ("devices",), axis_types=(AxisType.Explicit,))

    def loss(params, x, weight):
        return autoencoder.loss(params, KEY, as_batch(x)._replace(weight=weight))[0]

    x, weight = BATCH.at[0].set(jnp.nan), jnp.ones(DEVICES).at[0].set(0)
    expected = jax.jit(jax.value_and_grad(loss))(params, x, weight)
    divided = jax.device_put((x, weight), NamedSharding(explicit, P("devices")))
    with jax.set_mesh(explicit):
        found = jax.jit(jax.value_and_grad(loss))(params, *divided)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), found, expected)

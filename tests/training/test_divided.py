"""A dictionary divided over devices learns what one on one device learns; what is selected is equal to the bit."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import (
    batch_top_k,
    dictionary,
    gated,
    jump_relu,
    matryoshka,
    resampled,
    top_k,
)
from aejax.autoencoders.dictionaries.selection import largest_of_batch, largest_of_each
from aejax.errors import UserError
from aejax.training import AXIS, create_state, train_step
from aejax.training.divided import UNITS, make_divided_step, start_divided, unit_mesh

D, F, B, STEPS = 6, 32, 16, 4
X = np.random.default_rng(0).normal(size=(STEPS, B, D)).astype(np.float32)
KEY = jax.random.key(0)
OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-2))
FAMILIES = {
    "top_k": lambda networks, axis: top_k(*networks, k=4, dead_after=2 * B, first_k=6, annealing_steps=3),
    "batch_top_k": lambda networks, axis: batch_top_k(*networks, k=3, dead_after=2 * B, axis_name=axis),
    "matryoshka": lambda networks, axis: matryoshka(*networks, k=3, prefixes=(3, 16), dead_after=2 * B, axis_name=axis),
    "jump_relu": lambda networks, axis: jump_relu(*networks, weight=0.1, bandwidth=0.5, start_threshold=0.2),
    "jump_relu by tanh": lambda networks, axis: jump_relu(
        *networks, weight=0.1, bandwidth=0.5, start_threshold=0.2, penalty="tanh"
    ),
    "gated": lambda networks, axis: gated(*networks, weight=0.1),
}


def networks(units_axis=None):
    return dictionary(D, F, unit_norm=True, units_axis=units_axis)


def divided(family: str, devices: int, parts: int):
    mesh = unit_mesh(jax.devices()[:devices], parts=parts)
    autoencoder = FAMILIES[family](networks(UNITS), AXIS)
    state = start_divided(autoencoder, OPTIMIZER, KEY, X[0, 0], mesh)
    step = make_divided_step(autoencoder, OPTIMIZER, mesh)
    terms = []
    for batch in X:
        state, metrics = step(state, batch)
        terms.append(metrics)
    return state, jax.device_get(terms)


def whole(family: str):
    autoencoder = FAMILIES[family](networks(), AXIS)
    state = create_state(autoencoder, OPTIMIZER, KEY, X[0, 0])
    step = jax.jit(jax.vmap(partial(train_step, autoencoder, OPTIMIZER), in_axes=(None, 0), axis_name=AXIS))
    terms = []
    for batch in X:
        state, metrics = jax.tree.map(lambda leaf: leaf[0], step(state, batch[None]))
        terms.append(metrics)
    return state, jax.device_get(terms)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_divided_is_whole(family):
    expected, expected_terms = whole(family)
    for devices, parts in ((8, 8), (8, 4)) if family == "batch_top_k" else ((8, 4),):
        state, terms = divided(family, devices, parts)
        chex.assert_trees_all_close(jax.device_get(state.params), expected.params, rtol=1e-4, atol=1e-5)
        chex.assert_trees_all_close(terms, expected_terms, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(state.params["state"]["silent"], expected.params["state"]["silent"])
        for array in (state.params["decoder"]["kernel"], state.opt_state[1][0].mu["decoder"]["kernel"]):
            assert {shard.data.shape for shard in array.addressable_shards} == {(F // parts, D)}


@pytest.mark.parametrize("on_a_cpu", [True, False])
def test_selection_over_units_is_that_of_one_device(on_a_cpu, monkeypatch):
    """With many ties, of examples and of units on several devices each."""
    values = np.random.default_rng(1).choice([0.0, 0.5, 0.5, 1.0, 2.0], (6, 16)).astype(np.float32)
    grid = jnp.asarray(values.reshape(3, 2, 4, 4).transpose(0, 2, 1, 3))  # (devices, units, examples, units of one)
    of_each, of_batch = largest_of_each(jnp.asarray(values), 5), largest_of_batch(jnp.asarray(values), 31)
    if not on_a_cpu:
        monkeypatch.setattr(jax.lax, "platform_dependent", lambda *operands, default, cpu: default(*operands))

    def over(function):
        mapped = jax.vmap(jax.vmap(function, axis_name=UNITS), axis_name=AXIS)
        return jax.jit(mapped)(grid)

    def joined(mask):
        return np.asarray(mask).transpose(0, 2, 1, 3).reshape(6, 16)

    each = over(lambda v: largest_of_each(v, 5, axis_name=UNITS))
    np.testing.assert_array_equal(joined(each.mask), of_each.mask)
    np.testing.assert_array_equal(each.number.sum(axis=1).reshape(-1), of_each.number)
    np.testing.assert_array_equal(each.weight.sum(axis=0).reshape(-1), of_each.weight)
    five = jnp.asarray(5)
    of_nine = over(lambda v: largest_of_each(v, 9, number=five, axis_name=UNITS).mask)
    np.testing.assert_array_equal(joined(of_nine), of_each.mask)
    batch = joined(over(lambda v: largest_of_batch(v, 31, axis_name=AXIS, units_axis=UNITS)))
    np.testing.assert_array_equal(batch, of_batch)
    assert batch.sum() == 31


def test_what_cannot_be_divided_is_refused():
    devices = jax.devices()
    with pytest.raises(UserError, match="parts: must be a divisor of the 8 devices, got 3"):
        unit_mesh(devices[:8], parts=3)
    with pytest.raises(UserError, match="30 units cannot be divided over 4 devices: use a multiple of 4"):
        start_divided(top_k(D, 30, k=2), OPTIMIZER, KEY, X[0, 0], unit_mesh(devices[:4], parts=4))
    with pytest.raises(UserError, match="resampled: needs all units on one device"):
        make_divided_step(resampled(top_k(D, F, k=2), every=5), OPTIMIZER, unit_mesh(devices[:4], parts=4))
    step = make_divided_step(top_k(*networks(UNITS), k=2), OPTIMIZER, unit_mesh(devices[:4], parts=2))
    with pytest.raises(UserError, match="a batch of 3 examples cannot be divided over 2 devices"):
        step(None, X[0, :3])

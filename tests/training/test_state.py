from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aejax.autoencoders import undercomplete
from aejax.networks import MLP
from aejax.training.state import RunKeys, create_state, epoch_order, run_keys


@given(seed=st.integers(0, 2**32 - 1), epoch=st.integers(0, 2**31 - 1), examples=st.integers(1, 300))
def test_an_order_is_a_permutation_that_its_key_and_epoch_determine(seed, epoch, examples):
    order = epoch_order(jax.random.key(seed), epoch, examples)
    np.testing.assert_array_equal(np.sort(order), np.arange(examples))
    np.testing.assert_array_equal(order, epoch_order(jax.random.key(seed), epoch, examples))


def test_other_epochs_keys_and_generators_have_other_orders():
    orders = [
        epoch_order(jax.random.key(seed, impl=impl), epoch, 50)
        for impl in ("threefry2x32", "rbg")
        for seed in (0, 1, 2**20)
        for epoch in (0, 1)
    ]
    assert len({tuple(order) for order in orders}) == len(orders)


@pytest.mark.slow
def test_every_example_comes_at_every_place_alike():
    """Of 4,000 epochs each of 5 examples stands at each of 5 places in a fifth: within 5 standard deviations."""
    epochs = 4000
    places = np.stack([epoch_order(jax.random.key(3), epoch, 5) for epoch in range(epochs)])
    counts = np.stack([np.sum(places == example, axis=0) for example in range(5)])
    assert np.abs(counts - epochs / 5).max() < 5 * np.sqrt(epochs * 0.2 * 0.8)


@pytest.mark.parametrize("examples", [2**31 - 1, 2**31])
def test_positions_are_as_short_as_they_can_be(examples, monkeypatch):
    """JAX counts in 32 bits; beyond their range examples are streamed, by positions of NumPy's."""
    monkeypatch.setattr(np, "arange", lambda examples, dtype: np.zeros(1, dtype))
    assert epoch_order(jax.random.key(0), 0, examples).dtype == (np.int32 if examples < 2**31 else np.int64)


@pytest.mark.slow
def test_all_streams_of_a_run_are_pairwise_different():
    """In JAX split(k)[i] is fold_in(k, i): of streams that share a key, one would repeat the other's noise."""
    root = jax.random.key(0)
    state = create_state(undercomplete(MLP((2,)), MLP((5,))), optax.sgd(0.1), root, jnp.ones(5))
    keys, counters = run_keys(state), jnp.arange(1000)
    folded = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
    streams = {
        "run": state.key[None],
        "initialization": jax.random.split(root)[:1],
        **{name: getattr(keys, name)[None] for name in RunKeys._fields},
        # what is drawn from each: by step, by example, or by the two halves of a split, which are the first of these
        **{f"from {name}": folded(getattr(keys, name), counters) for name in RunKeys._fields},
        "examples of the first steps": jax.vmap(folded, (0, None))(folded(keys.noise, counters[:4]), counters).ravel(),
    }
    seen = Counter(tuple(words) for stream in streams.values() for words in np.asarray(jax.random.key_data(stream)))
    assert max(seen.values()) == 1

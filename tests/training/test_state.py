import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aejax.training.state import epoch_order


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

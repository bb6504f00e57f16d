"""Networks of sequences: any length comes back in its length; layers against another implementation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aejax.networks import SequenceDecoder, SequenceEncoder

KEY = jax.random.key(0)


@pytest.mark.slow
@settings(max_examples=12)
@given(
    length=st.integers(1, 50),
    channels=st.none() | st.integers(1, 3),
    features=st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
def test_a_sequence_of_any_length_comes_back_in_its_length(length, channels, features):
    shape = (length,) if channels is None else (length, channels)
    encoder, decoder = SequenceEncoder(tuple(features), 3), SequenceDecoder(shape, tuple(features[::-1]))
    code = jax.eval_shape(encoder.init_with_output, KEY, jnp.ones(shape))[0]
    assert code.shape == (3,)
    assert jax.eval_shape(decoder.init_with_output, KEY, jnp.ones(3))[0].shape == shape


@pytest.mark.slow
def test_the_encoder_is_what_its_parameters_say():
    x = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    encoder = SequenceEncoder(features=(3,), code_size=2, activation=jnp.tanh)
    params = jax.jit(encoder.init)(KEY, jnp.asarray(x))
    kernel, bias = (np.asarray(params["params"]["Conv_0"][name], np.float64) for name in ("kernel", "bias"))
    padded = np.pad(x, ((2, 2), (0, 0)))  # of 5 taps at stride 2, centered on every other step
    steps = np.stack([np.einsum("tc,tcf->f", padded[place : place + 5], kernel) for place in range(0, 7, 2)])
    dense = params["params"]["Dense_0"]
    expected = np.tanh(steps + bias).reshape(-1) @ np.asarray(dense["kernel"], np.float64) + np.asarray(dense["bias"])
    np.testing.assert_allclose(encoder.apply(params, jnp.asarray(x)), expected, atol=1e-5)


@pytest.mark.slow
def test_a_condition_reaches_both():
    x, code = jnp.ones((6, 2)), jnp.ones(3)
    for network, given_ in ((SequenceEncoder((4,), 3), x), (SequenceDecoder((6, 2), (4,)), code)):

        def apply(condition, network=network, given_=given_):
            return network.apply(network.init(KEY, given_, jnp.eye(4)[0]), given_, condition)

        first, second = jax.jit(jax.vmap(apply))(jnp.eye(4)[:2])
        assert not np.allclose(first, second)


def test_an_image_is_refused():
    with pytest.raises(ValueError, match=r"a sequence has shape \(T,\) or \(T, C\), got \(3, 3, 1\)"):
        SequenceEncoder((2,), 2).init(KEY, jnp.ones((3, 3, 1)))
    with pytest.raises(ValueError, match=r"a sequence has shape \(T,\) or \(T, C\), got \(3, 3, 1\)"):
        SequenceDecoder((3, 3, 1), (2,)).init(KEY, jnp.ones(2))

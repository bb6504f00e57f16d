"""Which devices, and what is compiled for them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import undercomplete
from aejax.errors import UserError
from aejax.networks import ConvDecoder, ConvEncoder
from aejax.training import create_state, make_train_steps, train_step
from aejax.training.devices import choose_devices

EXAMPLE = jnp.zeros((6, 6, 1))
CONVOLUTIONAL = undercomplete(ConvEncoder(features=(2,)), ConvDecoder(shape=(6, 6, 1), features=(2,)))


def test_all_devices_or_the_first_of_them() -> None:
    assert choose_devices(None) == jax.local_devices()
    assert choose_devices(3) == jax.local_devices()[:3]
    with pytest.raises(UserError, match="between 1 and the 8 available, got 9"):
        choose_devices(9)


@pytest.mark.slow
def test_a_call_of_one_step_compiles_to_no_loop() -> None:
    """XLA on CPU keeps a loop of one step, and with it the slow gradient of a convolution."""
    optimizer, devices = optax.sgd(0.1), jax.local_devices()[:1]
    state = create_state(CONVOLUTIONAL, optimizer, jax.random.key(0), EXAMPLE)
    steps = make_train_steps(partial(train_step, CONVOLUTIONAL, optimizer), devices)
    data = jnp.zeros((4, *EXAMPLE.shape))
    for number, looped in ((1, False), (2, True)):
        compiled = steps.lower(state, data, np.zeros((1, number, 2), np.int32)).compile()
        assert (" while(" in compiled.as_text()) is looped

"""Which devices, and how many steps a call."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import contractive, undercomplete
from aejax.errors import UserError
from aejax.networks import MLP, ConvDecoder, ConvEncoder
from aejax.training import create_state, make_train_steps
from aejax.training.devices import MOST_STEPS_PER_CALL, choose_devices, choose_steps_per_call

EXAMPLE = jnp.zeros((6, 6, 1))
DENSE = contractive(undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(6, 6, 1))), weight=0.1)
CONVOLUTIONAL = undercomplete(ConvEncoder(features=(2,)), ConvDecoder(shape=(6, 6, 1), features=(2,)))


def test_all_devices_or_the_first_of_them() -> None:
    assert choose_devices(None) == jax.local_devices()
    assert choose_devices(3) == jax.local_devices()[:3]
    with pytest.raises(UserError, match="between 1 and the 8 at hand, got 9"):
        choose_devices(9)


@pytest.mark.parametrize(("autoencoder", "steps"), [(DENSE, MOST_STEPS_PER_CALL), (CONVOLUTIONAL, 1)])
def test_gradients_of_convolutions_stay_out_of_loops_on_cpu(autoencoder, steps: int) -> None:
    params = autoencoder.init(jax.random.key(0), EXAMPLE)
    assert choose_steps_per_call(autoencoder, params, EXAMPLE[None], jax.local_devices()[0]) == steps


def test_a_call_of_one_step_compiles_to_no_loop() -> None:
    """XLA on CPU keeps a loop of one step, and with it the slow gradient of a convolution."""
    optimizer, devices = optax.sgd(0.1), jax.local_devices()[:1]
    state = create_state(CONVOLUTIONAL, optimizer, jax.random.key(0), EXAMPLE)
    steps = make_train_steps(CONVOLUTIONAL, optimizer, devices)
    data = jnp.zeros((4, *EXAMPLE.shape))
    for number, looped in ((1, False), (2, True)):
        compiled = steps.lower(state, data, np.zeros((1, number, 2), np.int32)).compile()
        assert (" while(" in compiled.as_text()) is looped

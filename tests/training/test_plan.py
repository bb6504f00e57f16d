"""What is counted decides how the loop runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import Examples, contractive, undercomplete
from aejax.datasets.stored import FileRows, StoredArray
from aejax.networks import MLP, ConvDecoder, ConvEncoder
from aejax.training import plan as plans
from aejax.training.plan import MAX_STEPS_PER_CALL, Plan, choose_plan

SHAPE = (6, 6, 1)
DENSE = contractive(undercomplete(MLP(output_shape=(2,)), MLP(output_shape=SHAPE)), weight=0.1)
CONVOLUTIONAL = undercomplete(ConvEncoder(features=(2,)), ConvDecoder(shape=SHAPE, features=(2,)))


def plan_of(autoencoder, number: int = 64, shape: tuple[int, ...] = SHAPE, devices: int = 1, **options) -> Plan:
    x = np.broadcast_to(np.float32(0), (number, *shape))
    x = options.pop("x", x)
    params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.zeros(shape))
    chosen = jax.local_devices()[:devices]
    return choose_plan(autoencoder, params, Examples(x), Examples(x[:1]), batch_size=8, devices=chosen, **options)


def test_gradients_of_convolutions_stay_out_of_loops_on_cpu() -> None:
    assert plan_of(CONVOLUTIONAL) == Plan(False, 1, MAX_STEPS_PER_CALL, True)
    assert plan_of(DENSE) == Plan(False, 8, MAX_STEPS_PER_CALL, False)


def wide(width: int):
    return undercomplete(MLP(output_shape=(2,), hidden=(width,)), MLP(output_shape=(width,)))


def test_a_call_does_a_bounded_number_of_operations() -> None:
    """The count of XLA against the products by hand, that of a loss three times for its gradient."""
    width, devices = 4096, 2
    products = 8 * 2 * (width * width + 2 * width * 2)  # of a multiplication and an addition each, for all examples
    plan = plan_of(wide(width), 10_000, (width,), devices, streamed=False)
    assert plan.batches_per_call == pytest.approx(3e10 / products, rel=0.05)
    assert 0.5 * 3e10 / (3 * products) <= plan.steps_per_call <= 3e10 / (3 * products)


@pytest.mark.parametrize(
    ("steps", "most", "expected"), [(19, 500, 19), (421, 40, 40), (400, 39, 25), (400, 41, 40), (7, 1, 1), (1, 5, 1)]
)
def test_calls_divide_an_epoch_evenly_where_that_costs_little(steps: int, most: int, expected: int) -> None:
    assert plans._divisor(steps, most) == expected


def test_examples_are_streamed_beyond_a_gibibyte_or_out_of_a_file(tmp_path) -> None:
    numbers = 2**28  # of four bytes each
    row = (1024,)
    assert not plan_of(wide(1024), numbers // 1024 - 2, row).streamed
    assert plan_of(wide(1024), numbers // 1024 + 1, row).streamed
    assert plan_of(wide(1024), numbers // 1024 - 2, row, devices=2).streamed  # a copy for each of them
    assert not plan_of(wide(1024), numbers // 1024 + 1, row, streamed=False).streamed
    np.save(tmp_path / "x.npy", np.zeros((64, *SHAPE), np.float32))
    assert plan_of(DENSE, x=StoredArray(FileRows(np.load(tmp_path / "x.npy", mmap_mode="r")))).streamed


def test_streamed_calls_hold_few_bytes() -> None:
    plan = plan_of(undercomplete(MLP((2,)), MLP((2**16,))), 10_000, (2**16,), streamed=True)
    assert plan.steps_per_call <= 2**24 // (4 * 8 * 2**16)

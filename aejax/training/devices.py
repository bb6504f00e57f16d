"""Devices: which ones a run uses, how arrays are laid on them, and how many steps one call should hold."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder
from aejax.errors import UserError

AXIS = "devices"  # the name over which losses, metrics and gradients are averaged
MOST_STEPS_PER_CALL = 500


def choose_devices(number: int | None) -> list[jax.Device]:
    """The first `number` local devices, all by default; UserError where there are fewer."""
    devices = jax.local_devices()
    if number is None:
        return devices
    if not 1 <= number <= len(devices):
        raise UserError(f"devices must be between 1 and the {len(devices)} at hand, got {number}")
    return devices[:number]


def replicate(tree: PyTree, devices: Sequence[jax.Device]) -> PyTree:
    """Arrays copied to every device, in the layout that a pmapped function takes and returns them in."""
    return jax.device_put(tree, NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec()))


def check_batch_size(batch_size: int, examples: int, devices: int) -> None:
    """Raise UserError unless a global batch fits the data and divides among the devices."""
    if batch_size > examples:
        raise UserError(f"batch_size must be at most the {examples} training examples, got {batch_size}")
    if batch_size % devices:
        lower = batch_size // devices * devices
        nearest = f"{lower} or {lower + devices}" if lower else f"{devices}"
        raise UserError(f"batch_size must be divisible by the {devices} devices: {nearest}, got {batch_size}")


def choose_steps_per_call(autoencoder: Autoencoder, params: PyTree, example: Array, device: jax.Device) -> int:
    """How many steps one compiled call scans over: many, or 1 for convolutions on CPU.

    A scan saves the dispatch of every step. But XLA compiles the gradient of a convolution inside a loop on CPU to
    code that is 10 to 20 times slower than outside, so there every step is a call of its own. One call never holds
    more than `MOST_STEPS_PER_CALL` steps, lest progress and interruption wait.
    """
    if device.platform == "cpu" and "conv_general_dilated" in str(
        jax.make_jaxpr(autoencoder.loss, axis_env=[(AXIS, 1)])(params, jax.random.key(0), example[None])
    ):
        return 1
    return MOST_STEPS_PER_CALL

"""Devices: which ones a run uses, how arrays are laid on them, and how many steps one call should hold."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder, Examples, as_batch
from aejax.errors import UserError

AXIS = "devices"  # the name over which losses, metrics and gradients are averaged
MOST_STEPS_PER_CALL = 500


def choose_devices(number: int | None) -> list[jax.Device]:
    """The first `number` devices of every process, all by default, process by process.

    Raises:
      UserError: a process has fewer, or, where all are asked for, processes do not have the same number.
    """
    by_process = [jax.local_devices(process) for process in range(jax.process_count())]
    fewest = min(map(len, by_process))
    if number is None and fewest < max(map(len, by_process)):
        raise UserError(f"every process needs the same number of devices; take --devices {fewest}")
    if number is not None and not 1 <= number <= fewest:
        raise UserError(f"devices must be between 1 and the {fewest} at hand, got {number}")
    return [device for devices in by_process for device in devices[:number]]


def places_here(devices: Sequence[jax.Device]) -> list[int]:
    """Which of the devices are of this process: it takes their shares of every batch; all where it is the only one."""
    return [place for place, device in enumerate(devices) if device.process_index == jax.process_index()]


def replicate(tree: PyTree, devices: Sequence[jax.Device]) -> PyTree:
    """Arrays copied to every device of this process, in the layout that a pmapped function takes and returns them in.

    Every process must do the same: what it cannot see of the others, `pmap` takes for equal.
    """
    here = [devices[place] for place in places_here(devices)]
    return jax.device_put(tree, NamedSharding(Mesh(np.array(here), (AXIS,)), PartitionSpec()))


def check_batch_size(batch_size: int, examples: int, devices: int) -> None:
    """Raise UserError unless a global batch fits the data and divides among the devices."""
    if batch_size > examples:
        raise UserError(f"batch_size must be at most the {examples} training examples, got {batch_size}")
    if batch_size % devices:
        lower = batch_size // devices * devices
        nearest = f"{lower} or {lower + devices}" if lower else f"{devices}"
        raise UserError(f"batch_size must be divisible by the {devices} devices: {nearest}, got {batch_size}")


def choose_steps_per_call(
    autoencoder: Autoencoder, params: PyTree, examples: Examples | Array | np.ndarray, device: jax.Device
) -> int:
    """How many steps one compiled call scans over: many, or 1 for convolutions on CPU.

    A scan saves the dispatch of every step. But XLA compiles the gradient of a convolution inside a loop on CPU to
    code that is 10 to 20 times slower than outside, so there every step is a call of its own. One call never holds
    more than `MOST_STEPS_PER_CALL` steps, lest progress and interruption wait.
    """
    one = jax.tree.map(lambda part: part[:1], examples)

    def loss(params: PyTree, key: Array, one: Examples | Array) -> PyTree:
        return autoencoder.loss(params, key, as_batch(one))

    trace = jax.make_jaxpr(loss, axis_env=[(AXIS, 1)])
    if device.platform == "cpu" and "conv_general_dilated" in str(trace(params, jax.random.key(0), one)):
        return 1
    return MOST_STEPS_PER_CALL

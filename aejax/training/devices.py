"""Devices: which ones a run uses, and how arrays are placed on them."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from aejax.errors import UserError

AXIS = "devices"  # the name of the mapped axis over which losses, metrics and gradients are averaged


def choose_devices(number: int | None) -> list[jax.Device]:
    """Returns the first `number` devices of every process, ordered by process; None returns all devices.

    Raises:
      UserError: number is below 1 or a process has fewer devices, or number is None and the processes have different
        numbers of devices.
    """
    by_process = [jax.local_devices(process) for process in range(jax.process_count())]
    fewest = min(map(len, by_process))
    if number is None and fewest < max(map(len, by_process)):
        raise UserError(f"every process must use the same number of devices: set devices to {fewest}")
    if number is not None and not 1 <= number <= fewest:
        raise UserError(f"devices must be between 1 and the {fewest} available, got {number}")
    return [device for devices in by_process for device in devices[:number]]


def local_indices(devices: Sequence[jax.Device]) -> list[int]:
    """Returns the indices in `devices` of this process's devices, whose shares of every batch it loads."""
    return [index for index, device in enumerate(devices) if device.process_index == jax.process_index()]


def replicate(tree: PyTree, devices: Sequence[jax.Device]) -> PyTree:
    """Returns arrays copied to every device of this process, with the sharding of a pmapped function's inputs.

    Every process must call it with equal arrays: `pmap` assumes that replicated arguments are equal in all processes.
    """
    return jax.device_put(tree, _layout(devices, PartitionSpec()))


def shard(tree: PyTree, devices: Sequence[jax.Device]) -> PyTree:
    """Returns arrays (devices of this process, ...) with one row on each device, as a pmapped function expects."""
    return jax.device_put(tree, _layout(devices, PartitionSpec(AXIS)))


def check_batch_size(batch_size: int, examples: int, devices: int, accumulation_steps: int = 1) -> None:
    """Raise UserError unless the batch size is at most the number of examples, and a multiple of the microbatches."""
    if batch_size > examples:
        raise UserError(f"batch_size must be at most the {examples} training examples, got {batch_size}")
    microbatches = devices * accumulation_steps
    if batch_size % microbatches:
        lower = batch_size // microbatches * microbatches
        nearest = f"{lower} or {lower + microbatches}" if lower else f"{microbatches}"
        times = f" times {accumulation_steps} accumulation steps" if accumulation_steps > 1 else ""
        raise UserError(f"batch_size must be divisible by the {devices} devices{times}: {nearest}, got {batch_size}")


def _layout(devices: Sequence[jax.Device], partition: PartitionSpec) -> NamedSharding:
    local = [devices[index] for index in local_indices(devices)]
    return NamedSharding(Mesh(np.array(local), (AXIS,)), partition)

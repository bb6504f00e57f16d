"""Devices: which ones a run uses, and how arrays are laid on them."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from aejax.errors import UserError

AXIS = "devices"  # the name over which losses, metrics and gradients are averaged


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
    return jax.device_put(tree, _layout(devices, PartitionSpec()))


def divide(tree: PyTree, devices: Sequence[jax.Device]) -> PyTree:
    """Arrays (devices of this process, ...) with a part on each of them, in the layout of a mapped argument."""
    return jax.device_put(tree, _layout(devices, PartitionSpec(AXIS)))


def check_batch_size(batch_size: int, examples: int, devices: int, accumulation_steps: int = 1) -> None:
    """Raise UserError unless a global batch fits the data and divides among the devices and their microbatches."""
    if batch_size > examples:
        raise UserError(f"batch_size must be at most the {examples} training examples, got {batch_size}")
    parts = devices * accumulation_steps
    if batch_size % parts:
        lower = batch_size // parts * parts
        nearest = f"{lower} or {lower + parts}" if lower else f"{parts}"
        times = f" times {accumulation_steps} accumulation steps" if accumulation_steps > 1 else ""
        raise UserError(f"batch_size must be divisible by the {devices} devices{times}: {nearest}, got {batch_size}")


def _layout(devices: Sequence[jax.Device], partition: PartitionSpec) -> NamedSharding:
    here = [devices[place] for place in places_here(devices)]
    return NamedSharding(Mesh(np.array(here), (AXIS,)), partition)

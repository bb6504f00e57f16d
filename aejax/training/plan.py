"""The plan of a run: where its examples are stored and how many steps one compiled call has.

The plan depends on counted operations and bytes, not on timings, so that a resumed run has the same plan and gives the
same bits. The constants are rounded measurements on CPUs of a few cores; up to rounding error, the result of a run does
not depend on them.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder, Examples, as_batch
from aejax.datasets.stored import StoredArray
from aejax.training.devices import AXIS, local_indices
from aejax.training.kept import kept

MAX_STEPS_PER_CALL = 500  # more steps are not faster
_WORK_PER_CALL = {"cpu": 3e10}  # operations, or bytes moved: well below a second on two cores
_WORK_PER_CALL_ON_ACCELERATORS = 2e12
_RESIDENT_BYTES_ON_CPU = 2**30  # examples in the host's memory are in the device's memory too: only copies are limited
_RESIDENT_FRACTION = 0.5  # of the memory of an accelerator
_BYTES_PER_CALL = 2**24  # of streamed examples; those of three calls are in memory at a time


class Plan(NamedTuple):
    """The plan of a training loop."""

    streamed: bool  # whether batches are gathered on the host while the devices compute; else all examples are copied
    steps_per_call: int
    batches_per_call: int  # in evaluation
    unrolled: bool  # whether gradients are kept out of compiled loops


def choose_plan(
    autoencoder: Autoencoder,
    params: PyTree,
    train_x: Examples,
    validation_x: Examples,
    *,
    batch_size: int,
    devices: Sequence[jax.Device],
    streamed: bool | None = None,
    steps_per_call: int | None = None,
) -> Plan:
    """Returns the plan for training on these examples with these devices.

    - **Streaming** is chosen if examples are in a file (`StoredArray`), or if a copy of all examples for each device of
      this process exceeds one GiB of the host's memory, or half of an accelerator's memory. Otherwise all examples are
      copied to the devices once, and batches are gathered there.
    - **Steps per call.** A compiled scan saves the dispatch of every step, but cannot be interrupted: progress and
      signals wait for its end. So a call has 3e10 operations on CPU and 2e12 on accelerators, or moves as many bytes,
      by XLA's count for the loss, times three for its gradient; it has at most `MAX_STEPS_PER_CALL` steps and, with
      streaming, 16 MiB of examples.
    - **One step per call** is chosen for gradients of convolutions on CPU: inside a loop, XLA compiles them to code
      that is 10 to 20 times slower than outside.

    The number of steps per call is reduced to a divisor of the steps of an epoch, if there is one above its half, so
    that all calls have the same compiled shape; otherwise there are two shapes.

    Args:
      autoencoder: its loss is minimized.
      params: its parameters.
      train_x: the training examples, arrays or files; only their shapes are used.
      validation_x: the validation examples, arrays or files; only their shapes are used.
      batch_size: the size of the global batch.
      devices: the devices of all processes.
      streamed: replaces the choice of streaming.
      steps_per_call: replaces the choice of steps per call.
    """
    local = len(local_indices(devices))
    share = batch_size // len(devices)
    platform = devices[0].platform

    def batch_of(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((share, *leaf.shape[1:]), jax.dtypes.canonicalize_dtype(leaf.dtype))

    batch = jax.tree.map(batch_of, train_x)
    one_device = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype), batch)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), (params, one_device))
    leaves, structure = jax.tree.flatten(shapes)
    work_of_loss, has_convolutions = _count(autoencoder, structure, tuple(leaves))
    unrolled = platform == "cpu" and has_convolutions
    copies = local if platform == "cpu" else 1  # CPU devices share the memory and the cores
    if streamed is None:
        everything = (train_x, validation_x)
        is_in_file = any(isinstance(leaf, StoredArray) for leaf in jax.tree.leaves(everything))
        streamed = is_in_file or copies * _bytes_of(everything) > _resident_bytes(devices[0])
    work = work_of_loss * copies
    limit = _WORK_PER_CALL.get(platform, _WORK_PER_CALL_ON_ACCELERATORS) / max(work, 1.0)
    if streamed:
        limit = min(limit, _BYTES_PER_CALL / max(_bytes_of(batch) * local, 1))
    batches_per_call = max(1, min(MAX_STEPS_PER_CALL, int(limit)))
    if steps_per_call is None:
        steps_per_epoch = len(jax.tree.leaves(train_x)[0]) // batch_size
        max_steps = max(1, min(MAX_STEPS_PER_CALL, int(limit / 3)))
        steps_per_call = 1 if unrolled else _divisor(steps_per_epoch, max_steps)
    return Plan(streamed, steps_per_call, batches_per_call, unrolled)


@kept
def _count(
    autoencoder: Autoencoder, structure: jax.tree_util.PyTreeDef, shapes: tuple[jax.ShapeDtypeStruct, ...]
) -> tuple[float, bool]:
    """Returns the operations of one device's loss, or its bytes moved if larger, and whether it has convolutions.

    Args:
      autoencoder: its loss is counted, by XLA.
      structure: the tree structure of parameters and examples (1, share, ...).
      shapes: the shapes of their leaves.
    """

    def loss(params: PyTree, key: Array, examples: Examples) -> PyTree:
        return autoencoder.loss(params, key, as_batch(examples)._replace(step=jnp.zeros((), jnp.int32)))

    params, examples = jax.tree.unflatten(structure, shapes)
    mapped = jax.vmap(loss, in_axes=(None, None, 0), axis_name=AXIS)
    trace = jax.jit(mapped).trace(params, jax.random.key(0), examples)
    cost = trace.lower().cost_analysis() or {}
    work = max(cost.get("flops", 0.0), cost.get("bytes accessed", 0.0))
    return work, "conv_general_dilated" in str(trace.jaxpr)


def _divisor(steps: int, maximum: int) -> int:
    """Returns the largest divisor of `steps` that is at most `maximum`, or `maximum` if that is at most its half."""
    divisors = (number for number in range(maximum, maximum // 2, -1) if steps % number == 0)
    return steps if steps <= maximum else next(divisors, maximum)


def _bytes_of(tree: PyTree) -> int:
    return sum(leaf.dtype.itemsize * math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _resident_bytes(device: jax.Device) -> float:
    """Returns the number of bytes that examples may occupy on a device."""
    statistics = None if device.platform == "cpu" else device.memory_stats()
    if statistics is None or "bytes_limit" not in statistics:
        return _RESIDENT_BYTES_ON_CPU
    return _RESIDENT_FRACTION * statistics["bytes_limit"]

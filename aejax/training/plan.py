"""How a run is carried out: where its examples lie and how many steps a compiled call holds, from counted facts.

Nothing here is timed, so that a run that is continued is divided as it was, and gives the same bits. The figures were
measured on CPUs of a few cores and are round; the result of a run does not depend on them, but for rounding.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder, Examples, as_batch
from aejax.datasets.stored import StoredArray
from aejax.training.devices import AXIS, places_here
from aejax.training.kept import kept

MOST_STEPS_PER_CALL = 500  # beyond which nothing is gained
_WORK_PER_CALL = {"cpu": 3e10}  # operations, or bytes moved: well below a second of it on two cores
_WORK_PER_CALL_OF_ACCELERATORS = 2e12
_RESIDENT_BYTES_ON_CPU = 2**30  # where examples that stay on the host are as near as those that are resident
_RESIDENT_PART = 0.5  # of the memory of an accelerator
_BYTES_PER_CALL = 2**24  # of streamed examples; three calls' are held at a time


class Plan(NamedTuple):
    """How the loop runs."""

    streamed: bool  # batches are gathered on the host, the next one while the devices work; else all are on the devices
    steps_per_call: int
    batches_per_call: int  # of evaluation
    unrolled: bool  # gradients must not lie in compiled loops


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
    """How these examples are to be trained on with these devices.

    - **Streamed** where examples lie in a file (`StoredArray`), or where a copy of all of them for each device of this
      process takes more than a GiB of the host's memory, or more than half of an accelerator's. Else they are copied
      to the devices once, and batches are gathered there.
    - **Steps in one call.** A compiled scan saves the dispatch of every step, and is not interrupted: progress and
      signals wait for its end. So a call does 3e10 operations on CPU and 2e12 on accelerators, or moves as many bytes,
      by XLA's own count for the loss, times three for its gradient; never more than `MOST_STEPS_PER_CALL` steps, and,
      where they are streamed, 16 MiB of examples.
    - **One step in a call** for gradients of convolutions on CPU: inside a loop XLA compiles them to code that is 10 to
      20 times slower than outside.

    The number of steps is rounded down to one that divides an epoch, where that costs less than half of it, so that
    all calls are of one compiled shape; else there are two.

    Args:
      autoencoder: whose loss is minimized.
      params: its parameters.
      train_x: examples to train on, arrays or files; nothing is read of them.
      validation_x: examples to evaluate on, likewise.
      batch_size: of the global batch.
      devices: of every process.
      streamed: takes the place of the first rule.
      steps_per_call: takes the place of the others.
    """
    here = len(places_here(devices))
    share = batch_size // len(devices)
    platform = devices[0].platform

    batch = jax.tree.map(lambda part: jax.ShapeDtypeStruct((share, *part.shape[1:]), part.dtype), train_x)
    one_device = jax.tree.map(lambda part: jax.ShapeDtypeStruct((1, *part.shape), part.dtype), batch)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), (params, one_device))
    leaves, structure = jax.tree.flatten(shapes)
    work_of_loss, has_convolutions = _count(autoencoder, structure, tuple(leaves))
    unrolled = platform == "cpu" and has_convolutions
    copies = here if platform == "cpu" else 1  # in the same memory, and on the same cores
    if streamed is None:
        everything = (train_x, validation_x)
        lies_in_a_file = any(isinstance(leaf, StoredArray) for leaf in jax.tree.leaves(everything))
        streamed = lies_in_a_file or copies * _bytes_of(everything) > _resident_bytes(devices[0])
    work = work_of_loss * copies
    most = _WORK_PER_CALL.get(platform, _WORK_PER_CALL_OF_ACCELERATORS) / max(work, 1.0)
    if streamed:
        most = min(most, _BYTES_PER_CALL / max(_bytes_of(batch) * here, 1))
    most_batches = max(1, min(MOST_STEPS_PER_CALL, int(most)))
    if steps_per_call is None:
        steps_per_epoch = len(jax.tree.leaves(train_x)[0]) // batch_size
        steps_per_call = 1 if unrolled else _even(steps_per_epoch, max(1, min(MOST_STEPS_PER_CALL, int(most / 3))))
    return Plan(streamed, steps_per_call, most_batches, unrolled)


@kept
def _count(
    autoencoder: Autoencoder, structure: jax.tree_util.PyTreeDef, shapes: tuple[jax.ShapeDtypeStruct, ...]
) -> tuple[float, bool]:
    """Returns the operations of a device's loss, or the bytes it moves if they are more, and if it has convolutions.

    Args:
      autoencoder: whose loss is counted, by XLA.
      structure: of parameters and examples (1, share, ...).
      shapes: of their leaves.
    """

    def loss(params: PyTree, key: Array, examples: Examples) -> PyTree:
        return autoencoder.loss(params, key, as_batch(examples)._replace(step=jnp.zeros((), jnp.int32)))

    params, examples = jax.tree.unflatten(structure, shapes)
    mapped = jax.vmap(loss, in_axes=(None, None, 0), axis_name=AXIS)
    trace = jax.jit(mapped).trace(params, jax.random.key(0), examples)
    cost = trace.lower().cost_analysis() or {}
    work = max(cost.get("flops", 0.0), cost.get("bytes accessed", 0.0))
    return work, "conv_general_dilated" in str(trace.jaxpr)


def _even(steps: int, most: int) -> int:
    """The largest number up to `most` that divides the steps of an epoch, or `most` where that is below its half."""
    divisors = (number for number in range(most, most // 2, -1) if steps % number == 0)
    return steps if steps <= most else next(divisors, most)


def _bytes_of(tree: PyTree) -> int:
    return sum(leaf.dtype.itemsize * math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _resident_bytes(device: jax.Device) -> float:
    """How much of the examples a device may hold."""
    statistics = None if device.platform == "cpu" else device.memory_stats()
    if statistics is None or "bytes_limit" not in statistics:
        return _RESIDENT_BYTES_ON_CPU
    return _RESIDENT_PART * statistics["bytes_limit"]

"""Blocks of examples that several devices compute together, each example on its own: no device count changes it."""

from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Int, PyTree

_AXIS = "examples"
OnProgress = Callable[[int, int], None]  # (steps done, steps in total)


def over_devices(function: Callable[..., PyTree], devices: Sequence[jax.Device]) -> Callable[[PyTree, PyTree], PyTree]:
    """Returns the compiled `(shared, block) -> results` of a function `(shared, *one)` of ONE example.

    Args:
      function: maps `shared`, such as parameters, and one element of each array to a pytree of arrays.
      devices: the devices; each computes its share of the block.

    Returns:
      A function of `shared` and a tuple of arrays (B, ...), B a multiple of the number of devices; results are stacked
      along a first axis of length B.
    """
    mesh = Mesh(np.array(devices), (_AXIS,))
    copied, divided = PartitionSpec(), PartitionSpec(_AXIS)

    def of_share(shared: PyTree, share: PyTree) -> PyTree:
        return jax.vmap(lambda one: function(shared, *one))(share)

    mapped = jax.jit(jax.shard_map(of_share, mesh=mesh, in_specs=(copied, divided), out_specs=divided, check_vma=False))

    def on_devices(shared: PyTree, block: PyTree) -> PyTree:
        return mapped(
            jax.device_put(shared, NamedSharding(mesh, copied)), jax.device_put(block, NamedSharding(mesh, divided))
        )

    return on_devices


def blocks_of(examples: int, block_size: int, devices: int) -> Iterator[tuple[Int[np.ndarray, "B"], int]]:
    """Yields the positions of each block's examples, and how many of them count; the last block repeats its first.

    All blocks have the same size, a multiple of the number of devices, so that one program computes them.

    >>> [(positions.tolist(), count) for positions, count in blocks_of(5, 3, 1)]
    [([0, 1, 2], 3), ([3, 4, 3], 2)]
    """
    size = -(-min(block_size, examples) // devices) * devices
    for start in range(0, examples, size):
        positions = np.arange(start, start + size)
        yield np.where(positions < examples, positions, start), min(size, examples - start)


def number_of_blocks(examples: int, block_size: int, devices: int) -> int:
    """Returns how many blocks `blocks_of` yields."""
    return sum(1 for _ in blocks_of(examples, block_size, devices))

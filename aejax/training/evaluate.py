"""The mean of every loss term over a whole split, the last partial batch exact."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PyTree

from aejax.autoencoders import Autoencoder, Examples, as_batch
from aejax.autoencoders.record import Metrics
from aejax.training.devices import AXIS, places_here

Evaluate = Callable[[PyTree, Array, Examples | Array | np.ndarray], dict[str, float]]


def make_evaluate(autoencoder: Autoencoder, *, batch_size: int, devices: Sequence[jax.Device]) -> Evaluate:
    """Compile `(params, key, examples) -> means` over all N examples.

    Sums and counts are taken apart, and the sums of the batches added in float64, so that the batch size does not
    change the result. Of several processes each takes its share of every batch, and gets the means over all. Noise is
    keyed by the key and an example's position: the same at every call.
    """

    def batch_sums(
        params: PyTree,
        key: Array,
        data: Examples | Array,
        positions: Int[Array, "S share"],
        weights: Float[Array, "S share"],
    ) -> Metrics:
        def step(carry: None, positions_and_weights: tuple[Array, Array]) -> tuple[None, Metrics]:
            position, weight = positions_and_weights
            batch = as_batch(jax.tree.map(lambda part: part[position], data))
            metrics = autoencoder.loss(params, key, batch._replace(indices=position, weight=weight))[1]
            sums = jax.tree.map(lambda mean: mean * jnp.sum(weight), metrics)
            return carry, lax.psum(sums, AXIS)

        return lax.scan(step, None, (positions, weights))[1]

    mapped = jax.pmap(batch_sums, AXIS, in_axes=(None, None, None, 0, 0), out_axes=None, devices=devices)
    here = places_here(devices)

    def evaluate(params: PyTree, key: Array, data: Examples | Array | np.ndarray) -> dict[str, float]:
        x = jax.tree.leaves(data)[0]
        examples = len(x)
        share = -(-min(batch_size, examples) // len(devices))
        batches = -(-examples // (share * len(devices)))
        shape = (batches, len(devices), share)
        order = np.arange(batches * len(devices) * share)
        weights = (order < examples).astype(x.dtype).reshape(shape).swapaxes(0, 1)[here]
        positions = np.where(order < examples, order, 0).astype(np.int32).reshape(shape).swapaxes(0, 1)[here]
        sums = jax.device_get(mapped(params, key, data, positions, weights))
        return {name: float(np.sum(values, dtype=np.float64) / examples) for name, values in sums.items()}

    return evaluate

"""The exact mean of every loss term over all examples, including the last, incomplete batch."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PyTree

from aejax.autoencoders import Autoencoder, Examples, as_batch
from aejax.autoencoders.learned_state import split_statistics
from aejax.autoencoders.record import Metrics
from aejax.precision import at_least_single
from aejax.training.devices import AXIS, local_indices, shard
from aejax.training.entrance import accepts_missing, as_examples, check_autoencoder, check_counts, check_devices
from aejax.training.kept import kept
from aejax.training.streaming import gather, in_memory, on_host, prefetch


class Evaluate:
    """A compiled function `(params, key, examples) -> means` over all N examples, returned by `make_evaluate`."""

    def __init__(
        self,
        autoencoder: Autoencoder,
        *,
        batch_size: int,
        devices: Sequence[jax.Device],
        streamed: bool = False,
        batches_per_call: int | None = None,
        padded: bool = False,
    ) -> None:
        """Stores the arguments of `make_evaluate`."""
        self._autoencoder, self._batch_size, self._devices = autoencoder, batch_size, devices
        self._streamed, self._batches_per_call, self._padded = streamed, batches_per_call, padded
        self._sums = _compiled_sums(autoencoder, tuple(devices), streamed)

    def __call__(self, params: PyTree, key: Array, data: Examples | Array | np.ndarray) -> dict[str, float]:
        """Returns the mean of every term, by name."""
        *_, means = self.call_by_call(params, key, data)
        assert means is not None
        return means

    def call_by_call(
        self, params: PyTree, key: Array, data: Examples | Array | np.ndarray
    ) -> Iterator[dict[str, float] | None]:
        """Yields None after every compiled call except the last, then the means: lets a caller act in between."""
        examples = as_examples(data)
        if not len(examples.x):
            raise ValueError(f"there must be at least one example, got x of shape {examples.x.shape}")
        examples = on_host(examples) if self._streamed else in_memory(examples)
        number, dtype = len(examples.x), examples.x.dtype
        totals: dict[str, np.float64] = {}
        weight_dtype = at_least_single(dtype) if jnp.issubdtype(dtype, jnp.floating) else np.dtype(np.float32)
        calls = self._calls(number, weight_dtype)
        arguments: Generator[tuple[Examples, np.ndarray, np.ndarray], None, None]
        if self._streamed:
            distributions = self._autoencoder.variational
            likelihood = None if distributions is None else distributions.likelihood
            missing = accepts_missing(self._autoencoder)

            def load(call: tuple[np.ndarray, np.ndarray]) -> tuple[Examples, np.ndarray, np.ndarray]:
                return shard(
                    gather(examples, call[0], likelihood, "the examples", missing=missing), self._devices
                ), *call

            arguments = prefetch(load, calls)
        else:
            arguments = ((examples, *call) for call in calls)
        with contextlib.closing(arguments):
            first = True
            for argument in arguments:
                if not first:
                    yield None
                first = False
                sums = jax.device_get(self._sums(params, key, *argument))
                for name, values in sums.items():
                    totals[name] = totals.get(name, np.float64(0)) + np.sum(values, dtype=np.float64)
        yield {name: float(total / number) for name, total in totals.items()}

    def _calls(self, examples: int, dtype: np.dtype) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields each call's positions and weights of examples on this process's devices, all of the same shape."""
        devices, local = len(self._devices), local_indices(self._devices)
        share = -(-(self._batch_size if self._padded else min(self._batch_size, examples)) // devices)
        batches = -(-examples // (share * devices))
        calls = -(-batches // (self._batches_per_call or batches))
        size = -(-batches // calls)
        if self._padded and self._batches_per_call:
            size = self._batches_per_call
        for call in range(calls):
            order = np.arange(call * size * devices * share, (call + 1) * size * devices * share)
            order = order.reshape(size, devices, share).swapaxes(0, 1)[local]
            yield np.where(order < examples, order, 0).astype(np.int32), (order < examples).astype(dtype)


@kept
def _compiled_sums(autoencoder: Autoencoder, devices: tuple[jax.Device, ...], streamed: bool) -> Callable[..., Metrics]:
    """Returns `(params, key, data, positions, weights) -> sums`; the sums are (S,) for each term, one per batch."""

    def sums(
        params: PyTree,
        key: Array,
        data: Examples,
        positions: Int[Array, "S share"],
        weights: Float[Array, "S share"],
    ) -> Metrics:
        def step(carry: None, inputs: tuple[Array, Array, Examples | None]) -> tuple[None, Metrics]:
            position, weight, streamed_examples = inputs
            if streamed_examples is None:
                examples = jax.tree.map(lambda leaf: leaf[position], data)
            else:
                examples = streamed_examples
            batch = as_batch(examples)._replace(indices=position, weight=weight)
            metrics, _ = split_statistics(autoencoder.loss(params, key, batch)[1])
            return carry, lax.psum(jax.tree.map(partial(_sum, weight), metrics), AXIS)

        return lax.scan(step, None, (positions, weights, data if streamed else None))[1]

    axes = (None, None, 0 if streamed else None, 0, 0)
    return jax.pmap(sums, AXIS, in_axes=axes, out_axes=None, devices=devices)


def _sum(weight: Float[Array, "share"], mean: Array) -> Array:
    """Returns the sum of a term over the examples that count, from its mean, in at least single precision."""
    count = jnp.sum(weight)
    return jnp.where(count == 0, 0, mean.astype(weight.dtype) * count)


def make_evaluate(
    autoencoder: Autoencoder,
    *,
    batch_size: int,
    devices: Sequence[jax.Device],
    streamed: bool = False,
    batches_per_call: int | None = None,
    padded: bool = False,
) -> Evaluate:
    """Returns a compiled function `(params, key, examples) -> means` of every loss term over all N examples.

    The sums of the batches are added in float64 and divided by N, so that neither the batch size nor the number of
    batches per call changes the result. Terms that are coupled through the batch (maximum mean discrepancy, total
    correlation) are an exception: they are means over batches, the last of which is smaller. With several processes,
    each evaluates its share of every batch and receives the means over all examples. Noise is keyed by the key and an
    example's position, so it is the same at every call.

    Args:
      autoencoder: its loss is evaluated.
      batch_size: the size of the global batch.
      devices: the devices of all processes.
      streamed: whether the examples, arrays or files, stay on the host and are gathered while the devices compute.
      batches_per_call: the maximum number of batches in one compiled call; None for no limit.
      padded: whether every call has exactly `batches_per_call` batches of `batch_size` examples, some of weight 0.
        Streamed examples of every number are then evaluated by one compiled program.

    Returns:
      The function; the means are floats by the name of the term. It raises ValueError if there are no examples, or if
      the networks do not accept them.

    Raises:
      ValueError: a number is below 1, or there are no devices.
      TypeError: an argument has the wrong type.
    """
    check_autoencoder(autoencoder)
    check_counts(batch_size=batch_size, batches_per_call=batches_per_call)
    check_devices(devices)
    return Evaluate(
        autoencoder,
        batch_size=batch_size,
        devices=devices,
        streamed=streamed,
        batches_per_call=batches_per_call,
        padded=padded,
    )

"""The mean of every loss term over a whole split, the last partial batch exact."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PyTree

from aejax.autoencoders import Autoencoder, Examples, as_batch
from aejax.autoencoders.record import Metrics
from aejax.precision import at_least_single
from aejax.training.devices import AXIS, divide, places_here
from aejax.training.entrance import as_examples, check_autoencoder, check_counts, check_devices
from aejax.training.kept import kept
from aejax.training.streaming import gather, in_memory, on_host, prefetch


class Evaluate:
    """A compiled `(params, key, examples) -> means` over all N examples; made by `make_evaluate`."""

    def __init__(
        self,
        autoencoder: Autoencoder,
        *,
        batch_size: int,
        devices: Sequence[jax.Device],
        streamed: bool = False,
        batches_per_call: int | None = None,
    ) -> None:
        """As `make_evaluate`."""
        self._autoencoder, self._batch_size, self._devices = autoencoder, batch_size, devices
        self._streamed, self._batches_per_call = streamed, batches_per_call
        self._sums = _compiled_sums(autoencoder, tuple(devices), streamed)

    def __call__(self, params: PyTree, key: Array, data: Examples | Array | np.ndarray) -> dict[str, float]:
        """The mean of every term, by name."""
        *_, means = self.parts(params, key, data)
        assert means is not None
        return means

    def parts(
        self, params: PyTree, key: Array, data: Examples | Array | np.ndarray
    ) -> Iterator[dict[str, float] | None]:
        """None after every compiled call but the last, and then the means: for who has something to do in between."""
        given = as_examples(data)
        if not len(given.x):
            raise ValueError(f"there must be at least one example, got x of shape {given.x.shape}")
        examples = on_host(given) if self._streamed else in_memory(given)
        number, dtype = len(examples.x), examples.x.dtype
        totals: dict[str, np.float64] = {}
        weight_dtype = at_least_single(dtype) if jnp.issubdtype(dtype, jnp.floating) else np.dtype(np.float32)
        calls = self._calls(number, weight_dtype)
        arguments: Generator[tuple[Examples, np.ndarray, np.ndarray], None, None]
        if self._streamed:
            distributions = self._autoencoder.variational
            likelihood = None if distributions is None else distributions.likelihood

            def load(call: tuple[np.ndarray, np.ndarray]) -> tuple[Examples, np.ndarray, np.ndarray]:
                return divide(gather(examples, call[0], likelihood, "the examples"), self._devices), *call

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
        """Positions and weights of the batches of each call, all of one shape, of this process's devices."""
        devices, here = len(self._devices), places_here(self._devices)
        share = -(-min(self._batch_size, examples) // devices)
        batches = -(-examples // (share * devices))
        calls = -(-batches // (self._batches_per_call or batches))
        size = -(-batches // calls)
        for call in range(calls):
            order = np.arange(call * size * devices * share, (call + 1) * size * devices * share)
            order = order.reshape(size, devices, share).swapaxes(0, 1)[here]
            yield np.where(order < examples, order, 0).astype(np.int32), (order < examples).astype(dtype)


@kept
def _compiled_sums(autoencoder: Autoencoder, devices: tuple[jax.Device, ...], streamed: bool) -> Callable[..., Metrics]:
    """Returns `(params, key, data, positions, weights) -> sums`, (S,) for each term: one sum for each batch."""

    def sums(
        params: PyTree,
        key: Array,
        data: Examples,
        positions: Int[Array, "S share"],
        weights: Float[Array, "S share"],
    ) -> Metrics:
        def step(carry: None, inputs: tuple[Array, Array, Examples | None]) -> tuple[None, Metrics]:
            position, weight, given = inputs
            examples = jax.tree.map(lambda part: part[position], data) if given is None else given
            batch = as_batch(examples)._replace(indices=position, weight=weight)
            metrics = autoencoder.loss(params, key, batch)[1]
            return carry, lax.psum(jax.tree.map(partial(_sum, weight), metrics), AXIS)

        return lax.scan(step, None, (positions, weights, data if streamed else None))[1]

    axes = (None, None, 0 if streamed else None, 0, 0)
    return jax.pmap(sums, AXIS, in_axes=axes, out_axes=None, devices=devices)


def _sum(weight: Float[Array, "share"], mean: Array) -> Array:
    """From the mean of a term over the examples that count to their sum, in single precision at least."""
    counted = jnp.sum(weight)
    return jnp.where(counted == 0, 0, mean.astype(weight.dtype) * counted)


def make_evaluate(
    autoencoder: Autoencoder,
    *,
    batch_size: int,
    devices: Sequence[jax.Device],
    streamed: bool = False,
    batches_per_call: int | None = None,
) -> Evaluate:
    """Compile `(params, key, examples) -> means` over all N examples.

    Sums and counts are taken apart, and the sums of the batches added in float64, so that neither the batch size nor
    the division into calls changes the result; but for terms that are coupled through the batch (maximum mean
    discrepancy, total correlation), which are means over batches, the last of them smaller. Of several processes each
    takes its share of every batch, and gets the means over all. Noise is keyed by the key and an example's position:
    the same at every call.

    Args:
      autoencoder: whose loss is meant.
      batch_size: of the global batch.
      devices: of every process.
      streamed: the examples stay on the host, arrays or files, and are gathered while the devices work.
      batches_per_call: at most so many in one compiled call; None for all.

    Raises:
      ValueError: a number below 1, no devices; of the function, no examples or such as the networks do not take.
      TypeError: an argument of another kind.
    """
    check_autoencoder(autoencoder)
    check_counts(batch_size=batch_size, batches_per_call=batches_per_call)
    check_devices(devices)
    return Evaluate(
        autoencoder, batch_size=batch_size, devices=devices, streamed=streamed, batches_per_call=batches_per_call
    )

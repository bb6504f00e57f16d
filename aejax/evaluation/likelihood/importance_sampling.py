"""The log-likelihood log p(x) of a decoder by importance sampling from its encoder, with errors."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from aejax.autoencoders import Autoencoder
from aejax.autoencoders.densities import check_variational, densities_of, log_weight
from aejax.autoencoders.record import BatchLike, as_batch, encoder_inputs, example_keys
from aejax.checks import check_count
from aejax.evaluation.likelihood.blocks import OnProgress, blocks_of, number_of_blocks, over_devices
from aejax.evaluation.likelihood.entrance import check_finite_weights
from aejax.evaluation.likelihood.pareto import tail_size
from aejax.evaluation.likelihood.weights import (
    WeightSums,
    added,
    effective_sample_size,
    log_mean,
    log_mean_error,
    mean_log,
    mean_log_error,
    pareto_shapes,
    sums_of,
)


class ImportanceSampled(NamedTuple):
    """Estimates of log p(x) for N examples, in nats."""

    samples: int  # K
    log_likelihood: Float[np.ndarray, "N"]  # log (1/K) Σ w: the bound of importance weighted autoencoders
    error: Float[np.ndarray, "N"]  # its standard error; NaN for one sample
    half: Float[np.ndarray, "N"]  # the same with K/2 samples, mean over the two halves; NaN for one sample
    elbo: Float[np.ndarray, "N"]  # (1/K) Σ log w: an estimate of the evidence lower bound
    elbo_error: Float[np.ndarray, "N"]  # its standard error; NaN for one sample
    effective_samples: Float[np.ndarray, "N"]  # (Σ w)² / Σ w², from 1 to K
    pareto_k: Float[np.ndarray, "N"]  # shape of the largest weights; above 0.7 the estimate is not to be trusted


def importance_sampled_log_likelihood(
    autoencoder: Autoencoder,
    params: PyTree,
    key: Key[Array, ""],
    examples: BatchLike,
    *,
    samples: int,
    devices: Sequence[jax.Device] | None = None,
    block_size: int = 100,
    chunk_size: int = 100,
    on_progress: OnProgress | None = None,
) -> ImportanceSampled:
    """Estimates log p(x) of every example by importance sampling from the posterior q(z | x).

        log p̂(x) = log (1/K) Σᵢ wᵢ,  wᵢ = p(x, zᵢ)/q(zᵢ | x),  z₁, ..., z_K ~ q(z | x)

    In expectation it is below log p(x), by about Var(w) / (2 K E[w]²); so a value that still rises from K/2 to K
    samples, `half` and `log_likelihood`, is too low. `chunk_size` samples of `block_size` examples are in memory at a
    time, and noise is keyed by the example's index and the sample's number: up to rounding error, the result depends
    neither on these sizes nor on the number of devices.

    Args:
      autoencoder: a variational autoencoder.
      params: its parameters.
      key: a random key, not used elsewhere.
      examples: (N, ...), an array or `Examples` with inputs and conditions, or a `Batch`, whose indices key the noise.
      samples: K >= 1.
      devices: the devices; None for the first one. Each computes its share of every block.
      block_size: examples at a time.
      chunk_size: samples of each example at a time.
      on_progress: called with the number of chunks done and of all chunks.

    Raises:
      ValueError: a number is below 1, there are no examples, or a weight is NaN or infinite, or all weights are 0.
      TypeError: the autoencoder is not variational, or a number is not an integer.

    Source: Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance Weighted Autoencoders, eq. 8; bias and error:
    S. Nowozin (2018), Debiasing Evidence Approximations, proposition 1; `pareto_k`: A. Vehtari et al. (2024).

    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> params = vae.init(jax.random.key(0), jnp.ones(5))
    >>> estimates = importance_sampled_log_likelihood(vae, params, jax.random.key(1), jnp.ones((7, 5)), samples=10)
    >>> estimates.log_likelihood.shape, bool((estimates.half <= estimates.log_likelihood).all())
    ((7,), True)
    """
    check_variational(autoencoder)
    for name, count in {"samples": samples, "block_size": block_size, "chunk_size": chunk_size}.items():
        check_count(name, count)
    batch, devices = as_batch(examples), jax.devices()[:1] if devices is None else devices
    arrays = (example_keys(key, batch), batch.x, *encoder_inputs(batch))

    def log_weights(
        shared: tuple[PyTree, Int[Array, "C"]], key: Key[Array, ""], x: Array, *inputs: Array
    ) -> Float[Array, "C"]:
        params, numbers = shared
        densities = densities_of(autoencoder, params, x, *inputs)

        def of_sample(number: Array) -> Array:
            return log_weight(densities, densities.sample_posterior(jax.random.fold_in(key, number)))

        return jax.vmap(of_sample)(numbers)

    compute = over_devices(log_weights, devices)
    chunks = _chunks(samples, chunk_size)
    total = len(chunks) * number_of_blocks(len(batch.x), block_size, len(devices))
    kept, blocks, done = tail_size(samples) + 1, [], 0
    for positions, count in blocks_of(len(batch.x), block_size, len(devices)):
        block, halves = tuple(array[positions] for array in arrays), dict[int, WeightSums]()
        for half, numbers in chunks:
            computed = np.asarray(jax.device_get(compute((params, jnp.asarray(numbers)), block)))
            sums = sums_of(computed[:count], kept=kept)
            halves[half] = sums if half not in halves else added(halves[half], sums, kept=kept)
            done += 1
            if on_progress is not None:
                on_progress(done, total)
        estimates = _estimates(list(halves.values()), kept)
        check_finite_weights(estimates.log_likelihood, positions[:count])
        blocks.append(estimates)
    return ImportanceSampled(samples, *(np.concatenate(parts) for parts in list(zip(*blocks, strict=True))[1:]))


def _chunks(samples: int, chunk_size: int) -> list[tuple[int, Int[np.ndarray, "C"]]]:
    """Returns the numbers of the samples of each chunk, and which half they are in; 2 stands for a last, odd one.

    >>> [(half, numbers.tolist()) for half, numbers in _chunks(7, 2)]
    [(0, [0, 1]), (0, [2]), (1, [3, 4]), (1, [5]), (2, [6])]
    """
    half = samples // 2
    ranges = ((0, half), (half, 2 * half), (2 * half, samples))
    return [
        (index, np.arange(start, min(start + chunk_size, end), dtype=np.int32))
        for index, (first, end) in enumerate(ranges)
        for start in range(first, end, chunk_size)
    ]


def _estimates(parts: list[WeightSums], kept: int) -> ImportanceSampled:
    """Returns the estimates from the sums of two halves and, if the number of samples is odd, of one more sample."""
    sums = parts[0]
    for other in parts[1:]:
        sums = added(sums, other, kept=kept)
    half = (
        np.mean([log_mean(part) for part in parts[:2]], axis=0) if len(parts) > 1 else np.full(len(sums.total), np.nan)
    )
    return ImportanceSampled(
        sums.samples,
        log_likelihood=log_mean(sums),
        error=log_mean_error(sums),
        half=half,
        elbo=mean_log(sums),
        elbo_error=mean_log_error(sums),
        effective_samples=effective_sample_size(sums),
        pareto_k=pareto_shapes(sums),
    )

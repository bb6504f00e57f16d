"""The log-likelihood log p(x) of a decoder by annealed importance sampling with Hamiltonian moves."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key, PyTree

from aejax.autoencoders import Autoencoder
from aejax.autoencoders.densities import check_variational, densities_of
from aejax.autoencoders.record import BatchLike, as_batch, encoder_inputs, example_keys
from aejax.checks import check_count
from aejax.evaluation.likelihood.blocks import OnProgress, blocks_of, number_of_blocks, over_devices
from aejax.evaluation.likelihood.entrance import check_finite_weights
from aejax.evaluation.likelihood.hamiltonian import Point, hamiltonian_transition
from aejax.evaluation.likelihood.path import Path, Schedule, Start, at, ratio_of, step_sizes_at, temperatures
from aejax.evaluation.likelihood.pilot import JITTER, StepSizes
from aejax.evaluation.likelihood.weights import effective_sample_size, log_mean, log_mean_error, sums_of
from aejax.keys import named_key
from aejax.precision import at_least_single

_DISTRIBUTIONS_PER_CALL = 100  # of a compiled call, after which progress is reported


class Annealed(NamedTuple):
    """Estimates of log p(x) for N examples, in nats."""

    log_likelihood: Float[np.ndarray, "N"]  # in expectation below log p(x), or above it by the reverse chains
    error: Float[np.ndarray, "N"]  # its standard error over the chains; NaN for one chain and for reverse chains
    effective_chains: Float[np.ndarray, "N"]  # (Σ w)² / Σ w², from 1 to the number of chains; backwards of 1/w
    acceptance: Float[np.ndarray, "N"]  # mean probability of acceptance over moves and chains; NaN without moves


class _Chains(NamedTuple):
    """The chains of ONE example between two calls; every leaf has a first axis of chains."""

    point: Point
    log_weight: Float[Array, "C"]
    acceptance: Float[Array, "C"]  # sum over the moves


def annealed_log_likelihood(
    autoencoder: Autoencoder,
    params: PyTree,
    key: Key[Array, ""],
    examples: BatchLike,
    *,
    distributions: int,
    step_sizes: StepSizes,
    chains: int = 16,
    start: Start = "prior",
    schedule: Schedule = "sigmoid",
    leapfrog_steps: int = 10,
    codes: Float[Array, "N ..."] | None = None,
    devices: Sequence[jax.Device] | None = None,
    block_size: int = 100,
    on_progress: OnProgress | None = None,
) -> Annealed:
    """Estimates log p(x) of every example by annealed importance sampling along f_β = f₀ (p(x, z)/f₀)^β.

        log w = Σ_t (β_t - β_{t-1}) log p(x, z_{t-1})/f₀(z_{t-1}),  z₀ ~ f₀,  z_t by a move that keeps f_{β_t}

    and log p̂(x) = log (1/C) Σ w over C chains, which is below log p(x) in expectation. Each weight is updated before
    the move. With one distribution it is importance sampling from f₀: the prior, or the encoder's posterior.

    Every trajectory has a step size of its own, uniform within 20 % of that of its distribution: where the posterior is
    nearly Gaussian, trajectories of half a period would not mix.

    With `codes`, exact samples of p(z | x), the chains run backwards from them, and -log (1/C) Σ 1/w is above log p(x)
    in expectation. Only of examples that the model itself has made are such samples known: the codes that they were
    decoded from. Between the two means lies the mean of log p(x) (bidirectional Monte Carlo). All reverse chains of an
    example begin in its one code, so that they are not independent: their spread is several times less than the error
    of the estimate, which is not known for one example. The spread over examples holds it.

    Args:
      autoencoder: a variational autoencoder.
      params: its parameters.
      key: a random key, not used elsewhere.
      examples: (N, ...), an array or `Examples` with inputs and conditions, or a `Batch`, whose indices key the noise.
      distributions: T >= 1; the bias falls like 1/T.
      step_sizes: those of the Hamiltonian moves, from `tuned_step_sizes`.
      chains: C >= 1, of each example.
      start: f₀, the prior or the encoder.
      schedule: of the inverse temperatures β.
      leapfrog_steps: of each move.
      codes: exact samples of p(z | x), one of each example; None to run forwards.
      devices: the devices; None for the first one. Each computes its share of every block; the result is the same up
        to rounding error.
      block_size: examples at a time.
      on_progress: called with the number of calls done and of all calls, each of 100 distributions.

    Raises:
      ValueError: a number is below 1, there are no examples, their number is not that of the codes, or a weight is NaN
        or infinite.
      TypeError: the autoencoder is not variational, or a number is not an integer.

    Source: R. M. Neal (2001), Annealed Importance Sampling; Y. Wu, Y. Burda, R. Salakhutdinov, R. Grosse (2017), On the
    Quantitative Analysis of Decoder-Based Generative Models, algorithm 1; reverse chains: R. B. Grosse, Z. Ghahramani,
    R. P. Adams (2015), Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo.

    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> params = vae.init(jax.random.key(0), jnp.ones(5))
    >>> sizes = StepSizes(np.array([0.0, 1.0]), np.array([0.3, 0.1]))
    >>> annealed_log_likelihood(
    ...     vae, params, jax.random.key(1), jnp.ones((7, 5)), distributions=5, step_sizes=sizes, chains=2
    ... ).log_likelihood.shape
    (7,)
    """
    check_variational(autoencoder)
    numbers = {"distributions": distributions, "chains": chains, "leapfrog_steps": leapfrog_steps}
    for name, count in (numbers | {"block_size": block_size}).items():
        check_count(name, count)
    batch, devices = as_batch(examples), jax.devices()[:1] if devices is None else devices
    if codes is not None and len(codes) != len(batch.x):
        raise ValueError(f"codes must be one for each of the {len(batch.x)} examples, got {len(codes)}")
    keys = example_keys(key, batch)
    arrays = (keys, batch.x, *encoder_inputs(batch))
    plan = _plan(distributions, schedule, step_sizes, at_least_single(batch.x.dtype), is_reversed=codes is not None)

    def begin(params: PyTree, code: Array | None, key: Array, x: Array, *inputs: Array) -> _Chains:
        path = Path(start, densities_of(autoencoder, params, x, *inputs))

        def chain(number: Array) -> _Chains:
            own_key = named_key(jax.random.fold_in(key, number), "start")
            position = path.sample(own_key) if code is None else code
            zero = jnp.zeros((), position.dtype)
            return _Chains(path.point_at(zero)(position), zero, zero)

        return jax.vmap(chain)(jnp.arange(chains))

    def proceed(shared: tuple[PyTree, _Steps], state: _Chains, key: Array, x: Array, *inputs: Array) -> _Chains:
        params, steps = shared
        path = Path(start, densities_of(autoencoder, params, x, *inputs))

        def chain(number: Array, state: _Chains) -> _Chains:
            moves_key = named_key(jax.random.fold_in(key, number), "moves")
            return _annealed(moves_key, path, state, steps, leapfrog_steps)

        return jax.vmap(chain)(jnp.arange(chains), state)

    beginning, proceeding = over_devices(begin, devices), over_devices(proceed, devices)
    total = len(plan) * number_of_blocks(len(batch.x), block_size, len(devices))
    blocks, done = [], 0
    for positions, count in blocks_of(len(batch.x), block_size, len(devices)):
        block = tuple(array[positions] for array in arrays)
        state = beginning(params, (None if codes is None else codes[positions], *block))
        for steps in plan:
            state = proceeding((params, steps), (state, *block))
            done += 1
            if on_progress is not None:
                jax.block_until_ready(state.log_weight)
                on_progress(done, total)
        estimates = _estimates(state, count, distributions, is_reversed=codes is not None)
        check_finite_weights(estimates.log_likelihood, positions[:count])
        blocks.append(estimates)
    return Annealed(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


class _Steps(NamedTuple):
    """Steps of a chain: a weight update each, then a move. All have one length, or one value in a scan."""

    number: Array  # of the step, which keys the noise of its move
    increment: Array  # of β, which multiplies the log-ratio
    temperature: Array  # β of the move
    size: Array  # of its leapfrog steps
    moves: Array  # 1 if the move counts, 0 if its result is not used any more


def _plan(
    distributions: int, schedule: Schedule, step_sizes: StepSizes, dtype: np.dtype, *, is_reversed: bool
) -> list[_Steps]:
    """Returns the steps of each call; increments are differences in float64, which keeps their digits."""
    betas = temperatures(distributions, schedule)
    increments, moved = np.diff(betas), betas[1:]
    if is_reversed:
        increments, moved = -increments[::-1], betas[:-1][::-1]
    calls = -(-distributions // _DISTRIBUTIONS_PER_CALL)
    size = -(-distributions // calls)
    padding = calls * size - distributions
    columns = (
        np.arange(calls * size, dtype=np.int32),
        np.pad(increments, (0, padding)).astype(dtype),
        np.pad(moved, (0, padding), mode="edge").astype(dtype),
        np.pad(step_sizes_at(moved, *step_sizes), (0, padding), mode="edge").astype(dtype),
        (np.arange(calls * size) < distributions - 1).astype(dtype),  # the last weight has been updated by then
    )
    return [
        _Steps(*(jnp.asarray(column[call * size : (call + 1) * size]) for column in columns)) for call in range(calls)
    ]


def _annealed(key: Key[Array, ""], path: Path, state: _Chains, steps: _Steps, leapfrog_steps: int) -> _Chains:
    """Returns ONE chain after some steps."""

    def step(state: _Chains, step: _Steps) -> tuple[_Chains, None]:
        log_weight = state.log_weight + step.increment * ratio_of(state.point)
        point, probability = hamiltonian_transition(
            jax.random.fold_in(key, step.number),
            path.point_at(step.temperature),
            at(state.point, step.temperature),
            step_size=step.size,
            steps=leapfrog_steps,
            jitter=JITTER,
        )
        return _Chains(point, log_weight, state.acceptance + step.moves * probability), None

    return lax.scan(step, state, steps)[0]


def _estimates(state: _Chains, count: int, distributions: int, *, is_reversed: bool) -> Annealed:
    log_weights = np.asarray(jax.device_get(state.log_weight), np.float64)[:count]
    sums = sums_of(log_weights)
    acceptance = np.asarray(jax.device_get(state.acceptance), np.float64)[:count].mean(axis=1)
    return Annealed(
        -log_mean(sums) if is_reversed else log_mean(sums),
        np.full(count, math.nan) if is_reversed else log_mean_error(sums),
        effective_sample_size(sums),
        acceptance / (distributions - 1) if distributions > 1 else np.full(count, math.nan),
    )

"""Resampling: units of a dictionary that have been silent for long start again from examples with large errors."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from aejax.autoencoders.composition import check_composition
from aejax.autoencoders.dictionaries.activity import sum_of_squares
from aejax.autoencoders.dictionaries.networks import normalized_rows
from aejax.autoencoders.learned_state import RESTARTED, STATE, STATISTICS
from aejax.autoencoders.part import Part
from aejax.autoencoders.record import (
    AFTER_ALL_STEPS,
    Autoencoder,
    Batch,
    BatchLike,
    Metrics,
    encoder_inputs,
    example_keys,
    masked_batch,
)
from aejax.checks import check_count

RESAMPLED = Part("resampled", coupled_through="the examples that silent units start from", lives_in_loss=True)
_ENCODER_SHARE = 0.2  # of the mean norm of the other units' encoder columns


def resampled(
    autoencoder: Autoencoder, *, every: int, silent_for: int | None = None, axis_name: str | None = None
) -> Autoencoder:
    """Lets the silent units of a dictionary start again, at every so many steps.

    Coupled through the batch. A unit i that starts again receives an example x of the batch, drawn with a probability
    proportional to ‖x - x̂‖⁴: dᵢ = (x - c)/‖x - c‖, its column of the encoder is dᵢ times a fifth of the mean norm of
    the others, its bias is 0, and the optimizer's running means of these numbers are 0. Nothing else changes.

    Args:
      autoencoder: a family on the networks of a `dictionary`.
      every: the number of steps between two resamplings.
      silent_for: the number of examples after which a silent unit starts again; by default those of half the steps.
      axis_name: the mapped axis over which the global batch is split, `aejax.training.AXIS` in `train`; None if the
        loss receives the whole batch.

    Raises:
      ValueError: a number is below 1.
      TypeError: the autoencoder is not one on the networks of a dictionary.

    Source: T. Bricken et al. (2023), Towards Monosemanticity, appendix "Neuron Resampling".

    >>> from aejax.autoencoders import l1_dictionary
    >>> autoencoder = resampled(l1_dictionary(3, 8, weight=0.1), every=100)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(3))
    >>> sorted(params["state"])
    ['restarted', 'silent']
    """
    check_composition(autoencoder, RESAMPLED)
    check_count("every", every)
    if silent_for is not None:
        check_count("silent_for", silent_for)
    if autoencoder.update is None:
        raise TypeError("resampled expects a dictionary, such as l1_dictionary(features, units, weight=...)")
    update_inner = autoencoder.update

    def init(key: Array, example: Array, *condition: Array) -> PyTree:
        params = autoencoder.init(key, example, *condition)
        try:
            features, units = params["encoder"]["kernel"].shape
            fits = params["decoder"]["kernel"].shape == (units, features)
        except (KeyError, TypeError, ValueError):
            fits = False
        if not fits:
            raise TypeError("resampled expects an autoencoder on the networks of a dictionary(features, units)")
        return {**params, STATE: {**params[STATE], RESTARTED: _masks(jnp.zeros(units, bool))}}

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        batch = masked_batch(batch)
        own_key, base_key = jax.random.split(key)
        total, metrics = autoencoder.loss(params, base_key, batch)
        step = jnp.asarray(batch.step, jnp.int32)
        is_due = (step > 0) & (step != AFTER_ALL_STEPS) & (step % every == 0)
        kernel = params["decoder"]["kernel"]
        directions = jax.lax.cond(
            is_due,
            lambda: _directions(autoencoder, jax.lax.stop_gradient(params), own_key, batch, axis_name),
            lambda: jnp.zeros_like(kernel),
        )
        statistics = {"resampling_due": is_due.astype(jnp.float32), "resampling_directions": directions}
        metrics[STATISTICS] = {**metrics[STATISTICS], **statistics}  # type: ignore[dict-item, assignment]
        return total, metrics

    def update(params: PyTree, statistics: dict[str, Array]) -> PyTree:
        params = update_inner(params, statistics)
        state, examples = params[STATE], statistics["examples"]
        longest = every // 2 * examples if silent_for is None else silent_for
        restarted = (statistics["resampling_due"] > 0) & (state["silent"] >= longest)
        directions = statistics["resampling_directions"]
        encoder, decoder = params["encoder"], params["decoder"]
        norms = jnp.linalg.norm(encoder["kernel"], axis=0)
        others = jnp.where(jnp.all(restarted), True, ~restarted)
        mean_norm = jnp.sum(jnp.where(others, norms, 0)) / jnp.sum(others)
        columns = directions.T * (mean_norm * _ENCODER_SHARE)
        masks = _masks(restarted)
        encoder = {
            **encoder,
            "kernel": jnp.where(masks["encoder"]["kernel"], columns.astype(norms.dtype), encoder["kernel"]),
            "bias": jnp.where(restarted, jnp.zeros_like(encoder["bias"]), encoder["bias"]),
        }
        decoder = {
            **decoder,
            "kernel": jnp.where(masks["decoder"]["kernel"], directions, decoder["kernel"]),
        }
        state = {**state, "silent": jnp.where(restarted, 0, state["silent"]), RESTARTED: masks}
        return {**params, "encoder": encoder, "decoder": decoder, STATE: state}

    return autoencoder._replace(init=init, loss=loss, update=update, parts=(*autoencoder.parts, RESAMPLED))


def _directions(
    autoencoder: Autoencoder, params: PyTree, key: Array, batch: Batch, axis_name: str | None
) -> Float[Array, "F D"]:
    """Returns, for every unit, the direction of an example from the decoder's bias, drawn by its squared error squared.

    The largest log p + g, with a Gumbel variable g for each example and unit, is a draw with probabilities p; so each
    device finds its own largest, and the largest of these is the draw from the global batch.
    """
    kernel, bias = params["decoder"]["kernel"], params["decoder"]["bias"]
    inputs = encoder_inputs(batch)

    def error(x: Array, *inputs: Array) -> Array:
        return x - autoencoder.decode(params, autoencoder.encode(params, *inputs), *inputs[1:])

    squared = sum_of_squares(jax.vmap(error)(batch.x, *inputs))
    log_weight = jnp.where(jnp.asarray(batch.weight) == 0, -jnp.inf, 2 * jnp.log(squared))
    keys = example_keys(key, batch)
    gumbel = jax.vmap(lambda key: jax.random.gumbel(key, (len(kernel),), squared.dtype))(keys)
    scores = log_weight[:, None] + gumbel
    chosen = jnp.argmax(scores, axis=0)
    examples = inputs[0].reshape(len(squared), -1)[chosen] - bias[None]
    if axis_name is not None:
        best = jnp.max(scores, axis=0)
        is_here = best == jax.lax.pmax(best, axis_name)
        examples = jax.lax.psum(jnp.where(is_here[:, None], examples, 0), axis_name)
    return normalized_rows(examples)


def _masks(restarted: Array) -> PyTree:
    """Returns which entries of the arrays belong to units that start again."""
    return {
        "encoder": {"kernel": restarted[None], "bias": restarted},
        "decoder": {"kernel": restarted[:, None]},
    }

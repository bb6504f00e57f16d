"""What the families of dictionaries share: the squared error, the number of active units, the silent units."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from aejax.autoencoders.dictionaries.division import mean_over_units, summed_over_units
from aejax.autoencoders.dictionaries.networks import Networks
from aejax.autoencoders.entrance import as_inputs
from aejax.autoencoders.learned_state import STATE, STATISTICS
from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.record import (
    Autoencoder,
    Batch,
    BatchLike,
    Metrics,
    encoder_inputs,
    global_mean_over_batch,
    masked_batch,
    mean_over_batch,
)
from aejax.checks import check_count
from aejax.losses import loss_unit, squared_error

UNIT = loss_unit(squared_error)
DEAD_AFTER = 10_000_000  # examples; L. Gao et al. (2024), section 2.4
_MOST = 2**31 - 1
LOSS = Term("loss", "loss", UNIT)
RECONSTRUCTION = Term("reconstruction", "reconstruction", UNIT, weight=1.0)
L0 = Term("l0", "active units", "units per example")
DEAD = Term("dead_fraction", "fraction of dead units", "no unit")


class Activity(NamedTuple):
    """A batch in a dictionary."""

    batch: Batch
    pre_activations: Float[Array, "B F"]
    codes: Float[Array, "B F"]
    errors: Float[Array, "B ..."]  # x - x̂
    silent: Int[Array, "F"]  # the number of examples since a unit was active, as the state has it


class Added(NamedTuple):
    """What a family adds to the squared error."""

    loss: Float[Array, ""]
    terms: Metrics
    statistics: dict[str, Array]


def with_activity(
    part: Part,
    networks: Networks,
    *,
    activate: Callable[[PyTree, Array], Array],
    added: Callable[[PyTree, Activity], Added],
    codes_of_batch: Callable[[PyTree, Array, Batch], Array] | None = None,
    own: Callable[[int, PyTree], PyTree] | None = None,
    state: dict[str, Array] | None = None,
    update: Callable[[PyTree, dict[str, Array]], PyTree] | None = None,
    dead_after: int = DEAD_AFTER,
) -> Autoencoder:
    """Returns the autoencoder that minimizes E ‖x - x̂‖² and what its family adds.

    Its state is `silent` (F,), the number of examples since each unit was active.

    Args:
      part: the family's traits; `terms` are those that it adds.
      networks: the encoder and the decoder.
      activate: (params, π) -> code of ONE example.
      added: (params, activity) -> what is added to the loss.
      codes_of_batch: (params, π of a batch, batch) -> codes in training, if they are not those of `activate`.
      own: (F, params) -> params with what the family adds to those of the networks.
      state: what the family adds to the state.
      update: (params, statistics) -> params, before the decoder's rows are normalized.
      dead_after: the number of examples after which a silent unit counts as dead.
    """
    check_count("dead_after", dead_after)

    def init(key: Array, example: Array, *condition: Array) -> PyTree:
        example, condition = as_inputs("example", example, *condition)
        params, units = networks.init(key, example, *condition)
        if own is not None:
            params = own(units, params)
        return {**params, STATE: {"silent": jnp.zeros(units, jnp.int32), **(state or {})}}

    def encode(params: PyTree, x: Array, *condition: Array) -> Array:
        x, condition = as_inputs("x", x, *condition)
        return activate(params, networks.pre_activations(params, x, *condition))

    def decode(params: PyTree, code: Array, *condition: Array) -> Array:
        code, condition = as_inputs("code", code, *condition)
        return networks.decode(params, code, *condition)

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        del key  # this loss has no noise
        batch = masked_batch(batch)
        inputs = encoder_inputs(batch)
        pre_activations = jax.vmap(lambda *one: networks.pre_activations(params, *one))(*inputs)
        if codes_of_batch is None:
            codes = jax.vmap(lambda one: activate(params, one))(pre_activations)
        else:
            codes = codes_of_batch(params, pre_activations, batch)
        errors = batch.x - jax.vmap(lambda *one: networks.decode(params, *one))(codes, *inputs[1:])
        silent = params[STATE]["silent"]
        family = added(params, Activity(batch, pre_activations, codes, errors, silent))
        active = codes != 0
        number = summed_over_units(_count(active, errors.dtype), networks.units_axis)
        reconstruction, l0 = mean_over_batch((sum_of_squares(errors), number), batch)
        dead = mean_over_units((silent >= dead_after).astype(errors.dtype), networks.units_axis)
        terms = {"loss": reconstruction + family.loss, "reconstruction": reconstruction, "l0": l0}
        firing_rate = global_mean_over_batch(active.astype(jnp.float32), batch, None)
        statistics = {"firing_rate": firing_rate, **family.statistics}
        metrics: Metrics = {**terms, "dead_fraction": dead, **family.terms}
        metrics[STATISTICS] = jax.lax.stop_gradient(statistics)  # type: ignore[assignment]
        return terms["loss"], metrics

    def update_all(params: PyTree, statistics: dict[str, Array]) -> PyTree:
        silent, examples = params[STATE]["silent"], statistics["examples"]
        silent = jnp.where(statistics["firing_rate"] > 0, 0, jnp.minimum(silent, _MOST - examples) + examples)
        params = {**params, STATE: {**params[STATE], "silent": silent}}
        if update is not None:
            params = update(params, statistics)
        return networks.constrained(params)

    part = part._replace(
        terms=(LOSS, RECONSTRUCTION, *part.terms, L0, DEAD),
        is_dictionary=True,
        excludes=(("sparse_kl", "the codes of a dictionary are not limited to [0, 1]"), *networks.excludes),
    )
    return Autoencoder(init, encode, decode, loss, update_all, parts=(part,))


def sum_of_squares(errors: Float[Array, "B ..."]) -> Float[Array, "B"]:
    """Returns ‖e‖² of every example."""
    return jnp.sum(jnp.square(errors.reshape(len(errors), -1)), axis=1)


def _count(active: Array, dtype: jnp.dtype) -> Array:
    return jnp.sum(active, axis=1, dtype=jnp.int32).astype(dtype)

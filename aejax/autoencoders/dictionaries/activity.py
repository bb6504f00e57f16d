"""What the families of dictionaries share: the squared error, the number of active units, the silent units."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

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
    pre_activations: Float[Array, "B F"]  # rectified, if the family reads only their positive part
    codes: Float[Array, "B F"]
    errors: Float[Array, "B ..."]  # x - x̂
    silent: Int[Array, "F"]  # the number of examples since a unit was active, as the state has it


class Codes(NamedTuple):
    """The codes of a batch, and which units are active in it, where a family knows it without looking at the codes."""

    codes: Float[Array, "B F"]
    active_units: Float[Array, "B"] | None = None  # of every example
    firing_rate: Float[Array, "F"] | None = None  # of every unit, over the examples that count


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
    codes_of_batch: Callable[[PyTree, Array, Batch], Codes] | None = None,
    rectified: bool = False,
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
      rectified: whether the family reads the positive part of π alone, which `codes_of_batch` and `added` then receive.
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
        if rectified:
            pre_activations = jax.nn.relu(pre_activations)
        if codes_of_batch is None:
            found = Codes(jax.vmap(lambda one: activate(params, one))(pre_activations))
        else:
            found = codes_of_batch(params, pre_activations, batch)
        codes, active_units, firing_rate = found if found.firing_rate is not None else counted(found.codes, batch)
        errors = batch.x - jax.vmap(lambda *one: networks.decode(params, *one))(codes, *inputs[1:])
        silent = params[STATE]["silent"]
        family = added(params, Activity(batch, pre_activations, codes, errors, silent))
        assert active_units is not None  # counted with the firing rate
        number = summed_over_units(active_units, networks.units_axis).astype(errors.dtype)
        reconstruction, l0 = mean_over_batch((sum_of_squares(errors), number), batch)
        dead = mean_over_units((silent >= dead_after).astype(errors.dtype), networks.units_axis)
        terms = {"loss": reconstruction + family.loss, "reconstruction": reconstruction, "l0": l0}
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


def counted(codes: Float[Array, "B F"], batch: Batch) -> tuple[Array, Array, Array]:
    """Returns codes, their numbers of active units, and how often each unit is active in the batch."""
    active = jax.lax.stop_gradient(codes != 0).astype(jnp.float32)
    # a product with a vector, which XLA on CPU sums faster than by a reduction
    return codes, active @ jnp.ones(active.shape[1]), global_mean_over_batch(active, batch, None)


def computed_if(
    function: Callable[[PyTree, PyTree], Array], condition: Bool[Array, ""], arguments: PyTree, constants: PyTree
) -> Array:
    """Returns a number, function(arguments, constants), or 0 where the condition is false and nothing is computed.

    Nothing is kept for the gradient, which computes the function again: `lax.cond` alone would fill every array that
    the gradient of the other branch needs.

    >>> square = lambda x, _: x * x
    >>> jax.grad(lambda x: computed_if(square, jnp.array(True), x, None))(3.0).item()
    6.0
    """
    return _computed_if(function, condition, arguments, constants)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _computed_if(function: Any, condition: Array, arguments: PyTree, constants: PyTree) -> Array:
    shape = jax.eval_shape(function, arguments, constants)
    return jax.lax.cond(condition, lambda: function(arguments, constants), lambda: jnp.zeros(shape.shape, shape.dtype))


def _computed_forward(
    function: Any, condition: Array, arguments: PyTree, constants: PyTree
) -> tuple[Array, tuple[Array, PyTree, PyTree]]:
    return _computed_if(function, condition, arguments, constants), (condition, arguments, constants)


def _computed_backward(function: Any, kept: tuple[Array, PyTree, PyTree], gradient: Array) -> tuple[None, PyTree, None]:
    condition, arguments, constants = kept

    def of_function() -> PyTree:
        return jax.vjp(lambda arguments: function(arguments, constants), arguments)[1](gradient)[0]

    return None, jax.lax.cond(condition, of_function, lambda: jax.tree.map(jnp.zeros_like, arguments)), None


_computed_if.defvjp(_computed_forward, _computed_backward)


def sum_of_squares(errors: Float[Array, "B ..."]) -> Float[Array, "B"]:
    """Returns ‖e‖² of every example."""
    return jnp.sum(jnp.square(errors.reshape(len(errors), -1)), axis=1)

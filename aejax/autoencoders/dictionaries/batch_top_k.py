"""BatchTopK: the largest pre-activations of a whole batch are its codes, so that examples share a budget of units."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from aejax.autoencoders.dictionaries.activity import DEAD_AFTER, Activity, Added, Codes, with_activity
from aejax.autoencoders.dictionaries.division import AxisName, summed_over_units
from aejax.autoencoders.dictionaries.networks import Networks, networks_of
from aejax.autoencoders.dictionaries.selection import largest_of_batch, smallest_kept
from aejax.autoencoders.dictionaries.top_k import (
    AUXILIARY,
    AUXILIARY_WEIGHT,
    annealed,
    auxiliary_loss,
    check_annealing,
    check_at_most_units,
)
from aejax.autoencoders.learned_state import STATE
from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.record import Autoencoder, Batch, mean_over_batch
from aejax.checks import check_in_range, check_positive
from aejax.networks.network import SupportsInitApply

THRESHOLD = Term("threshold", "smallest activation that is kept", "unit of data")
L0_AT_USE = Term("l0_at_use", "active units by the threshold", "units per example")
BATCH_TOP_K = Part("batch_top_k", terms=(AUXILIARY, THRESHOLD, L0_AT_USE), coupled_through="the largest activations")
_RATE = 0.01  # of the running mean of the threshold


def batch_top_k(
    encoder: SupportsInitApply | int,
    decoder: SupportsInitApply | int,
    *,
    k: float | Array,
    first_k: float | None = None,
    annealing_steps: int = 0,
    auxiliary_weight: ArrayLike = AUXILIARY_WEIGHT,
    auxiliary_k: int | None = None,
    dead_after: int = DEAD_AFTER,
    axis_name: str | None = None,
) -> Autoencoder:
    """Minimizes E ‖x - x̂‖² + α E ‖e - ê‖², where the codes of B examples keep the k B largest pre-activations.

    Coupled through the batch: never `vmap` its loss over examples. At use there is no batch: `encode` keeps what is
    above a threshold θ, the running mean of the smallest activation that was kept in training.

    Args:
      encoder: maps one example to its pre-activations; or D, the number of features of a `dictionary`.
      decoder: maps one code to the reconstruction; or F, the number of units.
      k: the mean number of entries that are kept, which may be a fraction: ⌊k B⌋ of a batch. It may be traced, as in a
        population over k.
      first_k: the number at the first step, from which it falls linearly to k; k by default.
      annealing_steps: the number of steps of this fall.
      auxiliary_weight: α >= 0, as for `top_k`.
      auxiliary_k: as for `top_k`.
      dead_after: as for `top_k`.
      axis_name: the mapped axis over which the global batch is split, `aejax.training.AXIS` in `train`; None if the
        loss receives the whole batch.

    Returns:
      An autoencoder; its metrics are those of `top_k`, `threshold`, the smallest activation that is kept in the batch,
      and `l0_at_use`, the number of active units by the running mean of it.

    Raises:
      ValueError: a number is out of range or, raised by the functions, k exceeds the number of units.
      TypeError: encoder or decoder is not a network.

    Source: B. Bussmann, P. Leask, N. Nanda (2024), BatchTopK Sparse Autoencoders, eq. 3 to 6.

    >>> autoencoder = batch_top_k(3, 8, k=1.5)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(3))
    >>> x = jax.random.normal(jax.random.key(1), (4, 3))
    >>> autoencoder.loss(params, jax.random.key(2), x)[1]["l0"].item()
    1.5
    """
    networks = networks_of(encoder, decoder, "batch_top_k")
    select = BatchSelection(k, first_k, annealing_steps, axis_name, networks.units_axis)
    check_in_range("auxiliary_weight", auxiliary_weight, 0.0)

    def added(params: PyTree, activity: Activity) -> Added:
        loss, auxiliary = auxiliary_loss(networks, params, activity, auxiliary_weight, auxiliary_k, dead_after)
        terms, statistics = select.terms(params, activity)
        return Added(loss, {"auxiliary": auxiliary, **terms}, statistics)

    auxiliary_term, *others = BATCH_TOP_K.terms
    part = BATCH_TOP_K._replace(terms=(auxiliary_term._replace(weight=auxiliary_weight), *others))
    return selecting(select, part, networks, added=added, dead_after=dead_after)


class BatchSelection:
    """The selection from a batch, and what it adds to the metrics and statistics."""

    def __init__(
        self, k: float | Array, first_k: float | None, annealing_steps: int, axis_name: str | None, units_axis: AxisName
    ) -> None:
        """Checks the arguments of `batch_top_k`."""
        check_positive("k", k)
        self._k, self._axis_name, self._units_axis = k, axis_name, units_axis
        self._annealing = check_annealing(k, first_k, annealing_steps)

    def codes(self, params: PyTree, activations: Float[Array, "B F"], batch: Batch) -> Codes:
        """Returns the codes of a batch; padding has none."""
        if self._units_axis is None:
            check_at_most_units("k", self._annealing[0], activations)
        weight = jnp.asarray(batch.weight).astype(jnp.float32)
        examples = jnp.sum(weight != 0, dtype=jnp.int32)
        if self._axis_name is not None:
            examples = jax.lax.psum(examples, self._axis_name)
        k = annealed(self._k, self._annealing, batch)
        activations = jnp.where((weight != 0)[:, None], activations, 0)
        number = jnp.floor(k * examples.astype(jnp.float32) + 1e-3)
        return Codes(jnp.where(self._largest(activations, number), activations, 0))

    def _largest(self, activations: Float[Array, "B F"], number: Array) -> Array:
        return largest_of_batch(activations, number, axis_name=self._axis_name, units_axis=self._units_axis)

    def terms(self, params: PyTree, activity: Activity) -> tuple[dict[str, Array], dict[str, Array]]:
        """Returns the threshold of the batch and the activity by that of the state; and the statistics."""
        smallest = smallest_kept(activity.codes, (self._axis_name, self._units_axis))
        dtype = activity.codes.dtype
        at_use = activity.pre_activations > jnp.maximum(params[STATE]["threshold"], 0)
        number = summed_over_units(jnp.sum(at_use, axis=1, dtype=jnp.int32).astype(dtype), self._units_axis)
        l0_at_use = mean_over_batch(number, activity.batch)
        threshold = jnp.where(jnp.isfinite(smallest), smallest, 0)
        terms = {"threshold": jax.lax.stop_gradient(threshold).astype(dtype), "l0_at_use": l0_at_use}
        return terms, {"smallest_kept": threshold}


def selecting(
    select: BatchSelection,
    part: Part,
    networks: Networks,
    *,
    added: Callable[[PyTree, Activity], Added],
    dead_after: int,
) -> Autoencoder:
    """Returns the autoencoder whose codes are selected from a batch in training, and by the threshold at use."""
    return with_activity(
        part,
        networks,
        activate=above_threshold,
        codes_of_batch=select.codes,
        rectified=True,
        added=added,
        state={"threshold": jnp.zeros(()), "batches": jnp.zeros((), jnp.int32)},
        update=follow_threshold,
        dead_after=dead_after,
    )


def above_threshold(params: PyTree, pre_activations: Float[Array, "F"]) -> Float[Array, "F"]:
    """Returns the positive pre-activations above the threshold of the state."""
    threshold = jax.lax.stop_gradient(params[STATE]["threshold"])
    return jnp.where(pre_activations > jnp.maximum(threshold, 0), pre_activations, 0)


def follow_threshold(params: PyTree, statistics: dict[str, Array]) -> PyTree:
    """Returns the parameters whose threshold has moved towards that of the last batch.

    It is the mean of the first 100 batches and an exponential mean afterwards, in float32. A batch that keeps nothing
    changes nothing.
    """
    state, smallest = params[STATE], statistics["smallest_kept"]
    batches = jnp.minimum(state["batches"] + 1, round(1 / _RATE))
    moved = state["threshold"] + (smallest - state["threshold"]) / batches.astype(jnp.float32)
    threshold = jnp.where(smallest > 0, moved, state["threshold"])
    batches = jnp.where(smallest > 0, batches, state["batches"])
    return {**params, STATE: {**state, "threshold": threshold, "batches": batches}}

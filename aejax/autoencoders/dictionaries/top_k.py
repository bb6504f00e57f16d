"""TopK: the k largest pre-activations of an example are its code, and dead units learn from what is left."""

from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from aejax.autoencoders.dictionaries.activity import (
    DEAD_AFTER,
    UNIT,
    Activity,
    Added,
    Codes,
    computed_if,
    sum_of_squares,
    with_activity,
)
from aejax.autoencoders.dictionaries.division import summed_over_units
from aejax.autoencoders.dictionaries.networks import Networks, networks_of
from aejax.autoencoders.dictionaries.selection import largest_of_each
from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.record import Autoencoder, Batch, is_zero, mean_over_batch, nonzero, weighted
from aejax.checks import check_count, check_in_range
from aejax.networks.network import SupportsInitApply

AUXILIARY = Term("auxiliary", "auxiliary error of dead units", UNIT)
TOP_K = Part("top_k", terms=(AUXILIARY,))
AUXILIARY_WEIGHT = 1 / 32


def top_k(
    encoder: SupportsInitApply | int,
    decoder: SupportsInitApply | int,
    *,
    k: int | Array,
    most: int | None = None,
    first_k: int | None = None,
    annealing_steps: int = 0,
    auxiliary_weight: ArrayLike = AUXILIARY_WEIGHT,
    auxiliary_k: int | None = None,
    dead_after: int = DEAD_AFTER,
) -> Autoencoder:
    """Minimizes E ‖x - x̂‖² + α E ‖e - ê‖², where the code keeps the k largest of the pre-activations π, if positive.

    e = x - x̂ is a constant, and ê = V z the reconstruction of it by the largest positive pre-activations z of dead
    units, without the decoder's bias: units that have been silent for long learn what the others leave.

    Args:
      encoder: maps one example to its pre-activations; or D, the number of features of a `dictionary`.
      decoder: maps one code to the reconstruction; or F, the number of units.
      k: the number of entries that are kept; it may be traced, as in a population over k, if `most` is given.
      most: the largest k.
      first_k: the number at the first step, from which it falls linearly to k; k by default.
      annealing_steps: the number of steps of this fall.
      auxiliary_weight: α >= 0, per example, summed over features. Peers divide the squared error by the data's variance
        and the auxiliary one by that of e: α there is α Var(x) / Var(e) here.
      auxiliary_k: the largest number of dead units in ê; by default half the features.
      dead_after: the number of examples after which a silent unit counts as dead.

    Returns:
      An autoencoder; its metrics are `loss`, `reconstruction`, `auxiliary`, `l0` (active units per example) and
      `dead_fraction`.

    Raises:
      ValueError: a number is out of range or, raised by the functions, k exceeds the number of units.
      TypeError: k is not an integer, or encoder or decoder is not a network.

    Source: L. Gao et al. (2024), Scaling and evaluating sparse autoencoders, sections 2.3, 2.4 and A.2.

    >>> autoencoder = top_k(3, 8, k=2)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(3))
    >>> int(jnp.count_nonzero(autoencoder.encode(params, jnp.array([1.0, 0.5, -0.2]))))
    2
    """
    networks = networks_of(encoder, decoder, "top_k")
    largest_k = cast(int, k if most is None else most)
    check_count("k" if most is None else "most", largest_k)
    annealing = check_annealing(k, first_k, annealing_steps)
    check_in_range("auxiliary_weight", auxiliary_weight, 0.0)

    def activate(params: PyTree, pre_activations: Array) -> Array:
        check_at_most_units("k", largest_k, pre_activations)
        activations = jax.nn.relu(pre_activations)
        return jnp.where(largest_of_each(activations[None], largest_k, number=k).mask[0], activations, 0)

    def codes_of_batch(params: PyTree, activations: Array, batch: Batch) -> Codes:
        if networks.units_axis is None:
            check_at_most_units("first_k", annealing[0], activations)
        weights = (jnp.asarray(batch.weight) / nonzero(jnp.sum(batch.weight))).astype(jnp.float32)
        largest = partial(largest_of_each, activations, weights=weights, axis_name=networks.units_axis)
        if annealing[1] == 0:
            kept = largest(largest_k, number=k)
        else:
            number = jnp.round(annealed(k, annealing, batch)).astype(jnp.int32)
            at_first = partial(largest, int(annealing[0]), number=number)
            kept = jax.lax.cond(number > k, at_first, partial(largest, largest_k, number=k))
        return Codes(jnp.where(kept.mask, activations, 0), kept.number, firing_rate=kept.weight)

    def added(params: PyTree, activity: Activity) -> Added:
        loss, auxiliary = auxiliary_loss(networks, params, activity, auxiliary_weight, auxiliary_k, dead_after)
        return Added(loss, {"auxiliary": auxiliary}, {})

    part = TOP_K._replace(terms=(AUXILIARY._replace(weight=auxiliary_weight),))
    return with_activity(
        part,
        networks,
        activate=activate,
        codes_of_batch=codes_of_batch,
        rectified=True,
        added=added,
        dead_after=dead_after,
    )


def auxiliary_loss(
    networks: Networks,
    params: PyTree,
    activity: Activity,
    weight: ArrayLike,
    auxiliary_k: int | None,
    dead_after: int,
) -> tuple[Array, Array]:
    """Returns α E ‖e - ê‖² and E ‖e - ê‖²; both 0 where no unit is dead.

    Args:
      networks: the encoder and the decoder.
      params: the parameters.
      activity: the batch in the dictionary, with rectified pre-activations.
      weight: α.
      auxiliary_k: the largest number of dead units in ê; None for half the features.
      dead_after: the number of examples after which a silent unit counts as dead.
    """
    zero = jnp.zeros((), activity.errors.dtype)
    if is_zero(weight):
        return zero, zero
    dead = activity.silent >= dead_after
    residual = jax.lax.stop_gradient(activity.errors)
    number = max(1, residual[0].size // 2) if auxiliary_k is None else auxiliary_k

    def error(learned: tuple[PyTree, Array], constants: tuple[Array, Array, Batch]) -> Float[Array, ""]:
        (decoder, activations), (dead, residual, batch) = learned, constants
        of_dead = jnp.where(dead[None], activations, 0)
        kept = largest_of_each(of_dead, number, axis_name=networks.units_axis)
        codes = jnp.where(kept.mask, of_dead, 0)
        condition = () if batch.condition is None else (batch.condition,)
        reconstructed = jax.vmap(lambda *one: networks.directions({"decoder": decoder}, *one))(codes, *condition)
        mean: Array = mean_over_batch(sum_of_squares(residual - reconstructed), batch)
        return mean

    any_dead = summed_over_units(jnp.sum(dead, dtype=jnp.int32), networks.units_axis) > 0
    learned = (params["decoder"], activity.pre_activations)
    auxiliary = computed_if(error, any_dead, learned, (dead, residual, activity.batch))
    return weighted(weight, auxiliary), auxiliary


def check_annealing(k: ArrayLike, first_k: float | None, steps: int) -> tuple[Any, int]:
    """Returns the first k and the number of steps from it to k.

    Raises:
      ValueError: first_k is below k, or one is given without the other.
    """
    check_count("annealing_steps", steps, 0)
    if first_k is None:
        return k, 0
    check_in_range("first_k", first_k, 0.0 if isinstance(k, jax.core.Tracer) else float(k))  # type: ignore[arg-type]
    if not steps:
        raise ValueError("first_k expects annealing_steps above 0: the number of steps in which it falls to k")
    return first_k, steps


def annealed(k: ArrayLike, annealing: tuple[Any, int], batch: Batch) -> Array:
    """Returns the number of entries that are kept at a batch's step, a float32."""
    first, steps = annealing
    if not steps:
        return jnp.asarray(k, jnp.float32)
    share = jnp.clip(jnp.asarray(batch.step, jnp.float32) / steps, 0, 1)
    return first + (k - first) * share


def check_at_most_units(name: str, k: Any, pre_activations: Array) -> None:
    """Raise ValueError if more units are to be kept than there are; a traced number passes."""
    if not isinstance(k, jax.core.Tracer) and k > pre_activations.shape[-1]:
        raise ValueError(f"{name} must be at most the {pre_activations.shape[-1]} units, got {k:g}")

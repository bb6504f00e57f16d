"""Matryoshka: the first units of a dictionary reconstruct alone, so that they stay general as the dictionary grows."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax.autoencoders.dictionaries.activity import DEAD_AFTER, UNIT, Activity, Added, sum_of_squares
from aejax.autoencoders.dictionaries.batch_top_k import L0_AT_USE, THRESHOLD, BatchSelection, selecting
from aejax.autoencoders.dictionaries.networks import networks_of
from aejax.autoencoders.dictionaries.top_k import AUXILIARY, AUXILIARY_WEIGHT, auxiliary_loss
from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.record import Autoencoder, mean_over_batch
from aejax.checks import check_in_range, check_sizes
from aejax.networks.network import SupportsInitApply
from aejax.precision import knob

PREFIXES = Term("prefixes", "weighted sum of the errors of the prefixes", UNIT, weight=1.0)
MATRYOSHKA = Part(
    "matryoshka", terms=(PREFIXES, AUXILIARY, THRESHOLD, L0_AT_USE), coupled_through="the largest activations"
)


def matryoshka(
    encoder: SupportsInitApply | int,
    decoder: SupportsInitApply | int,
    *,
    k: float | Array,
    prefixes: Sequence[int],
    prefix_weights: Sequence[float] | None = None,
    first_k: float | None = None,
    annealing_steps: int = 0,
    auxiliary_weight: ArrayLike = AUXILIARY_WEIGHT,
    auxiliary_k: int | None = None,
    dead_after: int = DEAD_AFTER,
    axis_name: str | None = None,
) -> Autoencoder:
    """Minimizes E ‖x - x̂‖² + Σₘ wₘ E ‖x - x̂(f₁..ₘ)‖² + α E ‖e - ê‖², with the codes f of `batch_top_k`.

    Coupled through the batch: never `vmap` its loss over examples. One selection serves all prefixes.

    Args:
      encoder: maps one example to its pre-activations; or D, the number of features of a `dictionary`.
      decoder: maps one code to the reconstruction; or F, the number of units.
      k: the mean number of entries that are kept, as for `batch_top_k`.
      prefixes: the numbers m of units, ascending, each below F; the whole dictionary, with weight 1, is not among them.
      prefix_weights: wₘ >= 0; all 1 by default. Where peers take the mean over the levels, the loss here is larger by
        their number.
      first_k: as for `batch_top_k`.
      annealing_steps: as for `batch_top_k`.
      auxiliary_weight: as for `top_k`; e is the error of the whole dictionary.
      auxiliary_k: as for `top_k`.
      dead_after: as for `top_k`.
      axis_name: as for `batch_top_k`.

    Returns:
      An autoencoder; its metrics are those of `batch_top_k` and `prefixes`, the weighted sum over the prefixes.

    Raises:
      ValueError: a number is out of range, prefixes are not ascending or, raised by the functions, exceed the units.
      TypeError: encoder or decoder is not a network.

    Source: B. Bussmann et al. (2025), Learning Multi-Level Features with Matryoshka Sparse Autoencoders, eq. 3.

    >>> autoencoder = matryoshka(3, 8, k=2, prefixes=(2, 4))
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(3))
    >>> autoencoder.encode(params, jnp.ones(3)).shape
    (8,)
    """
    networks = networks_of(encoder, decoder, "matryoshka")
    select = BatchSelection(k, first_k, annealing_steps, axis_name, networks.units_axis)
    check_in_range("auxiliary_weight", auxiliary_weight, 0.0)
    sizes = check_sizes("prefixes", prefixes)
    if list(sizes) != sorted(set(sizes)):
        raise ValueError(f"prefixes must be ascending numbers of units, got {prefixes}")
    weights = (1.0,) * len(sizes) if prefix_weights is None else tuple(prefix_weights)
    if len(weights) != len(sizes):
        raise ValueError(f"prefix_weights must hold one number for each of {len(sizes)} prefixes, got {len(weights)}")
    for each in weights:
        check_in_range("prefix_weights", each, 0.0)

    def added(params: PyTree, activity: Activity) -> Added:
        codes, batch = activity.codes, activity.batch
        if sizes and sizes[-1] >= codes.shape[1] and networks.units_axis is None:
            raise ValueError(f"prefixes must be below the {codes.shape[1]} units, got {sizes[-1]}")
        condition = () if batch.condition is None else (batch.condition,)
        x_of_prefix = jax.vmap(lambda *one: networks.decode(params, *one))(jnp.zeros_like(codes), *condition)
        total = jnp.zeros((), activity.errors.dtype)
        for first, last, weight in zip((0, *sizes), sizes, weights, strict=False):
            of_units = partial(networks.directions, params, units=(first, last))
            x_of_prefix = x_of_prefix + jax.vmap(of_units)(codes, *condition)
            error = mean_over_batch(sum_of_squares(batch.x - x_of_prefix), batch)
            total = total + knob(weight, error.dtype) * error
        loss, auxiliary = auxiliary_loss(networks, params, activity, auxiliary_weight, auxiliary_k, dead_after)
        terms, statistics = select.terms(params, activity)
        return Added(total + loss, {"prefixes": total, "auxiliary": auxiliary, **terms}, statistics)

    prefix_term, auxiliary_term, *others = MATRYOSHKA.terms
    part = MATRYOSHKA._replace(terms=(prefix_term, auxiliary_term._replace(weight=auxiliary_weight), *others))
    return selecting(select, part, networks, added=added, dead_after=dead_after)

"""The dictionary with an L1 penalty: the entries of codes, times the norms of their directions, are penalized."""

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax.autoencoders.dictionaries.activity import DEAD_AFTER, Activity, Added, with_activity
from aejax.autoencoders.dictionaries.division import summed_over_units
from aejax.autoencoders.dictionaries.networks import networks_of
from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.record import Autoencoder, mean_over_batch, weighted
from aejax.checks import check_in_range
from aejax.networks.network import SupportsInitApply
from aejax.schedules import Schedule

PENALTY = Term("l1_penalty", "L1 penalty", "unit of data")
L1_DICTIONARY = Part("l1_dictionary", terms=(PENALTY,))


def l1_dictionary(
    encoder: SupportsInitApply | int,
    decoder: SupportsInitApply | int,
    *,
    weight: ArrayLike | Schedule,
    dead_after: int = DEAD_AFTER,
) -> Autoencoder:
    """Minimizes E ‖x - x̂‖² + λ E Σᵢ fᵢ ‖dᵢ‖, where f = ReLU(π) and dᵢ is the decoder's row of unit i.

    Without the norms of the rows, small codes and long rows would avoid the penalty. With `dictionary(unit_norm=True)`
    they are 1: the form of 2023.

    Args:
      encoder: that of a `dictionary`; or D, the number of features.
      decoder: that of a `dictionary`; or F, the number of units.
      weight: λ >= 0, per example, summed over units, or a schedule of it (`aejax.schedules.linear_warm_up`). Where
        peers average the squared error over D features, λ there is λ / D here.
      dead_after: the number of examples after which a silent unit counts as dead.

    Returns:
      An autoencoder; its metrics are `loss`, `reconstruction`, `l1_penalty`, before weighting, `l0` and
      `dead_fraction`.

    Raises:
      ValueError: weight is negative.
      TypeError: encoder and decoder are not those of a dictionary.

    Source: T. Bricken et al. (2023), Towards Monosemanticity; T. Conerly et al. (2024), Update on how we train SAEs,
    transformer-circuits.pub, April 2024.

    >>> import jax.numpy as jnp
    >>> autoencoder = l1_dictionary(3, 8, weight=0.1)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(3))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((4, 3)))
    >>> sorted(set(metrics) - {"statistics"})
    ['dead_fraction', 'l0', 'l1_penalty', 'loss', 'reconstruction']
    """
    networks = networks_of(encoder, decoder, "l1_dictionary", of_dictionary=True)
    check_weight(weight)

    def added(params: PyTree, activity: Activity) -> Added:
        norms = networks.row_norms(params)
        penalty = mean_over_batch(summed_over_units(activity.codes @ norms, networks.units_axis), activity.batch)
        return Added(weighted(weight_at(weight, activity), penalty), {"l1_penalty": penalty}, {})

    part = L1_DICTIONARY._replace(terms=(PENALTY._replace(weight=weight),))
    return with_activity(part, networks, activate=rectified, added=added, dead_after=dead_after)


def rectified(params: PyTree, pre_activations: Array) -> Array:
    """Returns ReLU(π)."""
    del params
    return jax.nn.relu(pre_activations)


def check_weight(weight: ArrayLike | Schedule) -> None:
    """Raise ValueError if a weight that is no schedule is negative."""
    if not callable(weight):
        check_in_range("weight", weight, 0.0)


def weight_at(weight: ArrayLike | Schedule, activity: Activity) -> ArrayLike:
    """Returns the weight at the step of the batch."""
    return weight(activity.batch.step) if callable(weight) else weight

"""Gated: whether a unit is active and how strongly are two functions, so that the penalty does not shrink codes."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from aejax.autoencoders.dictionaries.activity import DEAD_AFTER, UNIT, Activity, Added, sum_of_squares, with_activity
from aejax.autoencoders.dictionaries.division import summed_over_units
from aejax.autoencoders.dictionaries.l1 import PENALTY, check_weight, weight_at
from aejax.autoencoders.dictionaries.networks import networks_of
from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.record import Autoencoder, mean_over_batch, weighted
from aejax.networks.network import SupportsInitApply
from aejax.schedules import Schedule

AUXILIARY = Term("auxiliary", "error of the gate's reconstruction", UNIT, weight=1.0)
GATED = Part("gated", terms=(PENALTY, AUXILIARY))


def gated(
    encoder: SupportsInitApply | int,
    decoder: SupportsInitApply | int,
    *,
    weight: ArrayLike | Schedule,
    dead_after: int = DEAD_AFTER,
) -> Autoencoder:
    """Minimizes E ‖x - x̂‖² + λ E Σᵢ ReLU(πᵢ) ‖dᵢ‖ + E ‖x - x̂(ReLU(π))‖², with codes f = H(π) ReLU(m).

    The gate π = (x - c) W + b decides which units are active; m = π̃ eʳ + b', where π̃ = (x - c) W, says how strongly.
    In the last two terms, by which the gate learns, the decoder is a constant: rows that shrink to lower the penalty,
    while eʳ grows, would leave the gate behind. In the paper ‖dᵢ‖ is 1.

    Args:
      encoder: that of a `dictionary`; or D, the number of features.
      decoder: that of a `dictionary`; or F, the number of units. The paper's has `unit_norm`.
      weight: λ >= 0, per example, summed over units, or a schedule of it.
      dead_after: the number of examples after which a silent unit counts as dead.

    Returns:
      An autoencoder; its metrics are `loss`, `reconstruction`, `l1_penalty`, before weighting, `auxiliary`, `l0` and
      `dead_fraction`. `params["magnitude"]` holds `log_scale` (r) and `bias` (b'), (F,) each.

    Raises:
      ValueError: weight is negative.
      TypeError: encoder and decoder are not those of a dictionary.

    Source: S. Rajamanoharan et al. (2024), Improving Dictionary Learning with Gated Sparse Autoencoders, eq. 6 to 8.

    >>> autoencoder = gated(3, 8, weight=0.1)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(3))
    >>> sorted(params), sorted(params["magnitude"])
    (['decoder', 'encoder', 'magnitude', 'state'], ['bias', 'log_scale'])
    """
    networks = networks_of(encoder, decoder, "gated", of_dictionary=True)
    check_weight(weight)

    def activate(params: PyTree, pre_activations: Float[Array, "F"]) -> Float[Array, "F"]:
        magnitude, bias = params["magnitude"], params["encoder"]["bias"]
        strength = (pre_activations - bias) * jnp.exp(magnitude["log_scale"]) + magnitude["bias"]
        return jnp.where(pre_activations > 0, jax.nn.relu(strength), 0)

    def own(units: int, params: PyTree) -> PyTree:
        zeros = jnp.zeros_like(params["encoder"]["bias"])
        return {**params, "magnitude": {"log_scale": zeros, "bias": zeros}}

    def added(params: PyTree, activity: Activity) -> Added:
        batch, gates = activity.batch, jax.nn.relu(activity.pre_activations)
        constant = {**params, "decoder": jax.lax.stop_gradient(params["decoder"])}
        by_gate = jax.vmap(lambda gate: networks.decode(constant, gate))(gates)
        sum_of_gates = summed_over_units(gates @ networks.row_norms(constant), networks.units_axis)
        penalty, auxiliary = mean_over_batch((sum_of_gates, sum_of_squares(batch.x - by_gate)), batch)
        total = weighted(weight_at(weight, activity), penalty) + auxiliary
        return Added(total, {"l1_penalty": penalty, "auxiliary": auxiliary}, {})

    part = GATED._replace(terms=(PENALTY._replace(weight=weight), AUXILIARY))
    return with_activity(part, networks, activate=activate, added=added, own=own, dead_after=dead_after)

"""JumpReLU: each unit has a threshold of its own, which is learned through pseudo-derivatives of a step."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from aejax.autoencoders.dictionaries.activity import DEAD_AFTER, Activity, Added, with_activity
from aejax.autoencoders.dictionaries.division import summed_over_units
from aejax.autoencoders.dictionaries.l1 import check_weight, weight_at
from aejax.autoencoders.dictionaries.networks import networks_of
from aejax.autoencoders.entrance import part_of
from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.record import Autoencoder, mean_over_batch, weighted
from aejax.checks import check_in_range, check_positive
from aejax.networks.network import SupportsInitApply
from aejax.precision import knob
from aejax.schedules import Schedule

PENALTY = Term("sparsity", "sparsity penalty", "no unit")
PRE_ACTIVATION = Term("pre_activation_penalty", "penalty of units below their threshold", "unit of data")
JUMP_RELU = Part("jump_relu", terms=(PENALTY,))
_SLOPE = 4.0  # c of tanh(c f ‖d‖)
_PRE_ACTIVATION_WEIGHT = 3e-6


def jump_relu(
    encoder: SupportsInitApply | int,
    decoder: SupportsInitApply | int,
    *,
    weight: ArrayLike | Schedule,
    bandwidth: float = 0.001,
    start_threshold: float = 0.001,
    penalty: Literal["l0", "tanh"] = "l0",
    dead_after: int = DEAD_AFTER,
) -> Autoencoder:
    """Minimizes E ‖x - x̂‖² + λ E Σᵢ H(πᵢ - θᵢ), where f = π H(π - θ) and H is the step from 0 to 1.

    The thresholds θ >= 0 are learned. Their derivatives are estimated within a distance ε/2 of a threshold, with the
    kernel K(u) = 1 for |u| < ½: ∂f/∂θ = -(θ/ε) K((π - θ)/ε) and ∂H/∂θ = -(1/ε) K((π - θ)/ε); means of them over a batch
    estimate the derivatives of the means. θ itself is the parameter, in float32, and not its logarithm, whose steps
    would be tiny for a small θ.

    Args:
      encoder: maps one example to its pre-activations; or D, the number of features of a `dictionary`.
      decoder: maps one code to the reconstruction; or F, the number of units.
      weight: λ >= 0, per example, summed over units, or a schedule of it.
      bandwidth: ε > 0, in units of the pre-activations: 0.001 belongs to examples whose mean squared norm is 1, 2 (with
        `penalty="tanh"`) to a mean norm of √D.
      start_threshold: θ >= 0 at the start; 0.1 with `penalty="tanh"`.
      penalty: l0, the number of active units; or tanh, Σ tanh(4 fᵢ ‖dᵢ‖) + (3e-6/λ) Σ ReLU(θᵢ - πᵢ) ‖dᵢ‖, where the
        derivatives of the step reach all parameters: ∂f/∂π = H + (θ/ε) K. It needs a `dictionary`.
      dead_after: the number of examples after which a silent unit counts as dead.

    Returns:
      An autoencoder; its metrics are `loss`, `reconstruction`, `sparsity`, before weighting, `l0` and `dead_fraction`,
      with `penalty="tanh"` also `pre_activation_penalty`, before weighting.

    Raises:
      ValueError: weight or start_threshold is negative, bandwidth is not positive, or penalty is another one.
      TypeError: encoder or decoder is not a network.

    Source: S. Rajamanoharan et al. (2024), Jumping Ahead, eq. 8 to 12; T. Conerly et al. (2025), Dictionary Learning
    Optimization Techniques, transformer-circuits.pub, January 2025.

    >>> autoencoder = jump_relu(3, 8, weight=0.1, start_threshold=0.5)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(3))
    >>> params["thresholds"].shape
    (8,)
    """
    if penalty not in ("l0", "tanh"):
        raise ValueError(f"penalty must be 'l0' or 'tanh', got {penalty!r}")
    by_tanh = penalty == "tanh"
    networks = networks_of(encoder, decoder, "jump_relu", of_dictionary=by_tanh)
    check_weight(weight)
    check_positive("bandwidth", bandwidth)
    check_in_range("start_threshold", start_threshold, 0.0)

    def activate(params: PyTree, pre_activations: Array) -> Array:
        return jump(pre_activations, _thresholds(params, pre_activations), bandwidth, to_all=by_tanh)

    def own(units: int, params: PyTree) -> PyTree:
        return {**params, "thresholds": jnp.full(units, start_threshold, jnp.float32)}

    def added(params: PyTree, activity: Activity) -> Added:
        pre_activations = activity.pre_activations
        thresholds = _thresholds(params, pre_activations)
        factor = weight_at(weight, activity)
        if not by_tanh:
            active = step(pre_activations, jnp.broadcast_to(thresholds, pre_activations.shape), bandwidth)
            sparsity = mean_over_batch(summed_over_units(jnp.sum(active, axis=1), networks.units_axis), activity.batch)
            return Added(weighted(factor, sparsity), {"sparsity": sparsity}, {})
        norms = networks.row_norms(params)
        slope = knob(_SLOPE, activity.codes.dtype)
        sparsity = jnp.sum(jnp.tanh(slope * activity.codes * norms[None]), axis=1)
        below = jax.nn.relu(thresholds[None] - pre_activations) @ norms
        sums = (summed_over_units(each, networks.units_axis) for each in (sparsity, below))
        sparsity, below = mean_over_batch(tuple(sums), activity.batch)
        total = weighted(factor, sparsity) + weighted(_PRE_ACTIVATION_WEIGHT, below)
        return Added(total, {"sparsity": sparsity, PRE_ACTIVATION.name: below}, {})

    def not_negative(params: PyTree, statistics: dict[str, Array]) -> PyTree:
        del statistics
        return {**params, "thresholds": jnp.maximum(params["thresholds"], 0)}

    terms: tuple[Term, ...] = (PENALTY._replace(weight=weight),)
    terms += (PRE_ACTIVATION._replace(weight=_PRE_ACTIVATION_WEIGHT),) if by_tanh else ()
    return with_activity(
        JUMP_RELU._replace(terms=terms),
        networks,
        activate=activate,
        added=added,
        own=own,
        update=not_negative,
        dead_after=dead_after,
    )


def jump(
    pre_activations: Float[Array, "..."], thresholds: Float[Array, "..."], bandwidth: float, *, to_all: bool = False
) -> Float[Array, "..."]:
    """Returns π H(π - θ), with the pseudo-derivative -(θ/ε) K((π - θ)/ε) with respect to θ.

    Args:
      pre_activations: π.
      thresholds: θ, of the same shape.
      bandwidth: ε.
      to_all: whether the derivative with respect to π is H + (θ/ε) K instead of H.

    >>> jump(jnp.array([0.4, 0.6]), jnp.array([0.5, 0.5]), 0.5)
    Array([0. , 0.6], dtype=float32)
    >>> jax.grad(lambda theta: jump(jnp.array(0.6), theta, 0.5))(jnp.array(0.5)).item()
    -1.0
    """
    return _jump(pre_activations, thresholds, bandwidth, to_all)


def step(pre_activations: Float[Array, "..."], thresholds: Float[Array, "..."], bandwidth: float) -> Array:
    """Returns H(π - θ), with the pseudo-derivative -(1/ε) K((π - θ)/ε) with respect to θ, and 0 with respect to π.

    >>> step(jnp.array([0.4, 0.6]), jnp.array([0.5, 0.5]), 0.5).tolist()
    [0.0, 1.0]
    >>> jax.grad(lambda theta: step(jnp.array(0.6), theta, 0.5))(jnp.array(0.5)).item()
    -2.0
    """
    return _step(pre_activations, thresholds, bandwidth)


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _jump(pre_activations: Array, thresholds: Array, bandwidth: float, to_all: bool) -> Array:
    return jnp.where(pre_activations > thresholds, pre_activations, 0)


@_jump.defjvp
def _jump_derivative(
    bandwidth: float, to_all: bool, primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    pre_activations, thresholds = primals
    of_threshold = thresholds * _kernel(pre_activations, thresholds, bandwidth)
    of_pre_activation = (pre_activations > thresholds).astype(pre_activations.dtype)
    if to_all:
        of_pre_activation += of_threshold
    tangent = of_pre_activation * tangents[0] - of_threshold * tangents[1]
    return _jump(pre_activations, thresholds, bandwidth, to_all), tangent


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _step(pre_activations: Array, thresholds: Array, bandwidth: float) -> Array:
    return (pre_activations > thresholds).astype(pre_activations.dtype)


@_step.defjvp
def _step_derivative(
    bandwidth: float, primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    return _step(*primals, bandwidth), -_kernel(*primals, bandwidth) * tangents[1]


def _kernel(pre_activations: Array, thresholds: Array, bandwidth: float) -> Array:
    """Returns K((π - θ)/ε) / ε."""
    width = knob(bandwidth, pre_activations.dtype)
    return jnp.where(jnp.abs(pre_activations - thresholds) < width / 2, 1 / width, jnp.zeros_like(pre_activations))


def _thresholds(params: PyTree, pre_activations: Array) -> Array:
    return part_of(params, "thresholds").astype(pre_activations.dtype)

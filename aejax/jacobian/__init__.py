"""Exact Jacobians of functions of one example: norms, penalties, spectra, estimators and geometry.

All functions are pure and expect ONE example; the caller maps them over a batch with `jax.vmap`. Norms of Jacobians of
half precision are summed in float32. For an encoder with float32 parameters that computes in bfloat16
(`flax.linen.Dense(..., dtype=jnp.bfloat16)`), the relative error of ‖J‖_F² against float64 is, as maximum (median) over
16 examples, with Flax's initial weights, on CPU:

    encoder                float32 jacrev  float32 structured  bfloat16 jacrev  bfloat16 structured
    784-512-256-32 tanh    3e-7 (1e-7)     4e-7 (2e-7)         2e-3 (7e-4)      4e-3 (2e-3)
    784-1000 sigmoid       6e-7 (3e-7)     1e-7 (8e-8)         6e-4 (3e-4)      7e-4 (4e-4)
    3072-1024-512-64 tanh  2e-7 (7e-8)     3e-7 (9e-8)         3e-3 (1e-3)      4e-3 (2e-3)
"""

from aejax.jacobian.closed_forms import contractive_penalty_of_relu_layer as contractive_penalty_of_relu_layer
from aejax.jacobian.closed_forms import contractive_penalty_of_sigmoid_layer as contractive_penalty_of_sigmoid_layer
from aejax.jacobian.closed_forms import contractive_penalty_of_tanh_layer as contractive_penalty_of_tanh_layer
from aejax.jacobian.contraction import contraction_curve as contraction_curve
from aejax.jacobian.estimators import estimate_frobenius_norm_squared as estimate_frobenius_norm_squared
from aejax.jacobian.estimators import estimator_variance as estimator_variance
from aejax.jacobian.exact import frobenius_norm_squared as frobenius_norm_squared
from aejax.jacobian.exact import jacobian as jacobian
from aejax.jacobian.geometry import curve_energy as curve_energy
from aejax.jacobian.geometry import curve_length as curve_length
from aejax.jacobian.geometry import geodesic as geodesic
from aejax.jacobian.geometry import log_volume as log_volume
from aejax.jacobian.geometry import pullback_metric as pullback_metric
from aejax.jacobian.norms import log_determinant as log_determinant
from aejax.jacobian.norms import nuclear_norm as nuclear_norm
from aejax.jacobian.norms import orthogonality_penalty as orthogonality_penalty
from aejax.jacobian.norms import spectral_norm as spectral_norm
from aejax.jacobian.penalties import contractive_penalty as contractive_penalty
from aejax.jacobian.penalties import higher_order_penalty as higher_order_penalty
from aejax.jacobian.spectra import effective_rank as effective_rank
from aejax.jacobian.spectra import local_intrinsic_dimension as local_intrinsic_dimension
from aejax.jacobian.spectra import saturation as saturation
from aejax.jacobian.spectra import singular_values as singular_values

__all__ = [
    "contraction_curve",
    "contractive_penalty",
    "contractive_penalty_of_relu_layer",
    "contractive_penalty_of_sigmoid_layer",
    "contractive_penalty_of_tanh_layer",
    "curve_energy",
    "curve_length",
    "effective_rank",
    "estimate_frobenius_norm_squared",
    "estimator_variance",
    "frobenius_norm_squared",
    "geodesic",
    "higher_order_penalty",
    "jacobian",
    "local_intrinsic_dimension",
    "log_determinant",
    "log_volume",
    "nuclear_norm",
    "orthogonality_penalty",
    "pullback_metric",
    "saturation",
    "singular_values",
    "spectral_norm",
]

"""The quadratic form ‖M W‖_F² = Σ M ∘ (M W Wᵀ), whose derivatives compute every product once."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.jacobian.products import rows_times_matrix


@jax.custom_jvp
def gram_matrix(kernel: Float[Array, "units features"]) -> Float[Array, "units units"]:
    """Returns W Wᵀ, only for use in `gram_norm_squared`.

    Its derivative is computed as 2 dW Wᵀ instead of dW Wᵀ + W dWᵀ: half the products. Both have the same symmetric
    part, and `gram_norm_squared` depends on the symmetric part only.
    """
    return jnp.einsum("hd,gd->hg", kernel, kernel)


@gram_matrix.defjvp
def _gram_matrix_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (kernel,), (tangent,) = primals, tangents
    return gram_matrix(kernel), jnp.einsum("hd,gd->hg", 2 * tangent, kernel)


@jax.custom_jvp
def gram_norm_squared(m: Float[Array, "rows units"], gram: Float[Array, "units units"]) -> Float[Array, ""]:
    """Returns Σ M ∘ (M G), which depends only on the symmetric part of G.

    Its derivative 2 Σ (M G) ∘ dM + Σ M ∘ (M dG) uses the product M G of the value again.
    """
    return _inner_product(m, _times_symmetric_part(m, gram))


@gram_norm_squared.defjvp
def _gram_norm_squared_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (m, gram), (m_tangent, gram_tangent) = primals, tangents
    product = _times_symmetric_part(m, gram)
    of_m = 2 * _inner_product(product, m_tangent)
    of_gram = _inner_product(m, rows_times_matrix(m, gram_tangent))
    return _inner_product(m, product), of_m + of_gram


def _times_symmetric_part(m: Array, gram: Array) -> Array:
    return rows_times_matrix(m, 0.5 * (gram + gram.T))


def _inner_product(a: Array, b: Array) -> Array:
    return jnp.sum(jnp.sum(a * b, axis=-1))  # for one sum over both axes XLA on CPU would write all products to memory

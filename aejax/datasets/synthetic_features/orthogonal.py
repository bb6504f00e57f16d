"""Unit vectors that are as orthogonal to one another as a few steps of gradient descent make them."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float


def orthogonalized(vectors: Float[Array, "G D"], *, steps: int, learning_rate: float) -> Float[Array, "G D"]:
    """Returns unit vectors with smaller cosines between them, by steps of Adam from the normalized vectors on

        Σ_{i≠j} (gᵢ·gⱼ)² + G Σᵢ (‖gᵢ‖² - 1)².

    The gradient is 4 (g gᵀg - ‖g‖² g) + 4 G (‖g‖² - 1) g with gᵀg of shape (D, D): the matrix of all cosines is never
    formed. For G >= D the mean squared cosine of pairs is at least (G - D)/(D (G - 1)), Welch's bound.

    Args:
      vectors: G rows, none of them 0.
      steps: of Adam.
      learning_rate: of Adam.

    Source: of the loss: D. Chanin, A. Garriga-Alonso (2026), SynthSAEBench; L. R. Welch (1974), Lower Bounds on the
    Maximum Cross Correlation of Signals.

    >>> orthogonalized(jnp.array([[2.0, 0.0], [0.0, 3.0]]), steps=0, learning_rate=0.01).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    unit = _normalized(vectors)
    optimizer = optax.adam(learning_rate)

    def step(state: tuple[Array, optax.OptState], _: None) -> tuple[tuple[Array, optax.OptState], None]:
        g, moments = state
        squared = jnp.sum(jnp.square(g), axis=1, keepdims=True)
        gradient = 4 * (g @ (g.T @ g) - squared * g) + 4 * len(g) * (squared - 1) * g
        with jax.numpy_dtype_promotion("standard"):  # Optax's own arithmetic mixes dtypes
            change, moments = optimizer.update(gradient, moments)
        return (optax.apply_updates(g, change), moments), None

    if steps == 0:
        return unit
    (result, _), _ = jax.lax.scan(step, (unit, optimizer.init(unit)), length=steps)
    return _normalized(result)


def _normalized(vectors: Array) -> Array:
    return vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)

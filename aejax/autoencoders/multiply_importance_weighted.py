"""Multiply importance weighted autoencoders: the mean of several importance weighted bounds."""

import jax.numpy as jnp
from jaxtyping import Array, PyTree

from aejax.autoencoders.importance_weights import (
    Gradient,
    bound_part,
    check_gradient,
    importance_bound,
    log_importance_weights,
    maximizing,
)
from aejax.autoencoders.record import Autoencoder
from aejax.checks import check_count

MULTIPLY_IMPORTANCE_WEIGHTED = bound_part("multiply_importance_weighted")


def multiply_importance_weighted(
    autoencoder: Autoencoder, *, groups: int, samples: int, gradient: Gradient = "plain"
) -> Autoencoder:
    """Minimizes -E (1/M) Σₘ log (1/K) Σₖ wₘₖ, wₘₖ = p(x, zₘₖ)/q(zₘₖ | x), in place of a variational loss: MIWAE(M, K).

    Its expectation is that of the importance weighted bound with K samples; with more groups its gradient has less
    noise.

    Args:
      autoencoder: a variational autoencoder with beta 1 and no free bits.
      groups: M >= 1; with 1 the loss is that of `importance_weighted`.
      samples: K >= 1, of each group.
      gradient: the estimator of the encoder's gradient, as for `importance_weighted`, of each group.

    Returns:
      The autoencoder with the new loss; its metrics, in nats, are `loss` and `elbo`, here the mean bound, and with a
      likelihood of levels `bits_per_dimension`.

    Raises:
      ValueError: a count is below 1, or what `importance_weighted` refuses.
      TypeError: the autoencoder is not variational, or a count is not an integer.

    Source: T. Rainforth et al. (2018), Tighter Variational Bounds are Not Necessarily Better, section 5.

    >>> import jax
    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> autoencoder = multiply_importance_weighted(vae, groups=4, samples=8)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['elbo', 'loss']
    """
    check_count("groups", groups)
    check_count("samples", samples)
    check_gradient(gradient)

    def bound(params: PyTree, key: Array, x: Array, *inputs: Array) -> Array:
        log_weights = log_importance_weights(
            autoencoder, params, key, x, *inputs, samples=groups * samples, groups=groups, gradient=gradient
        )
        return jnp.mean(importance_bound(log_weights.reshape(groups, samples)))

    note = f"{groups} groups of {samples} importance weighted samples"
    return maximizing(autoencoder, MULTIPLY_IMPORTANCE_WEIGHTED, bound, note=note, gradient=gradient)

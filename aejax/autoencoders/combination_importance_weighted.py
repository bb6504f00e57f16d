"""Combination importance weighted autoencoders: between the evidence lower bound and the importance weighted one."""

import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike
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
from aejax.checks import check_count, check_in_range
from aejax.precision import knob

COMBINATION_IMPORTANCE_WEIGHTED = bound_part("combination_importance_weighted")


def combination_importance_weighted(
    autoencoder: Autoencoder, *, samples: int, elbo_weight: ArrayLike, gradient: Gradient = "plain"
) -> Autoencoder:
    """Minimizes -E [β (1/K) Σₖ log wₖ + (1 - β) log (1/K) Σₖ wₖ], wₖ = p(x, zₖ)/q(zₖ | x): CIWAE.

    Args:
      autoencoder: a variational autoencoder with beta 1 and no free bits.
      samples: K >= 1, of both bounds.
      elbo_weight: β in [0, 1]; with 0 the loss is that of `importance_weighted`, with 1 the negative evidence lower
        bound, its divergence estimated from K samples.
      gradient: the estimator of the encoder's gradient, as for `importance_weighted`, of both bounds; dreg and stl
        differ in the second one only.

    Returns:
      The autoencoder with the new loss; its metrics, in nats, are `loss` and `elbo`, here the combination, which is a
      lower bound on log p(x) too, and with a likelihood of levels `bits_per_dimension`.

    Raises:
      ValueError: samples is below 1, elbo_weight is not in [0, 1], or what `importance_weighted` refuses.
      TypeError: the autoencoder is not variational, or samples is not an integer.

    Source: T. Rainforth et al. (2018), Tighter Variational Bounds are Not Necessarily Better, section 5.

    >>> import jax
    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> autoencoder = combination_importance_weighted(vae, samples=8, elbo_weight=0.5)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['elbo', 'loss']
    """
    check_count("samples", samples)
    check_in_range("elbo_weight", elbo_weight, 0.0, 1.0)
    check_gradient(gradient)

    def bound(params: PyTree, key: Array, x: Array, *inputs: Array) -> Array:
        # the mean of log w weighs samples equally already: only the second bound has weights that dreg squares
        of_elbo: Gradient = "stl" if gradient == "dreg" else gradient
        weights = [
            log_importance_weights(autoencoder, params, key, x, *inputs, samples=samples, gradient=estimator)
            for estimator in (of_elbo, gradient)
        ]
        share = knob(elbo_weight, weights[0].dtype)
        return share * jnp.mean(weights[0]) + (1 - share) * importance_bound(weights[1])

    share = "β" if isinstance(elbo_weight, Tracer) else f"{elbo_weight:g}"
    note = f"{share} × ELBO + (1 - {share}) × bound of {samples} importance weighted samples"
    return maximizing(autoencoder, COMBINATION_IMPORTANCE_WEIGHTED, bound, note=note, gradient=gradient)

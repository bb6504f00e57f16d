"""Partially importance weighted autoencoders: encoder and decoder maximize different bounds."""

import jax
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

PARTIALLY_IMPORTANCE_WEIGHTED = bound_part("partially_importance_weighted")


def partially_importance_weighted(
    autoencoder: Autoencoder, *, groups: int, samples: int, gradient: Gradient = "plain"
) -> Autoencoder:
    """Decoder and prior maximize log (1/MK) Σₘₖ wₘₖ, the encoder (1/M) Σₘ log (1/K) Σₖ wₘₖ, of the same codes.

    The decoder has the tightest bound that M K samples allow, the encoder a gradient with less noise: PIWAE(M, K). The
    value of the loss is that of the decoder's bound.

    Args:
      autoencoder: a variational autoencoder with beta 1 and no free bits.
      groups: M >= 1; with 1 the loss is that of `importance_weighted`.
      samples: K >= 1, of each group.
      gradient: the estimator of the encoder's gradient, as for `importance_weighted`, of each group.

    Returns:
      The autoencoder with the new loss; its metrics, in nats, are `loss` and `elbo`, here the bound with M K samples,
      and with a likelihood of levels `bits_per_dimension`.

    Raises:
      ValueError: a count is below 1, or what `importance_weighted` refuses.
      TypeError: the autoencoder is not variational, or a count is not an integer.

    Source: T. Rainforth et al. (2018), Tighter Variational Bounds are Not Necessarily Better, section 5.

    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> autoencoder = partially_importance_weighted(vae, groups=4, samples=8)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['elbo', 'loss']
    """
    check_count("groups", groups)
    check_count("samples", samples)
    check_gradient(gradient)

    def bound(params: PyTree, key: Array, x: Array, *inputs: Array) -> Array:
        constant, drawn = jax.lax.stop_gradient(params), groups * samples
        # the same key: both have the same codes and the same weights, with other gradients
        of_decoder = log_importance_weights(autoencoder, constant, key, x, *inputs, samples=drawn, model_params=params)
        of_encoder = log_importance_weights(
            autoencoder,
            params,
            key,
            x,
            *inputs,
            samples=drawn,
            groups=groups,
            gradient=gradient,
            model_params=constant,
        )
        for_encoder = jnp.mean(importance_bound(of_encoder.reshape(groups, samples)))
        return importance_bound(of_decoder) + for_encoder - jax.lax.stop_gradient(for_encoder)

    note = f"{groups * samples} importance weighted samples, for the encoder in {groups} groups"
    return maximizing(autoencoder, PARTIALLY_IMPORTANCE_WEIGHTED, bound, note=note, gradient=gradient)

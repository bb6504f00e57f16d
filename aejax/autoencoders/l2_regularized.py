"""Weight decay as a term of the loss: the sum of squared weights."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.penalized import penalized
from aejax.autoencoders.record import Autoencoder, Batch, Metrics

L2_REGULARIZED = Part("l2_regularized", terms=(Term("squared_weights", "sum of squared weights", "no unit"),))


def l2_regularized(autoencoder: Autoencoder, *, weight: ArrayLike) -> Autoencoder:
    """Adds λ Σ W² to an autoencoder's loss, over all weights of encoder and decoder; tied weights count once.

    Weights are the parameters with two or more axes: biases are left out, as are the parameters of a prior. An adaptive
    optimizer scales the gradient of this term like any other, unlike decoupled weight decay (AdamW).

    Args:
      autoencoder: any autoencoder.
      weight: λ >= 0, the weight of a sum over all weights.

    Returns:
      The autoencoder with the new loss. Its metrics are those of the wrapped autoencoder and `squared_weights`, before
      weighting.

    Raises:
      ValueError: weight is negative, or the autoencoder has this term already.

    Source: A. Krogh, J. A. Hertz (1991), A Simple Weight Decay Can Improve Generalization; on decoupled weight decay,
    I. Loshchilov, F. Hutter (2019), Decoupled Weight Decay Regularization.

    >>> from aejax.autoencoders import tied
    >>> autoencoder = l2_regularized(tied((4,), (2,)), weight=0.1)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(4))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 4)))
    >>> sorted(metrics)
    ['loss', 'reconstruction', 'squared_weights']
    """

    def penalty(params: PyTree, batch: Batch) -> Metrics:
        leaves = jax.tree_util.tree_leaves_with_path(params)
        weights = [leaf for path, leaf in leaves if leaf.ndim >= 2 and "prior" not in jax.tree_util.keystr(path[:1])]
        squares: Array = sum((jnp.sum(jnp.square(own)) for own in weights), start=jnp.zeros((), batch.x.dtype))
        return {"squared_weights": squares}

    return penalized(autoencoder, L2_REGULARIZED, penalty, weight=weight)

"""Importance weighted autoencoders: a bound that becomes tighter than the evidence lower bound with more samples."""

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

IMPORTANCE_WEIGHTED = bound_part("importance_weighted")


def importance_weighted(autoencoder: Autoencoder, *, samples: int, gradient: Gradient = "plain") -> Autoencoder:
    """Minimizes -E log (1/K) Σₖ p(x, zₖ)/q(zₖ | x), z₁, ..., z_K ~ q(z | x), in place of a variational loss.

    Args:
      autoencoder: a variational autoencoder with beta 1 and no free bits.
      samples: K >= 1. With 1 the bound is the evidence lower bound, its divergence estimated from one sample, where
        `variational` uses the closed form.
      gradient: the estimator of the encoder's gradient. plain: the derivative of the bound, whose signal-to-noise ratio
        falls with K; dreg: doubly reparameterized, of the same expectation, whose ratio rises with K; stl: the path
        gradient ("sticking the landing"), biased for K > 1. The value of the loss and the decoder's gradient are the
        same (`importance_weights.log_importance_weights` has the formulas).

    Returns:
      The autoencoder with the new loss; its metrics, in nats, are `loss` and `elbo`, here the bound with K samples, and
      with a likelihood of levels `bits_per_dimension`.

    Raises:
      ValueError: samples is below 1, the gradient has no such name, the autoencoder has a beta other than 1 or free
        bits, or it has wrappers that change the loss, which would be lost: apply them to the importance weighted
        autoencoder.
      TypeError: the autoencoder is not variational, or samples is not an integer.

    Source: Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance Weighted Autoencoders, eq. 8; dreg: G. Tucker et
    al. (2019), Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives; stl: G. Roeder, Y. Wu, D.
    Duvenaud (2017), Sticking the Landing.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> autoencoder = importance_weighted(vae, samples=10, gradient="dreg")
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['elbo', 'loss']
    """
    check_count("samples", samples)
    check_gradient(gradient)

    def bound(params: PyTree, key: Array, x: Array, *inputs: Array) -> Array:
        return importance_bound(
            log_importance_weights(autoencoder, params, key, x, *inputs, samples=samples, gradient=gradient)
        )

    note = f"{samples} importance weighted samples"
    return maximizing(autoencoder, IMPORTANCE_WEIGHTED, bound, note=note, gradient=gradient)

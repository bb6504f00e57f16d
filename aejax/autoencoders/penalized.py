"""The wrapper that all regularizers share: it adds a term, times its weight, to the loss of any autoencoder."""

from collections.abc import Callable

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax.autoencoders.composition import check_composition
from aejax.autoencoders.part import Part
from aejax.autoencoders.record import Autoencoder, BatchLike, Metrics, masked_batch, weighted
from aejax.checks import check_in_range


def penalized(
    autoencoder: Autoencoder, part: Part, terms: Callable[..., Metrics], *, weight: ArrayLike, keys: int = 0
) -> Autoencoder:
    """Adds λ R(θ, batch) to an autoencoder's loss, where R is the first term of a regularizer.

    Args:
      autoencoder: any autoencoder that the regularizer can be combined with.
      part: the regularizer's name, terms and other traits; R is the first term.
      terms: (params, batch, *keys) -> every term of the part by name, a mean over the examples of the batch or a
        function of all of them. It receives a `Batch` in which padding is replaced (`masked_batch`).
      weight: λ >= 0.
      keys: the number of PRNG keys that `terms` expects; with 0 the autoencoder's own noise stays as it is.

    Returns:
      The autoencoder with the new loss. Its metrics are those of the wrapped autoencoder and all terms, before
      weighting.

    Raises:
      TypeError: `autoencoder` is not an `Autoencoder`, or has no posterior and the part requires one.
      ValueError: weight is negative, or the part has been applied before or cannot be combined with another part.

    >>> import jax.numpy as jnp
    >>> from aejax.autoencoders import Term, undercomplete
    >>> from aejax.networks import MLP
    >>> def weight_norm(params, batch):
    ...     return {"weight_norm": sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(params))}
    >>> part = Part("weight_decayed", terms=(Term("weight_norm", "squared norm of the parameters", "no unit"),))
    >>> autoencoder = penalized(undercomplete(MLP((2,)), MLP((5,))), part, weight_norm, weight=0.1)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['loss', 'reconstruction', 'weight_norm']
    """
    check_composition(autoencoder, part)
    check_in_range("weight", weight, 0.0)
    penalty, *reported = part.terms

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        batch = masked_batch(batch)
        *own_keys, base_key = jax.random.split(key, keys + 1) if keys else (key,)
        added = terms(params, batch, *own_keys)
        base, metrics = autoencoder.loss(params, base_key, batch)
        total = base + weighted(weight, added[penalty.name])
        return total, {**metrics, **added, "loss": total}

    part = part._replace(terms=(penalty._replace(weight=weight), *reported), lives_in_loss=True)
    return autoencoder._replace(loss=loss, parts=(*autoencoder.parts, part))

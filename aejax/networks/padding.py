"""Sequences of unequal length, padded with NaN: what an encoder receives instead of them."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.networks.network import Network, SupportsInitApply, preceded_by


def with_step_indicator(x: Float[Array, "T *C"]) -> Float[Array, "T D"]:
    """Returns ONE sequence with 0 instead of NaN, and one more channel: 1 for a real step, 0 for padding.

    Args:
      x: (T,) or (T, C), NaN after the sequence's end.

    Raises:
      ValueError: x has no axis, or more than two.

    >>> with_step_indicator(jnp.array([5.0, -3.0, jnp.nan])).tolist()
    [[5.0, 1.0], [-3.0, 1.0], [0.0, 0.0]]
    """
    if x.ndim not in (1, 2):
        raise ValueError(f"a sequence has shape (T,) or (T, C), got {x.shape}")
    steps = x if x.ndim == 2 else x[:, None]
    is_real = ~jnp.isnan(steps)
    values = jnp.where(is_real, steps, jnp.zeros((), steps.dtype))
    return jnp.concatenate([values, is_real.all(axis=1, keepdims=True).astype(steps.dtype)], axis=1)


def reading_padded(network: SupportsInitApply) -> Network:
    """Returns an encoder of sequences that are padded with NaN: the network receives `with_step_indicator` of them.

    Use it with a loss or likelihood of the real steps alone, `aejax.losses.OverKnown` or
    `aejax.likelihoods.over_known`.

    Args:
      network: an encoder of (T, C + 1).

    >>> import jax
    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.losses import OverKnown, squared_error
    >>> from aejax.networks import MLP
    >>> autoencoder = undercomplete(reading_padded(MLP((2,))), MLP((4, 1)), loss=OverKnown(squared_error))
    >>> x = jnp.array([[[1.0], [2.0], [jnp.nan], [jnp.nan]], [[1.0], [2.0], [3.0], [4.0]]])
    >>> params = autoencoder.init(jax.random.key(0), x[0])
    >>> bool(jnp.isfinite(autoencoder.loss(params, jax.random.key(1), x)[0]))
    True
    """
    return preceded_by(network, with_step_indicator)

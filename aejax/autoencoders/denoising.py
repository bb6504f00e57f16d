"""Denoising autoencoders: the input is a corrupted example, the target the clean one."""

import jax
from jaxtyping import Array, PyTree

from aejax.autoencoders.composition import check_composition
from aejax.autoencoders.part import Part
from aejax.autoencoders.record import Autoencoder, BatchLike, Metrics, example_keys, masked_batch
from aejax.corruption import Corruption

# it may be applied twice: a corrupted example can be corrupted again
DENOISING = Part("denoising", once=False, lives_in_loss=True)


def denoising(autoencoder: Autoencoder, *, corrupt: Corruption) -> Autoencoder:
    """Minimizes E L(x, g(f(x̃))), where x̃ is drawn anew from `corrupt(key, x)` at every step.

    Args:
      autoencoder: any autoencoder; the input of its loss is the corrupted example, the target the clean one.
      corrupt: (key, x) -> x̃, a function of ONE example, such as
        `functools.partial(aejax.corruption.salt_and_pepper, amount=0.1)`.

    Returns:
      The autoencoder with the new loss and the same metrics; `encode` and `decode` do not corrupt their input.

    Raises:
      TypeError: `autoencoder` is not an `Autoencoder`, or corrupt is not a function.

    Source: P. Vincent et al. (2008), Extracting and Composing Robust Features with Denoising Autoencoders, eq. 5.

    >>> from functools import partial
    >>> import jax.numpy as jnp
    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.corruption import masking
    >>> from aejax.networks import MLP
    >>> plain = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> autoencoder = denoising(plain, corrupt=partial(masking, amount=0.25))
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    """
    check_composition(autoencoder, DENOISING)
    if not callable(corrupt):
        raise TypeError(f"corrupt must be a function (key, x) -> corrupted x, got {corrupt!r}")

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        corruption_key, rest_key = jax.random.split(key)
        batch = masked_batch(batch)
        corrupted = jax.vmap(corrupt)(example_keys(corruption_key, batch), batch.input)
        return autoencoder.loss(params, rest_key, batch._replace(input=corrupted))

    return autoencoder._replace(loss=loss, parts=(*autoencoder.parts, DENOISING))

"""Conditions: encoder and decoder are told something about an example, a class or any side input."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from aejax.autoencoders.composition import check_composition
from aejax.autoencoders.record import Autoencoder, Batch, Metrics, as_batch
from aejax.checks import check_count


def conditional(autoencoder: Autoencoder, *, classes: int | None = None) -> Autoencoder:
    """Encodes and decodes given a condition c: h = f(x, c), x̂ = g(h, c); of a variational one log p(x | c) is bounded.

    The condition of every example is part of the data, `Examples(x, condition=...)`, and the last argument of `encode`,
    `decode`, `posterior` and `decode_parameters`. The code need not hold what the condition tells; decoding one code
    under several conditions changes that alone.

    Args:
      autoencoder: any whose networks take a condition as their last argument, as those of `aejax.networks` do.
      classes: C >= 2, where the condition is a class, 0 to C - 1 as an integer; it reaches the networks as a one-hot
        vector, a class out of range as zeros. None: the condition is an array of numbers, and reaches them as it is.

    Returns:
      The autoencoder with that condition, without which it raises ValueError; its metrics stay.

    Raises:
      ValueError: fewer than two classes, or an autoencoder that has no room for a condition.
      TypeError: classes is no integer.

    Source: K. Sohn, H. Lee, X. Yan (2015), Learning Structured Output Representation using Deep Conditional Generative
    Models, eq. 4, with a prior that does not depend on the condition; D. P. Kingma et al. (2014), Semi-Supervised
    Learning with Deep Generative Models, eq. 6.

    >>> from aejax.autoencoders import Examples, variational
    >>> from aejax.networks import MLP
    >>> autoencoder = conditional(variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,))), classes=10)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(5), jnp.array(7))
    >>> autoencoder.decode(params, jnp.zeros(3), jnp.array(7)).shape
    (5,)
    >>> batch = as_batch(Examples(jnp.ones((8, 5)), condition=jnp.arange(8)))
    >>> loss, metrics = autoencoder.loss(params, jax.random.key(1), batch)
    """
    check_composition(autoencoder, "conditional")
    if classes is not None:
        check_count("classes", classes, 2)

    def describe(given: Array, condition: Array | None = None) -> Array:
        if condition is None:
            raise ValueError("a conditional autoencoder needs the condition of every example, and none was given")
        if classes is None:
            return condition
        if not jnp.issubdtype(jnp.result_type(condition), jnp.integer):
            raise TypeError(f"the condition is a class, an integer, got dtype {jnp.result_type(condition)}")
        # of the type of the example or of the code beside it
        return jax.nn.one_hot(condition, classes, dtype=jnp.result_type(given) if _is_floating(given) else None)

    def given(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda first, second, *condition: function(first, second, describe(second, *condition))

    def loss(params: PyTree, key: Array, batch: Batch | Array) -> tuple[Array, Metrics]:
        batch = as_batch(batch)
        return autoencoder.loss(params, key, batch._replace(condition=describe(batch.x, batch.condition)))

    return autoencoder._replace(
        init=given(autoencoder.init),
        encode=given(autoencoder.encode),
        decode=given(autoencoder.decode),
        loss=loss,
        posterior=None if autoencoder.posterior is None else given(autoencoder.posterior),
        decode_parameters=None if autoencoder.decode_parameters is None else given(autoencoder.decode_parameters),
        parts=(*autoencoder.parts, "conditional"),
    )


def _is_floating(array: Array) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(array), jnp.floating))

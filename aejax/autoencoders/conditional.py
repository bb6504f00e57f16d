"""Conditions: encoder and decoder are told something about an example, a class or any side input."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax.autoencoders.composition import check_composition
from aejax.autoencoders.part import Part
from aejax.autoencoders.record import Autoencoder, BatchLike, Metrics, as_batch
from aejax.checks import as_array, as_jax_array, check_count

CONDITIONAL = Part("conditional", excludes=(("vamp_prior", "pseudo-inputs have no condition"),))


def conditional(autoencoder: Autoencoder, *, classes: int | None = None) -> Autoencoder:
    """Encodes and decodes given a condition c: h = f(x, c), x̂ = g(h, c); of a variational one log p(x | c) is bounded.

    The condition of every example is part of the data, `Examples(x, condition=...)`, and the last argument of `encode`,
    `decode`, `variational.posterior` and `variational.decode_parameters`. The code need not hold what the condition
    says; decoding one code under several conditions changes that alone.

    Args:
      autoencoder: any whose networks take a condition as their last argument, as those of `aejax.networks` do.
      classes: C >= 2, where the condition is a class, 0 to C - 1 as an integer; it reaches the networks as a one-hot
        vector. A class out of range is refused; one that is traced, whose value is not known, reaches them as zeros.
        None: the condition is an array of numbers, and reaches them as it is.

    Returns:
      The autoencoder with that condition, without which it raises ValueError, as for a class out of range; its metrics
      stay.

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
    check_composition(autoencoder, CONDITIONAL)
    if classes is not None:
        check_count("classes", classes, 2)

    def describe(given: Any, condition: Any = None, *, rank: int = 0) -> Array:
        if condition is None:
            raise ValueError("a conditional autoencoder needs the condition of every example, and none was given")
        condition = as_array("condition", condition)
        # of the type of the example or of the code beside it
        dtype = given.dtype if jnp.issubdtype(given.dtype, jnp.floating) else jnp.float32
        if classes is None:
            if jnp.issubdtype(condition.dtype, jnp.complexfloating):
                raise TypeError(f"the condition must hold real numbers, got dtype {condition.dtype}")
            return as_jax_array("the condition", condition).astype(dtype)
        if not jnp.issubdtype(condition.dtype, jnp.integer):
            raise TypeError(f"the condition is a class, an integer, got dtype {condition.dtype}")
        if condition.ndim != rank:
            wanted = "(B,), one per example" if rank else "(), that of ONE example"
            raise ValueError(f"the condition is a class of shape {wanted}, got shape {condition.shape}")
        check_classes(condition, classes)
        # in a type that holds them all: of int8 there are 127 at most
        return jax.nn.one_hot(jnp.asarray(condition).astype(jnp.int32), classes, dtype=dtype)

    def given(function: Callable[..., Any]) -> Callable[..., Any]:
        def of_one(first: PyTree, second: Any, *condition: Any) -> Any:
            second = as_array("the example or code", second)
            return function(first, second, describe(second, *condition))

        return of_one

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        batch = as_batch(batch)
        return autoencoder.loss(params, key, batch._replace(condition=describe(batch.x, batch.condition, rank=1)))

    distributions = autoencoder.variational
    if distributions is not None:
        distributions = distributions._replace(
            posterior=given(distributions.posterior), decode_parameters=given(distributions.decode_parameters)
        )
    return autoencoder._replace(
        init=given(autoencoder.init),
        encode=given(autoencoder.encode),
        decode=given(autoencoder.decode),
        loss=loss,
        variational=distributions,
        parts=(*autoencoder.parts, CONDITIONAL),
    )


def check_classes(labels: ArrayLike, classes: int) -> None:
    """Raise ValueError for a label that is no class, from 0 to `classes` - 1; traced ones pass.

    >>> check_classes(jnp.array([0, 3]), 3)
    Traceback (most recent call last):
    ...
    ValueError: the condition is a class from 0 to 2, got 3
    """
    if isinstance(labels, Tracer) or not np.size(labels):
        return
    values = np.asarray(labels)  # by NumPy: within a trace the minimum of a JAX array would be traced
    for label in (values.min(), values.max()):
        if not 0 <= label < classes:
            raise ValueError(f"the condition is a class from 0 to {classes - 1}, got {label}")

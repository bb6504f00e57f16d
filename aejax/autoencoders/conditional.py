"""Conditional autoencoders: encoder and decoder also receive a condition, such as the class of the example."""

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
    """Conditions encoder and decoder on c: h = f(x, c), x̂ = g(h, c); a variational loss then bounds log p(x | c).

    The condition is stored with the examples, `Examples(x, condition=...)`, and is the last argument of `encode`,
    `decode`, `variational.posterior` and `variational.decode_parameters`. The code need not contain what the condition
    already determines: decoding one code under several conditions changes only what depends on the condition.

    Args:
      autoencoder: any autoencoder whose networks accept a condition as last argument, as those of `aejax.networks` do.
      classes: C >= 2, the number of classes, where the condition is a class: an integer from 0 to C - 1, which the
        networks receive as a one-hot vector. A class outside this range raises ValueError, unless it is traced and its
        value unknown: the networks then receive zeros. None: the condition is an array of numbers, passed on as it is.

    Returns:
      The conditional autoencoder, with the same metrics. Its functions raise ValueError for a missing condition or a
      class out of range.

    Raises:
      ValueError: classes is below 2, or the autoencoder cannot have a condition.
      TypeError: classes is not an integer.

    Source: K. Sohn, H. Lee, X. Yan (2015), Learning Structured Output Representation using Deep Conditional Generative
    Models, eq. 4, with a prior that does not depend on the condition; D. P. Kingma et al. (2014), Semi-Supervised
    Learning with Deep Generative Models, eq. 6.

    >>> from aejax.autoencoders import Examples, variational
    >>> from aejax.networks import MLP
    >>> autoencoder = conditional(variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,))), classes=10)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), jnp.ones(5), jnp.array(7))
    >>> jax.eval_shape(autoencoder.decode, params, jnp.zeros(3), jnp.array(7)).shape
    (5,)
    >>> batch = as_batch(Examples(jnp.ones((8, 5)), condition=jnp.arange(8)))
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), batch)
    """
    check_composition(autoencoder, CONDITIONAL)
    if classes is not None:
        check_count("classes", classes, 2)

    def condition_array(example: Any, condition: Any = None, *, rank: int = 0) -> Array:
        if condition is None:
            raise ValueError("a conditional autoencoder expects the condition of every example, got none")
        condition = as_array("condition", condition)
        # in the dtype of the example or code that it goes with
        dtype = example.dtype if jnp.issubdtype(example.dtype, jnp.floating) else jnp.float32
        if classes is None:
            if jnp.issubdtype(condition.dtype, jnp.complexfloating):
                raise TypeError(f"the condition must hold real numbers, got dtype {condition.dtype}")
            return as_jax_array("the condition", condition).astype(dtype)
        if not jnp.issubdtype(condition.dtype, jnp.integer):
            raise TypeError(f"the condition must be a class, an integer, got dtype {condition.dtype}")
        if condition.ndim != rank:
            expected = "(B,), one class per example" if rank else "(), the class of ONE example"
            raise ValueError(f"the condition must have shape {expected}, got shape {condition.shape}")
        check_classes(condition, classes)
        # one_hot compares in the integer type of the classes, and int8 holds only 127 of them
        return jax.nn.one_hot(jnp.asarray(condition).astype(jnp.int32), classes, dtype=dtype)

    def with_condition(function: Callable[..., Any]) -> Callable[..., Any]:
        def function_with_condition(first: PyTree, second: Any, *condition: Any) -> Any:
            second = as_array("the example or code", second)
            return function(first, second, condition_array(second, *condition))

        return function_with_condition

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        batch = as_batch(batch)
        condition = condition_array(batch.x, batch.condition, rank=1)
        return autoencoder.loss(params, key, batch._replace(condition=condition))

    distributions = autoencoder.variational
    if distributions is not None:
        joint = distributions.joint_posterior
        distributions = distributions._replace(
            posterior=with_condition(distributions.posterior),
            decode_parameters=with_condition(distributions.decode_parameters),
            joint_posterior=joint and with_condition(joint),
        )
    return autoencoder._replace(
        init=with_condition(autoencoder.init),
        encode=with_condition(autoencoder.encode),
        decode=with_condition(autoencoder.decode),
        loss=loss,
        variational=distributions,
        parts=(*autoencoder.parts, CONDITIONAL),
    )


def check_classes(labels: ArrayLike, classes: int) -> None:
    """Raise ValueError unless all labels lie between 0 and `classes` - 1; labels that are traced are not checked.

    >>> check_classes(jnp.array([0, 3]), 3)
    Traceback (most recent call last):
    ...
    ValueError: the condition must be a class from 0 to 2, got 3
    """
    if isinstance(labels, Tracer) or not np.size(labels):
        return
    values = np.asarray(labels)  # NumPy: under a transformation the minimum of a JAX array would be traced
    for label in (values.min(), values.max()):
        if not 0 <= label < classes:
            raise ValueError(f"the condition must be a class from 0 to {classes - 1}, got {label}")

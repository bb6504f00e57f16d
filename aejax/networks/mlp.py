"""Multilayer perceptrons for inputs and outputs of any shape."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.checks import check_function, check_sizes
from aejax.networks.architecture import Architecture


class MLP(nn.Module):
    """Dense layers from ONE example of any shape to an array of `output_shape`.

    An encoder from a 20x20 image to a 200-dimensional code is `MLP(output_shape=(200,))`, its decoder
    `MLP(output_shape=(20, 20))`; M -> 40 -> N is `MLP(hidden=(40,), output_shape=(N,))`. A condition, an array of any
    shape, is appended to the input.

    Attributes:
      output_shape: the shape of the output.
      hidden: the widths of the hidden layers, in order.
      activation: the activation after each hidden layer.
      output_activation: the activation after the last layer; None for logits, means and log-variances.

    >>> import jax, jax.numpy as jnp
    >>> decoder = MLP(hidden=(40,), output_shape=(20, 20))
    >>> params = jax.eval_shape(decoder.init, jax.random.key(0), jnp.ones(5))
    >>> jax.eval_shape(decoder.apply, params, jnp.ones(5)).shape
    (20, 20)
    """

    output_shape: Sequence[int]
    hidden: Sequence[int] = ()
    activation: Callable[[Array], Array] = nn.relu
    output_activation: Callable[[Array], Array] | None = None

    def __post_init__(self) -> None:
        check_sizes("output_shape", self.output_shape)
        check_sizes("hidden", self.hidden)
        check_function("activation", self.activation)
        if self.output_activation is not None:
            check_function("output_activation", self.output_activation)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "..."], condition: Array | None = None) -> Float[Array, "..."]:
        x = x.reshape(-1)
        if condition is not None:
            x = jnp.concatenate([x, condition.reshape(-1)])
        for width in self.hidden:
            x = self.activation(nn.Dense(width)(x))
        x = nn.Dense(math.prod(self.output_shape))(x).reshape(tuple(self.output_shape))
        return x if self.output_activation is None else self.output_activation(x)


def _build(
    shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    hidden: tuple[int, ...],
    code_size: int,
    activation: Callable[[Array], Array],
) -> tuple[MLP, MLP]:
    del shape  # inputs are flattened
    return MLP((code_size,), hidden, activation), MLP(output_shape, hidden[::-1], activation)


ARCHITECTURE = Architecture(_build, is_dense=True)

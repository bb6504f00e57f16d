"""Convolutional encoder and decoder of one image: blocks with max-pooling, and blocks with upsampling."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

_KERNEL = (3, 3)


class ConvEncoder(nn.Module):
    """Blocks of 3x3 convolution, activation and 2x2 max-pooling on ONE image (H, W) or (H, W, C) of any size.

    A condition, an array of any shape, enters as constant channels of the image.

    Attributes:
      features: channels of the blocks, in order; each halves height and width, rounding up.
      code_size: the length of the code; None returns the last block's feature map (h, w, features[-1]).
      activation: after each convolution.

    >>> import jax, jax.numpy as jnp
    >>> encoder = ConvEncoder(features=(8, 4))
    >>> params = encoder.init(jax.random.key(0), jnp.ones((29, 28, 1)))
    >>> encoder.apply(params, jnp.ones((29, 28, 1))).shape
    (8, 7, 4)
    """

    features: Sequence[int]
    code_size: int | None = None
    activation: Callable[[Array], Array] = nn.relu

    @nn.compact
    def __call__(self, x: Float[Array, "..."], condition: Array | None = None) -> Float[Array, "..."]:
        _check_image_shape(x.shape)
        x = with_channels(x if x.ndim == 3 else x[..., None], condition)
        for channels in self.features:
            x = max_pool(self.activation(nn.Conv(channels, _KERNEL)(x)))
        return x if self.code_size is None else nn.Dense(self.code_size)(x.reshape(-1))


class ConvDecoder(nn.Module):
    """Blocks of 3x3 convolution, activation and 2x2 upsampling, then a convolution to exactly `shape`.

    The mirror of `ConvEncoder` with the features in reverse order: every level has the size that it has there, so
    odd sizes return as they were. A code that is a vector is first mapped to the smallest level by a dense layer. A
    condition, an array of any shape, is appended to a vector, and enters a feature map as constant channels.

    Attributes:
      shape: (H, W) or (H, W, C) of the image to return.
      features: channels of the blocks, in order; each doubles height and width.
      activation: after each convolution but the last.

    >>> import jax, jax.numpy as jnp
    >>> decoder = ConvDecoder(shape=(29, 28, 1), features=(4, 8))
    >>> params = decoder.init(jax.random.key(0), jnp.ones(5))
    >>> decoder.apply(params, jnp.ones(5)).shape
    (29, 28, 1)
    """

    shape: Sequence[int]
    features: Sequence[int]
    activation: Callable[[Array], Array] = nn.relu

    @nn.compact
    def __call__(self, code: Float[Array, "..."], condition: Array | None = None) -> Float[Array, "..."]:
        shape = tuple(self.shape)
        _check_image_shape(shape)
        sizes = [shape[:2]]
        for _ in self.features:
            sizes.append((math.ceil(sizes[-1][0] / 2), math.ceil(sizes[-1][1] / 2)))
        *larger_sizes, smallest = sizes
        if code.ndim == 1:
            inputs = code if condition is None else jnp.concatenate([code, condition.reshape(-1)])
            x = nn.Dense(math.prod(smallest) * self.features[0])(inputs)
            x = self.activation(x).reshape(*smallest, self.features[0])
        elif code.shape[:2] != smallest:
            raise ValueError(f"a code for {shape} must have height and width {smallest}, got {code.shape}")
        else:
            x = with_channels(code, condition)
        for channels, (height, width) in zip(self.features, reversed(larger_sizes), strict=True):
            x = upsample(self.activation(nn.Conv(channels, _KERNEL)(x)))[:height, :width]
        return nn.Conv(math.prod(shape[2:]), _KERNEL)(x).reshape(shape)


def max_pool(x: Float[Array, "H W C"]) -> Float[Array, "h w C"]:
    """The maximum of each 2x2 window; an odd edge is pooled with what is there.

    Written with `maximum` of four slices, whose gradient is far cheaper on CPU than that of a windowed reduction.

    >>> max_pool(jnp.arange(9.0).reshape(3, 3, 1))[..., 0]
    Array([[4., 5.],
           [7., 8.]], dtype=float32)
    """
    height, width, channels = x.shape
    edges = ((0, height % 2), (0, width % 2), (0, 0))
    x = jnp.pad(x, edges, mode="edge") if height % 2 or width % 2 else x
    x = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, channels)
    rows = jnp.maximum(x[:, 0], x[:, 1])
    return jnp.maximum(rows[:, :, 0], rows[:, :, 1])


def upsample(x: Float[Array, "h w C"]) -> Float[Array, "H W C"]:
    """Every pixel repeated as a 2x2 block.

    >>> upsample(jnp.array([[[1.0], [2.0]]]))[..., 0]
    Array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]], dtype=float32)
    """
    height, width, channels = x.shape
    blocks = jnp.broadcast_to(x[:, None, :, None], (height, 2, width, 2, channels))
    return blocks.reshape(2 * height, 2 * width, channels)


def with_channels(x: Float[Array, "H W C"], condition: Array | None) -> Float[Array, "H W D"]:
    """An image with the numbers of a condition as constant channels behind its own.

    >>> with_channels(jnp.zeros((2, 3, 1)), jnp.array([5.0, 6.0]))[0, 0].tolist()
    [0.0, 5.0, 6.0]
    """
    if condition is None:
        return x
    channels = jnp.broadcast_to(condition.reshape(1, 1, -1), (*x.shape[:2], condition.size))
    return jnp.concatenate([x, channels], axis=-1)


def _check_image_shape(shape: tuple[int, ...]) -> None:
    if len(shape) not in (2, 3):
        raise ValueError(f"an image has shape (H, W) or (H, W, C), got {shape}")

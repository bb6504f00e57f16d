"""Convolutional encoder and decoder of ONE image: blocks with max-pooling, and blocks with upsampling."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import lax
from jaxtyping import Array, Float

from aejax.checks import check_count, check_function, check_sizes
from aejax.networks.architecture import Architecture, of_images
from aejax.networks.convolution import convolve, upsampled_convolution

# nondecreasing activations commute with the maximum of a window, so they can be applied after it, to fewer values
_MONOTONE = (nn.relu, nn.leaky_relu, nn.elu, nn.selu, nn.softplus, nn.sigmoid, nn.tanh)


class ConvEncoder(nn.Module):
    """Blocks of 3x3 convolution, activation and 2x2 max-pooling on ONE image (H, W) or (H, W, C) of any size.

    A condition, an array of any shape, is appended to the image as constant channels; one of the image's height and
    width is appended pixel by pixel.

    Attributes:
      features: the channels of the blocks, in order; each block halves height and width, rounding up.
      code_size: the length of the code; None returns the last block's feature map (h, w, features[-1]).
      activation: the activation after each convolution.

    >>> import jax, jax.numpy as jnp
    >>> encoder = ConvEncoder(features=(8, 4))
    >>> params = jax.eval_shape(encoder.init, jax.random.key(0), jnp.ones((29, 28, 1)))
    >>> jax.eval_shape(encoder.apply, params, jnp.ones((29, 28, 1))).shape
    (8, 7, 4)
    """

    features: Sequence[int]
    code_size: int | None = None
    activation: Callable[[Array], Array] = nn.relu

    def __post_init__(self) -> None:
        check_sizes("features", self.features)
        if self.code_size is not None:
            check_count("code_size", self.code_size)
        check_function("activation", self.activation)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "..."], condition: Array | None = None) -> Float[Array, "..."]:
        check_image_shape(x.shape)
        x = with_channels(x if x.ndim == 3 else x[..., None], condition)
        for channels in self.features:
            if self.activation in _MONOTONE:
                x = self.activation(Conv(channels, pooled=True)(x))
            else:
                x = max_pool(self.activation(Conv(channels)(x)))
        return x if self.code_size is None else nn.Dense(self.code_size)(x.reshape(-1))


class ConvDecoder(nn.Module):
    """Blocks of 3x3 convolution, activation and 2x2 upsampling, then a convolution to exactly `shape`.

    It mirrors `ConvEncoder` with the features in reverse order: every level has the same size as in the encoder, so odd
    sizes are restored. A dense layer first maps a code that is a vector to the smallest level. A condition, an array of
    any shape, is appended to a vector, or to a feature map as constant channels.

    Attributes:
      shape: (H, W) or (H, W, C), the shape of the returned image.
      features: the channels of the blocks, in order; each block doubles height and width.
      activation: the activation after each convolution except the last.

    >>> import jax, jax.numpy as jnp
    >>> decoder = ConvDecoder(shape=(29, 28, 1), features=(4, 8))
    >>> params = jax.eval_shape(decoder.init, jax.random.key(0), jnp.ones(5))
    >>> jax.eval_shape(decoder.apply, params, jnp.ones(5)).shape
    (29, 28, 1)
    """

    shape: Sequence[int]
    features: Sequence[int]
    activation: Callable[[Array], Array] = nn.relu

    def __post_init__(self) -> None:
        check_image_shape(check_sizes("shape", self.shape))
        check_sizes("features", self.features, at_least=1)
        check_function("activation", self.activation)
        super().__post_init__()

    @nn.compact
    def __call__(self, code: Float[Array, "..."], condition: Array | None = None) -> Float[Array, "..."]:
        shape = tuple(self.shape)
        sizes = [shape[:2]]
        for _ in self.features:
            sizes.append((math.ceil(sizes[-1][0] / 2), math.ceil(sizes[-1][1] / 2)))
        *larger_sizes, smallest = sizes
        x = as_smallest_map(code, condition, smallest, self.features[0], shape)
        x = self.activation(x) if code.ndim == 1 else x
        size: tuple[int, ...] | None = None  # the next convolution upsamples to this size
        for channels, larger in zip(self.features, reversed(larger_sizes), strict=True):
            x = self.activation(Conv(channels, size)(x))
            size = larger
        return Conv(math.prod(shape[2:]), size)(x).reshape(shape)


def as_smallest_map(
    code: Float[Array, "..."], condition: Array | None, size: tuple[int, ...], channels: int, shape: tuple[int, ...]
) -> Float[Array, "h w C"]:
    """Returns a code as the smallest map of a decoder, with its condition; call it inside a compact method.

    Args:
      code: a vector, which a dense layer maps to `channels`, or a feature map.
      condition: appended to a vector, or to a map as constant channels; None for none.
      size: height and width of the smallest map.
      channels: of the dense layer's map.
      shape: that of the decoded image, for the message.

    Raises:
      ValueError: a feature map has another size.
    """
    if code.ndim == 1:
        inputs = code if condition is None else jnp.concatenate([code, condition.reshape(-1)])
        return nn.Dense(math.prod(size) * channels)(inputs).reshape(*size, channels)
    if code.shape[:2] != size:
        raise ValueError(f"the code of an image {shape} must have height and width {size}, got shape {code.shape}")
    return with_channels(code, condition)


class Conv(nn.Module):
    """A 3x3 convolution with the parameters of `flax.linen.Conv`, after upsampling or before max-pooling.

    Attributes:
      features: the channels of its output.
      size: (H, W), the size to which the image is upsampled first (`upsampled_convolution`); None for no upsampling.
      pooled: whether the maximum of each 2x2 window is returned; the bias is then added to a quarter of the values.
      starts_at_zero: whether the kernel is initialized with zeros, as that of a residual branch.

    >>> import jax, jax.numpy as jnp
    >>> layer = Conv(features=4, size=(5, 6))
    >>> params = jax.eval_shape(layer.init, jax.random.key(0), jnp.ones((3, 3, 2)))
    >>> jax.eval_shape(layer.apply, params, jnp.ones((3, 3, 2))).shape
    (5, 6, 4)
    """

    features: int
    size: tuple[int, ...] | None = None
    pooled: bool = False
    starts_at_zero: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "H W C"]) -> Float[Array, "h w D"]:
        initializer = nn.initializers.zeros if self.starts_at_zero else nn.initializers.lecun_normal()
        kernel = self.param("kernel", initializer, (3, 3, x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        x, kernel, bias = promote_dtype(x, kernel, bias)
        y = convolve(x, kernel) if self.size is None else upsampled_convolution(x, kernel, self.size)
        return (max_pool(y) if self.pooled else y) + bias[None, None]


def max_pool(x: Float[Array, "H W C"]) -> Float[Array, "h w C"]:
    """Returns the maximum of each 2x2 window; windows at an odd edge have one row or column.

    It is the elementwise `maximum` of four slices, whose gradient is far cheaper on CPU than that of a windowed
    reduction.

    >>> max_pool(jnp.arange(9.0).reshape(3, 3, 1))[..., 0]
    Array([[4., 5.],
           [7., 8.]], dtype=float32)
    """
    height, width, channels = x.shape
    edges = ((0, height % 2), (0, width % 2), (0, 0))
    x = jnp.pad(x, edges, mode="edge") if height % 2 or width % 2 else x
    height, width = x.shape[0] // 2, x.shape[1] // 2
    upper, lower = lax.split(x.reshape(height, 2, width, 2, channels), [1, 1], axis=1)
    left, right = lax.split(jnp.maximum(upper, lower), [1, 1], axis=3)
    return jnp.maximum(left, right).reshape(height, width, channels)


def upsample(x: Float[Array, "h w C"]) -> Float[Array, "H W C"]:
    """Returns the image of twice the size, with every pixel repeated as a 2x2 block.

    >>> upsample(jnp.array([[[1.0], [2.0]]]))[..., 0]
    Array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]], dtype=float32)
    """
    height, width, channels = x.shape
    blocks = jnp.broadcast_to(x[:, None, :, None], (height, 2, width, 2, channels))
    return blocks.reshape(2 * height, 2 * width, channels)


def with_channels(x: Float[Array, "H W C"], condition: Array | None) -> Float[Array, "H W D"]:
    """Returns an image with the numbers of a condition appended as constant channels; unchanged if there is none.

    A condition that is an image of the same height and width is appended pixel by pixel.

    >>> with_channels(jnp.zeros((2, 3, 1)), jnp.array([5.0, 6.0]))[0, 0].tolist()
    [0.0, 5.0, 6.0]
    """
    if condition is None:
        return x
    if condition.ndim in (2, 3) and condition.shape[:2] == x.shape[:2]:
        return jnp.concatenate([x, condition.reshape(*x.shape[:2], -1)], axis=-1)
    channels = jnp.broadcast_to(condition.reshape(1, 1, -1), (*x.shape[:2], condition.size))
    return jnp.concatenate([x, channels], axis=-1)


def check_image_shape(shape: tuple[int, ...]) -> None:
    """Raise ValueError unless this is the shape of one image with channels last.

    >>> check_image_shape((3, 32, 32))
    Traceback (most recent call last):
    ...
    ValueError: an image has shape (H, W) or (H, W, C), got (3, 32, 32): channels come last, numpy.moveaxis(x, -3, -1)
    """
    advice = ""
    if _has_channels_first(shape[-3:]):
        advice = ": channels come last, numpy.moveaxis(x, -3, -1)"
    elif len(shape) == 4:
        advice = ": map over a batch, jax.vmap(function, in_axes=(None, 0))"
    if len(shape) not in (2, 3) or advice:
        raise ValueError(f"an image has shape (H, W) or (H, W, C), got {shape}{advice}")


def _has_channels_first(shape: tuple[int, ...]) -> bool:
    """Whether a shape must be (C, H, W): C is 3, 4, or 1 with a square image, and height and width are at least 8."""
    if len(shape) != 3 or min(shape[1:]) < 8:
        return False
    return shape[0] in (3, 4) or (shape[0] == 1 and shape[1] == shape[2])


def conv_reach(levels: int) -> int:
    """Returns the reach of `ConvEncoder` and `ConvDecoder`: an output pixel depends on inputs within this distance.

    It is the maximum distance along one axis, in pixels. With L levels it is the sum of 2^l for the encoder's
    convolution at level l = 0...L - 1 and the decoder's at l = L...1, 1 for the last convolution, and 2^L - 1 because
    pixels are pooled in blocks of 2^L.

    >>> conv_reach(1), conv_reach(3)
    (5, 29)
    """
    return 4 * 2**levels - 3


ARCHITECTURE = Architecture(
    of_images(ConvEncoder, ConvDecoder),
    expects="images (H, W) or (H, W, C)",
    ranks=(2, 3),
    layout="image",
    has_map_code=True,
    has_maxima=True,
    reach=conv_reach,
)

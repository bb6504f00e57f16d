"""Residual encoder and decoder of ONE image: blocks that add to their input, at half the image's size and below."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
from jaxtyping import Array, Float

from aejax.checks import check_count, check_function, check_sizes
from aejax.networks.architecture import Architecture, of_images
from aejax.networks.blocks import depth_to_space, padded_to_multiple, space_to_depth
from aejax.networks.conv import Conv, as_smallest_map, check_image_shape, with_channels


class ResidualEncoder(nn.Module):
    """Levels of a residual block on ONE image (H, W) or (H, W, C) of any size; every level halves height and width.

    A level makes channels of the 2x2 blocks of its input, mixes them by a convolution (3x3 of the image, 1x1 of further
    levels) and adds the residual block x + f(x), f = activation, 3x3 convolution, activation, 3x3 convolution. The last
    convolution of f starts at zero, so that the network starts as a shallow one and needs no normalization. An image
    whose sizes are not multiples of 2**len(features) is padded with its edge. A condition, an array of any shape, is
    appended to the image as constant channels.

    Attributes:
      features: the channels of the levels, in order.
      code_size: the length of the code; None returns the last level's feature map (h, w, features[-1]).
      activation: the activation.

    Source: K. He, X. Zhang, S. Ren, J. Sun (2016), Identity Mappings in Deep Residual Networks, section 3; the start at
    zero after P. Goyal et al. (2017), Accurate, Large Minibatch SGD, section 5.1.

    >>> import jax, jax.numpy as jnp
    >>> encoder = ResidualEncoder(features=(8, 4))
    >>> params = jax.eval_shape(encoder.init, jax.random.key(0), jnp.ones((29, 28, 3)))
    >>> jax.eval_shape(encoder.apply, params, jnp.ones((29, 28, 3))).shape
    (8, 7, 4)
    """

    features: Sequence[int]
    code_size: int | None = None
    activation: Callable[[Array], Array] = nn.relu

    def __post_init__(self) -> None:
        check_sizes("features", self.features, at_least=1)
        if self.code_size is not None:
            check_count("code_size", self.code_size)
        check_function("activation", self.activation)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "..."], condition: Array | None = None) -> Float[Array, "..."]:
        check_image_shape(x.shape)
        x = with_channels(x if x.ndim == 3 else x[..., None], condition)
        multiple = 2 ** len(self.features)
        x = padded_to_multiple(x, multiple)
        for level, channels in enumerate(self.features):
            x = space_to_depth(x, 2)
            x = Conv(channels)(x) if level == 0 else nn.Dense(channels)(x)
            x = _residual_block(x, self.activation)
        return x if self.code_size is None else nn.Dense(self.code_size)(self.activation(x).reshape(-1))


class ResidualDecoder(nn.Module):
    """Levels of a residual block, each at twice the size of the one before; then an image of exactly `shape`.

    It mirrors `ResidualEncoder` with the features in reverse order. A dense layer first maps a code that is a vector to
    the smallest level, a 3x3 convolution a code that is a feature map. A condition, an array of any shape, is appended
    to a vector, or to a feature map as constant channels.

    Attributes:
      shape: (H, W) or (H, W, C), the shape of the returned image.
      features: the channels of the levels, in order.
      activation: the activation.

    >>> import jax, jax.numpy as jnp
    >>> decoder = ResidualDecoder(shape=(29, 28, 3), features=(4, 8))
    >>> params = jax.eval_shape(decoder.init, jax.random.key(0), jnp.ones(5))
    >>> jax.eval_shape(decoder.apply, params, jnp.ones(5)).shape
    (29, 28, 3)
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
        shape, features = tuple(self.shape), tuple(self.features)
        smallest = tuple(math.ceil(side / 2 ** len(features)) for side in shape[:2])
        x = as_smallest_map(code, condition, smallest, features[0], shape)
        x = x if code.ndim == 1 else Conv(features[0])(x)
        for level, channels in enumerate(features):
            if level:
                x = Conv(channels, (2 * x.shape[0], 2 * x.shape[1]))(x)
            x = _residual_block(x, self.activation)
        x = depth_to_space(Conv(4 * math.prod(shape[2:]))(self.activation(x)), 2)
        return x[: shape[0], : shape[1]].reshape(shape)


def _residual_block(x: Array, activation: Callable[[Array], Array]) -> Array:
    channels = x.shape[-1]
    y = Conv(channels)(activation(x))
    return x + Conv(channels, starts_at_zero=True)(activation(y))


def residual_reach(levels: int) -> int:
    """Returns the reach of `ResidualEncoder` and `ResidualDecoder`: a pixel depends on inputs within this distance.

    It is the maximum distance along one axis, in pixels. With L levels it is the sum of 2 for the first and the last
    convolution each, twice 2^l for the two convolutions of the encoder's and of the decoder's block at level l = 1...L,
    2^L for the convolution of the code, 2^l for the upsampled convolutions at l = L - 1...1, and 2^L - 1 for the
    blocks of pixels.

    >>> residual_reach(1), residual_reach(2)
    (15, 37)
    """
    return 11 * 2**levels - 7


ARCHITECTURE = Architecture(
    of_images(ResidualEncoder, ResidualDecoder),
    expects="images (H, W) or (H, W, C)",
    ranks=(2, 3),
    layout="image",
    has_map_code=True,
    reach=residual_reach,
)

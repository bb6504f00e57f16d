"""The two halves of a U-Net for ONE image: the maps of the skip connections are part of the code."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.checks import check_function, check_sizes
from aejax.networks.architecture import Architecture
from aejax.networks.blocks import depth_to_space, padded_to_multiple, space_to_depth
from aejax.networks.conv import check_image_shape, max_pool, upsample, with_channels

_KERNEL = (3, 3)


class UNetEncoder(nn.Module):
    """The contracting half on ONE image (H, W) or (H, W, C) of any size: two 3x3 convolutions per level.

    The input of the first level is the image with its 2x2 blocks as channels, so that no convolution has full size;
    every further level halves height and width by max-pooling. The code contains the maps of all levels; the maps of
    the higher levels, which skip to the decoder, are stored as blocks with the height and width of the last. The code
    is larger than the image, so a network that is trained without noise only learns to copy. An image whose sizes are
    not multiples of 2**len(features) is padded with its edge. A condition, an array of any shape, is appended to the
    image as constant channels.

    Attributes:
      features: the channels of the levels, in order.
      activation: the activation after each convolution.

    Source: O. Ronneberger, P. Fischer, T. Brox (2015), U-Net; the blocks after W. Shi et al. (2016), Real-Time Single
    Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network.

    >>> import jax, jax.numpy as jnp
    >>> encoder = UNetEncoder(features=(8, 4))
    >>> params = jax.eval_shape(encoder.init, jax.random.key(0), jnp.ones((29, 28, 1)))
    >>> jax.eval_shape(encoder.apply, params, jnp.ones((29, 28, 1))).shape  # 8 channels in 2x2 blocks, and 4
    (8, 7, 36)
    """

    features: Sequence[int]
    activation: Callable[[Array], Array] = nn.relu

    def __post_init__(self) -> None:
        check_sizes("features", self.features, at_least=1)
        check_function("activation", self.activation)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "..."], condition: Array | None = None) -> Float[Array, "h w K"]:
        check_image_shape(x.shape)
        x = with_channels(x if x.ndim == 3 else x[..., None], condition)
        multiple = 2 ** len(self.features)
        x = padded_to_multiple(x, multiple)
        x = space_to_depth(x, 2)
        code = []
        for level, channels in enumerate(self.features):
            x = x if level == 0 else max_pool(x)
            x = _two_convolutions(x, channels, self.activation)
            code.append(space_to_depth(x, multiple // 2 ** (level + 1)))
        return jnp.concatenate(code, axis=-1)


class UNetDecoder(nn.Module):
    """The expanding half: from the code of `UNetEncoder` with the same features to an image of exactly `shape`.

    Every level is upsampled, concatenated with the encoder's map of the same size and convolved twice. A condition, an
    array of any shape, is appended to the smallest map as constant channels.

    Attributes:
      shape: (H, W) or (H, W, C), the shape of the returned image.
      features: the channels of the encoder's levels, in the encoder's order.
      activation: the activation after each convolution except the last.

    >>> import jax, jax.numpy as jnp
    >>> decoder = UNetDecoder(shape=(29, 28, 1), features=(8, 4))
    >>> params = jax.eval_shape(decoder.init, jax.random.key(0), jnp.ones((8, 7, 36)))
    >>> jax.eval_shape(decoder.apply, params, jnp.ones((8, 7, 36))).shape
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
        multiple = 2 ** len(self.features)
        smallest = (math.ceil(shape[0] / multiple), math.ceil(shape[1] / multiple))
        blocks = [multiple // 2 ** (level + 1) for level in range(len(self.features))]
        sizes = [channels * block**2 for channels, block in zip(self.features, blocks, strict=True)]
        if code.shape != (*smallest, sum(sizes)):
            raise ValueError(
                f"the code of an image {shape} must have shape {(*smallest, sum(sizes))}, got shape {code.shape}"
            )
        maps = jnp.split(code, [sum(sizes[:level]) for level in range(1, len(sizes))], axis=-1)
        *skips, x = (depth_to_space(level, block) for level, block in zip(maps, blocks, strict=True))
        x = with_channels(x, condition)
        for channels, skip in zip(self.features[-2::-1], skips[::-1], strict=True):
            x = _two_convolutions(jnp.concatenate([upsample(x), skip], axis=-1), channels, self.activation)
        x = depth_to_space(nn.Conv(4 * math.prod(shape[2:]), _KERNEL)(x), 2)
        return x[: shape[0], : shape[1]].reshape(shape)


def _two_convolutions(x: Array, channels: int, activation: Callable[[Array], Array]) -> Array:
    for _ in range(2):
        x = activation(nn.Conv(channels, _KERNEL)(x))
    return x


def unet_reach(levels: int) -> int:
    """Returns the reach of `UNetEncoder` and `UNetDecoder`: an output pixel depends on inputs within this distance.

    It is the maximum distance along one axis, in pixels. With L levels it is the sum of twice 2^l for the encoder's two
    convolutions at level l = 1...L and the decoder's at l = L - 1...1, 2 for the last convolution, and 2^L - 1 for the
    blocks.

    >>> unet_reach(1), unet_reach(4)
    (7, 105)
    """
    return 7 * 2**levels - 7


def _build(
    shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    hidden: tuple[int, ...],
    code_size: None,
    activation: Callable[[Array], Array],
) -> tuple[UNetEncoder, UNetDecoder]:
    del output_shape, code_size  # the output has the shape of the example, and the code consists of maps
    return UNetEncoder(hidden, activation), UNetDecoder(shape, hidden, activation)


ARCHITECTURE = Architecture(
    _build,
    expects="images (H, W) or (H, W, C)",
    ranks=(2, 3),
    layout="image",
    has_vector_code=False,
    has_map_code=True,
    has_maxima=True,
    reach=unet_reach,
)

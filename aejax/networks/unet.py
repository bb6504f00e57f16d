"""The two halves of a U-Net for one image: the maps that skip from one to the other are part of the code."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.checks import check_function, check_sizes
from aejax.networks.architecture import Architecture
from aejax.networks.conv import check_image_shape, max_pool, upsample, with_channels

_KERNEL = (3, 3)


class UNetEncoder(nn.Module):
    """The contracting half on ONE image (H, W) or (H, W, C) of any size: two 3x3 convolutions a level.

    The image enters as its 2x2 blocks, four pixels in the place of one, so that no convolution works at full size;
    every further level halves height and width by max-pooling. The code holds the maps of all levels: those of the
    higher ones, which skip to the decoder, as blocks of the size of the last. It is larger than the image, so that
    nothing but the noise makes the network learn more than to copy. Sizes that do not divide by 2**len(features) are
    filled up with the image's edge. A condition, an array of any shape, enters as constant channels of the image.

    Attributes:
      features: channels of the levels, in order.
      activation: after each convolution.

    Source: O. Ronneberger, P. Fischer, T. Brox (2015), U-Net; the blocks after W. Shi et al. (2016), Real-Time Single
    Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network.

    >>> import jax, jax.numpy as jnp
    >>> encoder = UNetEncoder(features=(8, 4))
    >>> params = jax.jit(encoder.init)(jax.random.key(0), jnp.ones((29, 28, 1)))
    >>> jax.jit(encoder.apply)(params, jnp.ones((29, 28, 1))).shape  # 8 channels in 2x2 blocks, and 4
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
        x = jnp.pad(x, ((0, -x.shape[0] % multiple), (0, -x.shape[1] % multiple), (0, 0)), mode="edge")
        x = space_to_depth(x, 2)
        code = []
        for level, channels in enumerate(self.features):
            x = x if level == 0 else max_pool(x)
            x = _two_convolutions(x, channels, self.activation)
            code.append(space_to_depth(x, multiple // 2 ** (level + 1)))
        return jnp.concatenate(code, axis=-1)


class UNetDecoder(nn.Module):
    """The expanding half: from the code of `UNetEncoder` with the same features to an image of exactly `shape`.

    Every level is upsampled, joined with the encoder's map of that size and convolved twice. A condition, an array of
    any shape, enters as constant channels of the smallest map.

    Attributes:
      shape: (H, W) or (H, W, C) of the image to return.
      features: channels of the encoder's levels, in the encoder's order.
      activation: after each convolution but the last.

    >>> import jax, jax.numpy as jnp
    >>> decoder = UNetDecoder(shape=(29, 28, 1), features=(8, 4))
    >>> params = jax.jit(decoder.init)(jax.random.key(0), jnp.ones((8, 7, 36)))
    >>> jax.jit(decoder.apply)(params, jnp.ones((8, 7, 36))).shape
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
            raise ValueError(f"a code for {shape} has shape {(*smallest, sum(sizes))}, got {code.shape}")
        parts = jnp.split(code, [sum(sizes[:level]) for level in range(1, len(sizes))], axis=-1)
        *skips, x = (depth_to_space(part, block) for part, block in zip(parts, blocks, strict=True))
        x = with_channels(x, condition)
        for channels, skip in zip(self.features[-2::-1], skips[::-1], strict=True):
            x = _two_convolutions(jnp.concatenate([upsample(x), skip], axis=-1), channels, self.activation)
        x = depth_to_space(nn.Conv(4 * math.prod(shape[2:]), _KERNEL)(x), 2)
        return x[: shape[0], : shape[1]].reshape(shape)


def space_to_depth(x: Float[Array, "H W C"], block: int) -> Float[Array, "h w D"]:
    """Every block of pixels as one pixel with the channels of all: (H / block, W / block, block² C).

    >>> space_to_depth(jnp.arange(8.0).reshape(2, 4, 1), 2).tolist()
    [[[0.0, 1.0, 4.0, 5.0], [2.0, 3.0, 6.0, 7.0]]]
    """
    height, width, channels = x.shape
    x = x.reshape(height // block, block, width // block, block, channels).swapaxes(1, 2)
    return x.reshape(height // block, width // block, block**2 * channels)


def depth_to_space(x: Float[Array, "h w D"], block: int) -> Float[Array, "H W C"]:
    """The inverse of `space_to_depth`.

    >>> depth_to_space(jnp.arange(4.0).reshape(1, 1, 4), 2)[..., 0].tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """
    height, width, size = x.shape
    channels = size // block**2
    x = x.reshape(height, width, block, block, channels).swapaxes(1, 2)
    return x.reshape(height * block, width * block, channels)


def _two_convolutions(x: Array, channels: int, activation: Callable[[Array], Array]) -> Array:
    for _ in range(2):
        x = activation(nn.Conv(channels, _KERNEL)(x))
    return x


def unet_reach(levels: int) -> int:
    """How many pixels away, at most, lies what a pixel of `UNetDecoder`'s output depends on in `UNetEncoder`'s input.

    With L levels: twice 2^l for the encoder's two convolutions at level l = 1...L and the decoder's at l = L - 1...1, 2
    for the last, and 2^L - 1 for the blocks.

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
    del output_shape, code_size  # it returns one number for each of the example's, and its code is all maps
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

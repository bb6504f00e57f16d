"""A denoiser of ONE image that predicts the noise: convolutions on 2x2 blocks, without pooling."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.checks import check_function, check_sizes
from aejax.networks.architecture import Architecture
from aejax.networks.blocks import depth_to_space, padded_to_multiple, space_to_depth
from aejax.networks.conv import Conv, check_image_shape, with_channels


class DnCNNEncoder(nn.Module):
    """3x3 convolutions with activation on the 2x2 blocks of ONE image (H, W) or (H, W, C) of any size.

    The code holds the last feature map and the image itself, whose blocks the decoder adds the predicted noise to. It
    is larger than the image, so a network that is trained without noise only learns to copy. An image of odd size is
    padded with its edge. A condition, an array of any shape, is appended to the blocks as constant channels.

    Attributes:
      features: the channels of the layers, in order.
      activation: the activation after each convolution.

    Source: K. Zhang et al. (2017), Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising, here
    without batch normalization; the blocks after K. Zhang, W. Zuo, L. Zhang (2018), FFDNet.

    >>> import jax, jax.numpy as jnp
    >>> encoder = DnCNNEncoder(features=(8, 8))
    >>> params = jax.eval_shape(encoder.init, jax.random.key(0), jnp.ones((29, 28, 3)))
    >>> jax.eval_shape(encoder.apply, params, jnp.ones((29, 28, 3))).shape  # 8 channels, and 3 in 2x2 blocks
    (15, 14, 20)
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
        x = x if x.ndim == 3 else x[..., None]
        blocks = space_to_depth(padded_to_multiple(x, 2), 2)
        y = with_channels(blocks, condition)
        for channels in self.features:
            y = self.activation(Conv(channels)(y))
        return jnp.concatenate([y, blocks], axis=-1)


class DnCNNDecoder(nn.Module):
    """The image in the code of `DnCNNEncoder`, plus one convolution of its feature map: the noise, with negative sign.

    The convolution starts at zero, so that the network starts as the identity.

    Attributes:
      shape: (H, W) or (H, W, C), the shape of the returned image.

    >>> import jax, jax.numpy as jnp
    >>> decoder = DnCNNDecoder(shape=(29, 28, 3))
    >>> params = jax.eval_shape(decoder.init, jax.random.key(0), jnp.ones((15, 14, 20)))
    >>> jax.eval_shape(decoder.apply, params, jnp.ones((15, 14, 20))).shape
    (29, 28, 3)
    """

    shape: Sequence[int]

    def __post_init__(self) -> None:
        check_image_shape(check_sizes("shape", self.shape))
        super().__post_init__()

    @nn.compact
    def __call__(self, code: Float[Array, "..."], condition: Array | None = None) -> Float[Array, "..."]:
        shape = tuple(self.shape)
        size, channels = tuple(math.ceil(side / 2) for side in shape[:2]), 4 * math.prod(shape[2:])
        if code.ndim != 3 or code.shape[:2] != size or code.shape[2] <= channels:
            raise ValueError(
                f"the code of an image {shape} must have shape {size} with more than {channels} channels, got shape "
                f"{code.shape}"
            )
        y, blocks = with_channels(code[..., :-channels], condition), code[..., -channels:]
        x = depth_to_space(blocks + Conv(channels, starts_at_zero=True)(y), 2)
        return x[: shape[0], : shape[1]].reshape(shape)


def dncnn_reach(layers: int) -> int:
    """Returns the reach of `DnCNNEncoder` and `DnCNNDecoder`: an output pixel depends on inputs within this distance.

    It is the maximum distance along one axis, in pixels: 2 for each of the layers and for the last convolution, and 1
    because pixels are in blocks of 2.

    >>> dncnn_reach(1), dncnn_reach(8)
    (5, 19)
    """
    return 2 * (layers + 1) + 1


def _build(
    shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    hidden: tuple[int, ...],
    code_size: None,
    activation: Callable[[Array], Array],
) -> tuple[DnCNNEncoder, DnCNNDecoder]:
    del output_shape, code_size  # the output has the shape of the example, and the code holds the example
    return DnCNNEncoder(hidden, activation), DnCNNDecoder(shape)


ARCHITECTURE = Architecture(
    _build,
    expects="images (H, W) or (H, W, C)",
    ranks=(2, 3),
    layout="image",
    has_vector_code=False,
    has_map_code=True,
    reach=dncnn_reach,
    stride=lambda layers: 2,
)

"""Blocks of pixels as channels of one pixel, and back: a smaller image without loss."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def padded_to_multiple(x: Float[Array, "H W C"], multiple: int) -> Float[Array, "h w C"]:
    """Returns an image whose height and width are multiples of a number, extended by its last row and column.

    >>> padded_to_multiple(jnp.ones((3, 4, 1)), 4).shape
    (4, 4, 1)
    """
    return jnp.pad(x, ((0, -x.shape[0] % multiple), (0, -x.shape[1] % multiple), (0, 0)), mode="edge")


def space_to_depth(x: Float[Array, "H W C"], block: int) -> Float[Array, "h w D"]:
    """Returns an image (H / block, W / block, block² C), with the channels of every block of pixels in one pixel.

    >>> space_to_depth(jnp.arange(8.0).reshape(2, 4, 1), 2).tolist()
    [[[0.0, 1.0, 4.0, 5.0], [2.0, 3.0, 6.0, 7.0]]]
    """
    height, width, channels = x.shape
    x = x.reshape(height // block, block, width // block, block, channels).swapaxes(1, 2)
    return x.reshape(height // block, width // block, block**2 * channels)


def depth_to_space(x: Float[Array, "h w D"], block: int) -> Float[Array, "H W C"]:
    """Returns the image (H, W, C) of which x is `space_to_depth`.

    >>> depth_to_space(jnp.arange(4.0).reshape(1, 1, 4), 2)[..., 0].tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """
    height, width, size = x.shape
    channels = size // block**2
    x = x.reshape(height, width, block, block, channels).swapaxes(1, 2)
    return x.reshape(height * block, width * block, channels)

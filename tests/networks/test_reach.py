"""How far networks see, by the derivative of pixels in the middle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.networks import (
    ConvDecoder,
    ConvEncoder,
    DnCNNDecoder,
    DnCNNEncoder,
    ResidualDecoder,
    ResidualEncoder,
    UNetDecoder,
    UNetEncoder,
)
from aejax.networks.conv import conv_reach
from aejax.networks.dncnn import dncnn_reach
from aejax.networks.residual import residual_reach
from aejax.networks.unet import unet_reach


def pair(name, shape, levels):
    """Encoder and decoder, smooth but for their maxima."""
    if name == "residual":
        return ResidualEncoder((1,) * levels, None, jnp.tanh), ResidualDecoder(shape, (1,) * levels, jnp.tanh)
    if name == "dncnn":
        return DnCNNEncoder((1,) * levels, jnp.tanh), DnCNNDecoder(shape)
    if name == "conv":
        return ConvEncoder((1,) * levels, None, jnp.tanh), ConvDecoder(shape, (1,) * levels, jnp.tanh)
    return UNetEncoder((1,) * levels, jnp.tanh), UNetDecoder(shape, (1,) * levels, jnp.tanh)


@pytest.mark.slow
@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize(
    ("name", "reach_of"),
    [("conv", conv_reach), ("unet", unet_reach), ("residual", residual_reach), ("dncnn", dncnn_reach)],
)
def test_a_pixel_sees_as_far_as_is_said_and_no_farther(name, reach_of, levels, random_params):
    """Positive weights and smooth maxima: what can be seen has a positive derivative."""
    reach = reach_of(levels)
    side = 2 * reach + 2 * 2**levels
    encoder, decoder = pair(name, (side, side), levels)
    x = jax.random.uniform(jax.random.key(0), (side, side))
    params = jax.tree.map(jnp.abs, random_params(encoder, x))
    code = jnp.zeros(jax.eval_shape(encoder.apply, params, x).shape)
    decoder_params = jax.tree.map(jnp.abs, random_params(decoder, code))
    scale = 0.05  # of the weights, so that tanh does not saturate
    params, decoder_params = (jax.tree.map(lambda leaf: scale * leaf, tree) for tree in (params, decoder_params))

    def derivative(row):
        return jax.grad(lambda x: decoder.apply(decoder_params, encoder.apply(params, x))[row, row])(x)

    block = np.arange(side // 2 - 2 ** (levels - 1), side // 2 + 2 ** (levels - 1))  # all places in a block
    seen = [np.flatnonzero(np.any(of_row != 0, axis=1)) for of_row in jax.jit(jax.vmap(derivative))(block)]
    farthest = max(max(row - rows[0], rows[-1] - row) for row, rows in zip(block, seen, strict=True))
    assert reach - 2**levels < farthest <= reach  # maxima choose one of a block

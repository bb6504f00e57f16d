"""Encoders and decoders of one example: Flax Linen modules, or anything with `init(key, x)` and `apply(params, x)`."""

from aejax.networks.conv import ConvDecoder as ConvDecoder
from aejax.networks.conv import ConvEncoder as ConvEncoder
from aejax.networks.mlp import MLP as MLP
from aejax.networks.network import Network as Network
from aejax.networks.network import from_nnx as from_nnx

__all__ = ["MLP", "ConvDecoder", "ConvEncoder", "Network", "from_nnx"]

"""Encoders and decoders of ONE example: Flax Linen modules, or any pair of `init(key, x)` and `apply(params, x)`."""

from aejax.networks.conv import ConvDecoder as ConvDecoder
from aejax.networks.conv import ConvEncoder as ConvEncoder
from aejax.networks.dncnn import DnCNNDecoder as DnCNNDecoder
from aejax.networks.dncnn import DnCNNEncoder as DnCNNEncoder
from aejax.networks.global_variance import with_global_log_variance as with_global_log_variance
from aejax.networks.mlp import MLP as MLP
from aejax.networks.network import Network as Network
from aejax.networks.network import followed_by as followed_by
from aejax.networks.network import from_nnx as from_nnx
from aejax.networks.network import preceded_by as preceded_by
from aejax.networks.padding import reading_padded as reading_padded
from aejax.networks.padding import with_step_indicator as with_step_indicator
from aejax.networks.precision import computing_in as computing_in
from aejax.networks.rematerialization import rematerialized as rematerialized
from aejax.networks.residual import ResidualDecoder as ResidualDecoder
from aejax.networks.residual import ResidualEncoder as ResidualEncoder
from aejax.networks.sequence import SequenceDecoder as SequenceDecoder
from aejax.networks.sequence import SequenceEncoder as SequenceEncoder
from aejax.networks.unet import UNetDecoder as UNetDecoder
from aejax.networks.unet import UNetEncoder as UNetEncoder

__all__ = [
    "MLP",
    "ConvDecoder",
    "ConvEncoder",
    "DnCNNDecoder",
    "DnCNNEncoder",
    "Network",
    "ResidualDecoder",
    "ResidualEncoder",
    "SequenceDecoder",
    "SequenceEncoder",
    "UNetDecoder",
    "UNetEncoder",
    "computing_in",
    "followed_by",
    "from_nnx",
    "preceded_by",
    "reading_padded",
    "rematerialized",
    "with_global_log_variance",
    "with_step_indicator",
]

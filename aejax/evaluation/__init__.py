"""Measures of a trained autoencoder over a whole split of the data."""

from aejax.evaluation.codes import CodeStatistics as CodeStatistics
from aejax.evaluation.codes import code_statistics as code_statistics
from aejax.evaluation.codes import is_active as is_active
from aejax.evaluation.codes import make_mean_frobenius_norm as make_mean_frobenius_norm
from aejax.evaluation.codes import mutual_information as mutual_information
from aejax.evaluation.representation import decode_all as decode_all
from aejax.evaluation.representation import encode_all as encode_all
from aejax.evaluation.representation import reconstruct_all as reconstruct_all

__all__ = [
    "CodeStatistics",
    "code_statistics",
    "decode_all",
    "encode_all",
    "is_active",
    "make_mean_frobenius_norm",
    "mutual_information",
    "reconstruct_all",
]

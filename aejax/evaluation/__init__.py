"""Measures of a trained autoencoder over a whole split of the data."""

from aejax.evaluation.codes import is_active as is_active
from aejax.evaluation.codes import mutual_information as mutual_information
from aejax.evaluation.measures import MEASURES as MEASURES
from aejax.evaluation.measures import CodeStatistics as CodeStatistics
from aejax.evaluation.measures import Measure as Measure
from aejax.evaluation.measures import as_terms as as_terms
from aejax.evaluation.measures import code_statistics as code_statistics
from aejax.evaluation.measures import is_collapsed as is_collapsed
from aejax.evaluation.measures import make_watch as make_watch
from aejax.evaluation.measures import measure_of as measure_of
from aejax.evaluation.representation import decode_all as decode_all
from aejax.evaluation.representation import encode_all as encode_all
from aejax.evaluation.representation import reconstruct_all as reconstruct_all
from aejax.evaluation.sensitivity import make_mean_frobenius_norm as make_mean_frobenius_norm
from aejax.evaluation.sensitivity import mean_frobenius_norm as mean_frobenius_norm

__all__ = [
    "MEASURES",
    "CodeStatistics",
    "Measure",
    "as_terms",
    "code_statistics",
    "decode_all",
    "encode_all",
    "is_active",
    "is_collapsed",
    "make_mean_frobenius_norm",
    "make_watch",
    "mean_frobenius_norm",
    "measure_of",
    "mutual_information",
    "reconstruct_all",
]

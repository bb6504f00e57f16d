"""Autoencoders as records of pure functions; one constructor per family, and wrappers that compose."""

from aejax.autoencoders.conditional import conditional as conditional
from aejax.autoencoders.contractive import contractive as contractive
from aejax.autoencoders.contractive import contractive_by_projections as contractive_by_projections
from aejax.autoencoders.denoising import denoising as denoising
from aejax.autoencoders.importance_weighted import importance_weighted as importance_weighted
from aejax.autoencoders.information import mmd_regularized as mmd_regularized
from aejax.autoencoders.information import total_correlation_penalized as total_correlation_penalized
from aejax.autoencoders.part import Part as Part
from aejax.autoencoders.part import Term as Term
from aejax.autoencoders.part import loss_terms as loss_terms
from aejax.autoencoders.part import part_names as part_names
from aejax.autoencoders.penalized import penalized as penalized
from aejax.autoencoders.record import Autoencoder as Autoencoder
from aejax.autoencoders.record import Batch as Batch
from aejax.autoencoders.record import Examples as Examples
from aejax.autoencoders.record import Variational as Variational
from aejax.autoencoders.record import as_batch as as_batch
from aejax.autoencoders.sparse import k_sparse as k_sparse
from aejax.autoencoders.sparse import sparse as sparse
from aejax.autoencoders.sparse import sparse_kl as sparse_kl
from aejax.autoencoders.standardized import standardized as standardized
from aejax.autoencoders.tied import tied as tied
from aejax.autoencoders.undercomplete import undercomplete as undercomplete
from aejax.autoencoders.variational import variational as variational

__all__ = [
    "Autoencoder",
    "Batch",
    "Examples",
    "Part",
    "Term",
    "Variational",
    "as_batch",
    "conditional",
    "contractive",
    "contractive_by_projections",
    "denoising",
    "importance_weighted",
    "k_sparse",
    "loss_terms",
    "mmd_regularized",
    "part_names",
    "penalized",
    "sparse",
    "sparse_kl",
    "standardized",
    "tied",
    "total_correlation_penalized",
    "undercomplete",
    "variational",
]

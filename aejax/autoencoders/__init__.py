"""Autoencoders as records of pure functions; one constructor per family, and wrappers that compose."""

from aejax.autoencoders.contractive import contractive as contractive
from aejax.autoencoders.denoising import denoising as denoising
from aejax.autoencoders.record import Autoencoder as Autoencoder
from aejax.autoencoders.record import Batch as Batch
from aejax.autoencoders.record import as_batch as as_batch
from aejax.autoencoders.undercomplete import undercomplete as undercomplete
from aejax.autoencoders.variational import variational as variational

__all__ = [
    "Autoencoder",
    "Batch",
    "as_batch",
    "contractive",
    "denoising",
    "undercomplete",
    "variational",
]

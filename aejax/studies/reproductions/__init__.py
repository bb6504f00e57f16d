"""Tables of papers, each trained, measured and compared with what was published by one command.

A table is a file with `TABLE = Reproduction(...)` and a row here; it is imported when it is used.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # its module imports what help does without
    from aejax.studies.reproductions.record import Reproduction

# name -> its line in the help, and the module that holds its TABLE
TABLES = {
    "iwae": ("importance weighted autoencoders of MNIST by samples", "aejax.studies.reproductions.iwae"),
    "ais": ("annealed importance sampling of such a model, and its bounds", "aejax.studies.reproductions.ais"),
    "pca": ("PCA against linear and deep autoencoders of MNIST by code size", "aejax.studies.reproductions.pca"),
    "contractive": ("contractive autoencoders against others, by Jacobians", "aejax.studies.reproductions.contractive"),
    "denoising": ("stacked denoising autoencoders as a start for classifiers", "aejax.studies.reproductions.denoising"),
    "beta-tcvae": ("disentanglement of sprites over β", "aejax.studies.reproductions.beta_tcvae"),
    "rate-distortion": ("rate and distortion of MNIST over β", "aejax.studies.reproductions.rate_distortion"),
}
BUDGETS = {
    "full": "near the setting of the paper, for a GPU; what differs is printed",
    "reduced": "minutes on two cores; what is smaller is printed",
    "smoke": "seconds: every step runs, and no number means anything",
}


def table_of(name: str) -> "Reproduction":
    """Returns the table of this name.

    >>> table_of("pca").source
    'G. E. Hinton, R. R. Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks'
    """
    table: Reproduction = importlib.import_module(TABLES[name][1]).TABLE
    return table

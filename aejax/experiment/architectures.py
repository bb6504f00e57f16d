"""The networks that a configuration can name, one row per network. A network is imported when it is used."""

import functools
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # takes seconds to import, and help needs the names alone
    from aejax.networks.architecture import Architecture

# name -> its description in the help, and the module that holds its ARCHITECTURE
NETWORKS = {
    "mlp": ("dense layers on examples of any shape", "aejax.networks.mlp"),
    "conv": ("convolutions with pooling on images", "aejax.networks.conv"),
    "unet": ("conv with skip connections at every level, for denoising", "aejax.networks.unet"),
    "residual": ("residual blocks of convolutions on images", "aejax.networks.residual"),
    "dncnn": ("convolutions that predict the noise of images, for denoising", "aejax.networks.dncnn"),
    "sequence": ("convolutions over time on sequences", "aejax.networks.sequence"),
}


@functools.cache
def architecture_of(network: str) -> "Architecture":
    """Returns the architecture of this name.

    >>> architecture_of("conv").expects
    'images (H, W) or (H, W, C)'
    """
    return importlib.import_module(NETWORKS[network][1]).ARCHITECTURE

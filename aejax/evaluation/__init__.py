"""What a trained autoencoder does to a whole split."""

from aejax.evaluation.representation import encode_all as encode_all
from aejax.evaluation.representation import reconstruct_all as reconstruct_all

__all__ = ["encode_all", "reconstruct_all"]

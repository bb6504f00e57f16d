"""Files of Gemma Scope: params.npz with the arrays of a JumpReLU dictionary."""

from pathlib import Path
from typing import Any

import numpy as np

from aejax.errors import UserError
from aejax.formats.reading_arrays import named_arrays
from aejax.formats.weights import DictionaryWeights, check_weights
from aejax.host.files import open_regular

WEIGHTS = "params.npz"
_ARRAYS = {
    "encoder": "W_enc",
    "encoder_bias": "b_enc",
    "decoder": "W_dec",
    "decoder_bias": "b_dec",
    "threshold": "threshold",
}


def read_gemma_scope(path: str | Path) -> DictionaryWeights:
    """Returns the dictionary in a params.npz, or in a folder that contains one; the bias is not subtracted from inputs.

    Args:
      path: the file or the folder.

    Raises:
      UserError: the file is missing or damaged, an array is missing, or shapes differ.

    Source: T. Lieberum et al. (2024), Gemma Scope: Open Sparse Autoencoders Everywhere All At Once on Gemma 2.
    """
    path = Path(path)
    path = path / WEIGHTS if path.is_dir() else path
    with open_regular(path) as file:
        try:
            content = np.load(file, allow_pickle=False)
            arrays = {name: np.asarray(content[name]) for name in content.files}
        except Exception as error:  # a damaged file raises errors of zipfile, zlib, NumPy, without a common type
            raise UserError(f"{path}: cannot be read as .npz: it is damaged or holds pickled objects") from error
    weights = DictionaryWeights("jump_relu", **named_arrays(path, _ARRAYS, arrays), subtracts_bias=False)
    return check_weights(weights, path, _ARRAYS)


def write_gemma_scope(path: str | Path, weights: DictionaryWeights) -> None:
    """Writes a params.npz of a JumpReLU dictionary.

    If the dictionary subtracts its decoder's bias c from inputs, the encoder's bias becomes b - c W, which is the same.

    Args:
      path: the file, which is replaced.
      weights: a `jump_relu` dictionary.

    Raises:
      UserError: the dictionary is of another kind.
    """
    path = Path(path)
    if weights.kind != "jump_relu" or weights.skip is not None:
        raise UserError(f"{path}: Gemma Scope has jump_relu dictionaries, this one is {weights.kind}")
    if weights.subtracts_bias:
        shift = weights.decoder_bias.astype(np.float64) @ weights.encoder.astype(np.float64)
        bias = (weights.encoder_bias.astype(np.float64) - shift).astype(weights.encoder_bias.dtype)
        weights = weights._replace(encoder_bias=bias)
    arrays: dict[str, Any] = {name: np.asarray(getattr(weights, field)) for field, name in _ARRAYS.items()}
    with path.open("wb") as file:
        np.savez(file, **arrays)

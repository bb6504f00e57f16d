"""Folders of sparsify (EleutherAI): cfg.json and sae.safetensors, of TopK autoencoders and transcoders."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from aejax.errors import UserError
from aejax.formats.reading_arrays import named_arrays, read_configuration
from aejax.formats.weights import DictionaryWeights, check_weights
from aejax.host.files import write_text
from aejax.host.safetensors import read_arrays, write_arrays

CONFIGURATION, WEIGHTS = "cfg.json", "sae.safetensors"
_ARRAYS = {"encoder": "encoder.weight", "encoder_bias": "encoder.bias", "decoder": "W_dec", "decoder_bias": "b_dec"}
_SKIP = "W_skip"


def read_sparsify(folder: str | Path) -> DictionaryWeights:
    """Returns the dictionary in a folder of sparsify; its encoder (F, D) is returned as (D, F).

    Args:
      folder: contains cfg.json and sae.safetensors.

    Raises:
      UserError: a file or an array is missing or damaged, shapes differ, or the activation is not topk.

    Source: sparsify, github.com/EleutherAI/sparsify.
    """
    folder = Path(folder)
    path, configuration = folder / CONFIGURATION, read_configuration(folder / CONFIGURATION)
    if (activation := configuration.get("activation", "topk")) != "topk":
        raise UserError(f"{path}: activation: expected topk, got {activation!r}")
    content = read_arrays(folder / WEIGHTS)
    arrays = named_arrays(folder / WEIGHTS, _ARRAYS, content)
    if arrays["encoder"].ndim == 2:
        arrays["encoder"] = arrays["encoder"].T
    skip = content.get(_SKIP) if configuration.get("skip_connection") else None
    weights = DictionaryWeights(
        "top_k",
        **arrays,
        subtracts_bias=not configuration.get("transcode", False),
        k=configuration.get("k"),
        skip=None if skip is None else skip.T,
        description=configuration,
    )
    return check_weights(weights, folder / WEIGHTS, _ARRAYS | {"skip": _SKIP})


def write_sparsify(folder: str | Path, weights: DictionaryWeights) -> None:
    """Writes a folder that `SparseCoder.load_from_disk` of sparsify reads; its two files are replaced.

    Args:
      folder: is made if it does not exist.
      weights: a `top_k` dictionary that selects by π.

    Raises:
      UserError: the dictionary is of another kind.
    """
    folder = Path(folder)
    if weights.kind != "top_k" or weights.selects_by_norm:
        how = " by norm" if weights.selects_by_norm else ""
        raise UserError(f"{folder}: sparsify has top_k dictionaries, this one is {weights.kind}{how}")
    folder.mkdir(parents=True, exist_ok=True)
    features, units = weights.sizes
    own: dict[str, Any] = {
        "activation": "topk",
        "expansion_factor": units // features,
        "normalize_decoder": True,
        "num_latents": units,
        "k": weights.k,
        "multi_topk": False,
        "skip_connection": weights.skip is not None,
        "transcode": not weights.subtracts_bias,
        "d_in": features,
    }
    described = dict(weights.description)
    kept = {
        name: described[name]
        for name in ("expansion_factor", "normalize_decoder", "multi_topk", "num_latents")
        if name in described
    }
    arrays = {name: np.asarray(getattr(weights, field)) for field, name in _ARRAYS.items()}
    arrays["encoder.weight"] = arrays["encoder.weight"].T
    if weights.skip is not None:
        arrays[_SKIP] = weights.skip.T
    write_arrays(folder / WEIGHTS, arrays)
    write_text(folder / CONFIGURATION, json.dumps(described | own | kept, indent=2) + "\n")

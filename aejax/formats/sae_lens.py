"""Folders of SAELens: cfg.json and sae_weights.safetensors, of the architectures standard, topk, jumprelu and gated."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aejax.errors import UserError
from aejax.formats.reading_arrays import named_arrays, read_configuration
from aejax.formats.weights import DictionaryWeights, Kind, check_weights
from aejax.host.files import write_text
from aejax.host.safetensors import write_arrays

CONFIGURATION, WEIGHTS = "cfg.json", "sae_weights.safetensors"
_KINDS: dict[str, Kind] = {"standard": "relu", "topk": "top_k", "jumprelu": "jump_relu", "gated": "gated"}
_ARRAYS = {"encoder": "W_enc", "encoder_bias": "b_enc", "decoder": "W_dec", "decoder_bias": "b_dec"}
_OWN = {  # the arrays of each kind
    "relu": _ARRAYS,
    "top_k": _ARRAYS,
    "jump_relu": _ARRAYS | {"threshold": "threshold"},
    "gated": _ARRAYS | {"encoder_bias": "b_gate", "magnitude_bias": "b_mag", "magnitude_log_scale": "r_mag"},
}
_FOLDED = (None, "none", "expected_average_only_in")  # the latter is part of the weights when they are saved


def read_sae_lens(folder: str | Path) -> DictionaryWeights:
    """Returns the dictionary in a folder of SAELens.

    Args:
      folder: contains cfg.json and sae_weights.safetensors.

    Raises:
      UserError: a file or an array is missing or damaged, shapes differ, or the dictionary is of an architecture or
        changes its inputs in a way that is not supported.

    Source: SAELens, github.com/decoderesearch/SAELens.
    """
    folder = Path(folder)
    path, configuration = folder / CONFIGURATION, read_configuration(folder / CONFIGURATION)
    architecture = configuration.get("architecture", "standard")
    activation = configuration.get("activation_fn", configuration.get("activation_fn_str"))  # of versions up to 5
    if architecture == "standard" and activation == "topk":
        architecture = "topk"
    kind = _KINDS.get(architecture) if isinstance(architecture, str) else None
    if kind is None:
        raise UserError(f"{path}: architecture: expected {', '.join(_KINDS)}, got {architecture!r}")
    for name, allowed in (("normalize_activations", _FOLDED), ("reshape_activations", (None, "none"))):
        if configuration.get(name) not in allowed:
            raise UserError(f"{path}: {name}: {configuration[name]!r} is not supported, only 'none'")
    arrays = named_arrays(folder / WEIGHTS, _OWN[kind])
    older = configuration.get("activation_fn_kwargs")
    k = configuration.get("k", older.get("k") if isinstance(older, Mapping) else None)
    weights = DictionaryWeights(
        kind,
        **arrays,
        subtracts_bias=bool(configuration.get("apply_b_dec_to_input", True)),
        k=k if kind == "top_k" else None,
        selects_by_norm=kind == "top_k" and bool(configuration.get("rescale_acts_by_decoder_norm", False)),
        description=configuration,
    )
    return check_weights(weights, folder / WEIGHTS, _OWN[kind])


def write_sae_lens(folder: str | Path, weights: DictionaryWeights) -> None:
    """Writes a folder that `SAE.load_from_disk` of SAELens reads; its two files are replaced.

    Args:
      folder: is made if it does not exist.
      weights: the dictionary; what its description holds besides the weights' own settings is written as it is.

    Raises:
      UserError: the dictionary has skip connections, which these architectures have not.
    """
    folder = Path(folder)
    if weights.skip is not None:
        raise UserError(f"{folder}: SAELens's {weights.kind} has no skip connection")
    folder.mkdir(parents=True, exist_ok=True)
    features, units = weights.sizes
    names = {kind: name for name, kind in _KINDS.items()}
    own: dict[str, Any] = {
        "architecture": names[weights.kind],
        "d_in": features,
        "d_sae": units,
        "dtype": str(weights.encoder.dtype),
        "device": "cpu",
        "apply_b_dec_to_input": weights.subtracts_bias,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {},
    }
    if weights.kind == "top_k":
        own |= {"k": weights.k, "rescale_acts_by_decoder_norm": weights.selects_by_norm}
    kept = ("device", "normalize_activations", "reshape_activations", "metadata")
    described = dict(weights.description)
    configuration = described | own | {name: described[name] for name in kept if name in described}
    arrays = {name: getattr(weights, field) for field, name in _OWN[weights.kind].items()}
    for name, array in arrays.items():
        if array is None:
            raise UserError(f"{folder}: SAELens's {names[weights.kind]} requires the array {name}")
    write_arrays(folder / WEIGHTS, {name: np.asarray(array) for name, array in arrays.items()})
    write_text(folder / CONFIGURATION, json.dumps(configuration, indent=2) + "\n")

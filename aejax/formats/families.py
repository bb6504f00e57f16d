"""From the weights of a dictionary to an autoencoder with its parameters, and back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from aejax.autoencoders import Autoencoder, dictionary, gated, jump_relu, l1_dictionary, part_names, top_k
from aejax.autoencoders.learned_state import STATE
from aejax.errors import UserError
from aejax.formats.weights import DictionaryWeights, with_folded_decoder_norm


def autoencoder_of(weights: DictionaryWeights, **knobs: Any) -> tuple[Autoencoder, PyTree]:
    """Returns the autoencoder of a dictionary, which encodes, decodes and can be trained on, and its parameters.

    Args:
      weights: the dictionary; one that selects by norm is folded first.
      **knobs: of its constructor, for training: `l1_dictionary`, `top_k`, `jump_relu` or `gated`; by default the weight
        of a penalty is 1.

    Raises:
      UserError: the dictionary has a skip connection.

    >>> weights = DictionaryWeights("relu", np.eye(2, 3), np.zeros(3), np.eye(3, 2), np.zeros(2))
    >>> autoencoder, params = autoencoder_of(weights)
    >>> autoencoder.encode(params, jnp.array([2.0, -1.0])).tolist()
    [2.0, 0.0, 0.0]
    """
    if weights.skip is not None:
        raise UserError("a dictionary with a skip connection has no constructor: set skip to None to leave it out")
    if weights.selects_by_norm:
        weights = with_folded_decoder_norm(weights)
    features, units = weights.sizes
    maps = dictionary(features, units, subtracts_bias=weights.subtracts_bias)
    if weights.kind == "top_k":
        autoencoder = top_k(*maps, **{"k": weights.k, **knobs})
    else:
        constructor = {"relu": l1_dictionary, "jump_relu": jump_relu, "gated": gated}[weights.kind]
        autoencoder = constructor(*maps, **{"weight": 1.0, **knobs})
    params = autoencoder.init(jax.random.key(0), jnp.zeros(features))
    given: dict[str, Any] = {
        "encoder": {"kernel": weights.encoder, "bias": weights.encoder_bias},
        "decoder": {"kernel": weights.decoder, "bias": weights.decoder_bias},
    }
    if weights.kind == "jump_relu":
        given["thresholds"] = weights.threshold
    if weights.kind == "gated":
        given["magnitude"] = {"log_scale": weights.magnitude_log_scale, "bias": weights.magnitude_bias}
    return autoencoder, {**params, **jax.tree.map(lambda array: jnp.asarray(array, jnp.float32), given)}


def weights_of(
    autoencoder: Autoencoder, params: PyTree, *, k: int | None = None, subtracts_bias: bool = True
) -> DictionaryWeights:
    """Returns the weights of a trained dictionary, to be written in a format.

    BatchTopK and Matryoshka become `jump_relu`, with the threshold by which they encode, the same for all units.

    Args:
      autoencoder: from `l1_dictionary`, `top_k`, `batch_top_k`, `jump_relu`, `gated` or `matryoshka`, of the two
        linear maps of `dictionary`.
      params: its parameters.
      k: of `top_k`, whose parameters do not hold it.
      subtracts_bias: as for `dictionary`.

    Raises:
      UserError: the autoencoder is none of these, or k is missing.

    >>> from aejax.autoencoders import batch_top_k
    >>> autoencoder = batch_top_k(2, 3, k=1)
    >>> weights_of(autoencoder, autoencoder.init(jax.random.key(0), jnp.ones(2))).kind
    'jump_relu'
    """
    names = part_names(autoencoder.parts)
    arrays = jax.tree.map(np.asarray, {name: params[name] for name in params if name != STATE})
    try:
        own: dict[str, Any] = {
            "encoder": arrays["encoder"]["kernel"],
            "encoder_bias": arrays["encoder"]["bias"],
            "decoder": arrays["decoder"]["kernel"],
            "decoder_bias": arrays["decoder"]["bias"],
            "subtracts_bias": subtracts_bias,
        }
    except (KeyError, TypeError, IndexError) as error:
        raise UserError("the parameters are not those of a dictionary of two linear maps") from error
    if "gated" in names:
        magnitude = arrays["magnitude"]
        return DictionaryWeights(
            "gated", **own, magnitude_bias=magnitude["bias"], magnitude_log_scale=magnitude["log_scale"]
        )
    if "jump_relu" in names:
        return DictionaryWeights("jump_relu", **own, threshold=arrays["thresholds"])
    if "batch_top_k" in names or "matryoshka" in names:
        threshold = np.maximum(np.asarray(params[STATE]["threshold"], np.float32), 0)
        units = own["encoder"].shape[1]
        return DictionaryWeights("jump_relu", **own, threshold=np.full(units, threshold, np.float32))
    if "top_k" in names:
        if k is None:
            raise UserError("k: the parameters of top_k do not hold it, so it must be given")
        return DictionaryWeights("top_k", **own, k=k)
    if "l1_dictionary" in names:
        return DictionaryWeights("relu", **own)
    raise UserError(f"expected a dictionary whose kind the formats have, got {' and '.join(names)}")

"""Examples of a named setting, drawn in batches: the arrays of the data set synthetic_features."""

import jax
import numpy as np
from jaxtyping import Array

from aejax.datasets.synthetic_features.generator import FeatureModel, make_feature_model, sample_x
from aejax.datasets.synthetic_features.setting import SETTINGS, FeatureSetting
from aejax.host.memory import check_fits
from aejax.keys import named_key

_BATCH = 1024  # examples that are drawn at a time


def known_features(name: str, seed: int = 0) -> FeatureModel:
    """Returns the generator of the data set; its `features` are the true dictionary.

    Args:
      name: of `SETTINGS`.
      seed: the knob `feature_seed` of the data set.

    >>> jax.eval_shape(lambda: known_features("small")).features.shape
    (512, 256)
    """
    return make_feature_model(named_key(jax.random.key(seed), "model"), SETTINGS[name])


def draw_examples(model: FeatureModel, setting: FeatureSetting, examples: int, *, seed: int) -> np.ndarray:
    """Returns examples (N, D), float32; the first ones of more are the same.

    Args:
      model: from `known_features`.
      setting: its setting.
      examples: N.
      seed: of the noise.

    Raises:
      UserError: they do not fit into the memory.
    """
    check_fits(4 * examples * setting.dimensions, f"{examples:,} synthetic examples", advice="draw fewer", host=True)
    key = named_key(jax.random.key(seed), "examples")

    @jax.jit
    def draw(model: FeatureModel, numbers: Array) -> Array:
        return jax.vmap(lambda number: sample_x(model, jax.random.fold_in(key, number), setting))(numbers)

    batches = [
        np.asarray(draw(model, np.arange(start, start + _BATCH, dtype=np.uint32)))
        for start in range(0, examples, _BATCH)
    ]
    return np.concatenate(batches)[:examples]

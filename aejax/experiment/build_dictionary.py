"""Builds the dictionary of an experiment: two linear maps, their family, the resampling of silent units."""

from typing import Any

from aejax import autoencoders, schedules
from aejax.autoencoders import Autoencoder
from aejax.experiment.configuration import Experiment
from aejax.experiment.facts import Facts
from aejax.training.devices import AXIS


def build_dictionary(experiment: Experiment, facts: Facts) -> Autoencoder:
    """Returns the dictionary that a configuration names, for examples with these facts.

    Examples are centered before (`standardize`), so the decoder's bias starts at 0.

    Args:
      experiment: the configuration, whose family is one of dictionaries.
      facts: the facts of the training examples.
    """
    model, knobs = experiment.model, experiment.dictionary
    assert model.code_size is not None  # ensured by configuration.check
    linear = autoencoders.dictionary(
        facts.shape,
        model.code_size,
        start_norm=knobs.start_norm,
        unit_norm=knobs.unit_norm,
        dtype=model.compute_dtype,
    )
    weight: Any = knobs.sparsity_weight
    if knobs.sparsity_warmup_steps:
        weight = schedules.linear_warm_up(knobs.sparsity_warmup_steps, end=knobs.sparsity_weight)
    selection = {
        "k": model.active_entries,
        "first_k": knobs.first_active_entries,
        "annealing_steps": 0 if knobs.first_active_entries is None else knobs.annealing_steps,
        "auxiliary_weight": knobs.auxiliary_weight,
    }
    of_family: dict[str, dict[str, Any]] = {
        "l1_dictionary": {"weight": weight},
        "top_k": selection,
        "batch_top_k": {**selection, "axis_name": AXIS},
        "jump_relu": {
            "weight": weight,
            "bandwidth": knobs.bandwidth,
            "start_threshold": knobs.start_threshold,
            "penalty": knobs.sparsity_penalty,
        },
        "gated": {"weight": weight},
        "matryoshka": {**selection, "prefixes": knobs.prefixes or _halves(model.code_size), "axis_name": AXIS},
    }
    make = getattr(autoencoders, model.family)
    autoencoder: Autoencoder = make(*linear, dead_after=knobs.dead_after, **of_family[model.family])
    if knobs.resample_every is not None:
        autoencoder = autoencoders.resampled(autoencoder, every=knobs.resample_every, axis_name=AXIS)
    return autoencoder


def _halves(units: int) -> tuple[int, ...]:
    """Returns a sixteenth, an eighth, a quarter and half of the units, without those that would be 0."""
    return tuple(sorted({units // parts for parts in (16, 8, 4, 2)} - {0}))

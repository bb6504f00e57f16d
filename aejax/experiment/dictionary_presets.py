"""Experiments of dictionaries."""

from aejax.experiment.configuration import Experiment, Model, Optimization, Training
from aejax.experiment.dictionary_knobs import SELECTING

_ACTIVE = 16


def own_dictionary(family: str) -> Experiment:
    """Returns the experiment of a dictionary without a preset; no value was tuned for a particular data set."""
    entries = {"active_entries": _ACTIVE} if family in SELECTING else {}
    return Experiment(
        model=Model(family=family, code_size=512, **entries),  # type: ignore[arg-type]
        optimization=Optimization(learning_rate=1e-3, schedule="linear_at_end", clip_norm=1.0),
        training=Training(batch_size=256, epochs=100, patience=None, checkpoint_every=5),
    )

"""Experiments of dictionaries."""

from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Training
from aejax.experiment.dictionary_knobs import SELECTING, Dictionary

_ACTIVE = 16


def own_dictionary(family: str) -> Experiment:
    """Returns the experiment of a dictionary without a preset; no value was tuned for a particular data set."""
    entries = {"active_entries": _ACTIVE} if family in SELECTING else {}
    return Experiment(
        model=Model(family=family, code_size=512, **entries),  # type: ignore[arg-type]
        optimization=Optimization(learning_rate=1e-3, schedule="linear_at_end", clip_norm=1.0),
        training=Training(batch_size=256, epochs=100, patience=None, checkpoint_every=5),
    )


DICTIONARIES_OF_DATA: dict[str, tuple[str, Experiment]] = {
    # After B. A. Olshausen, D. J. Field (1997), who learn 192 units on 12x12 patches of ten photographs. With seed 0,
    # 93 % of the units are localized and oriented (`aejax study dictionary-patches`), 16.4 are active per test patch,
    # none is silent; of principal components, and of the units before training, 0 %.
    "patches-l1": (
        "L1 dictionary of 256 units on 12x12 patches of whitened photographs; 93 % become oriented edges, of PCA 0 %",
        Experiment(
            data=Data(dataset="natural_patches", crop=12, crops_per_page=1500),
            model=Model(family="l1_dictionary", code_size=256),
            dictionary=Dictionary(sparsity_weight=3.0, sparsity_warmup_steps=500),
            optimization=Optimization(learning_rate=3e-3, schedule="linear_at_end"),
            training=Training(batch_size=256, epochs=10, evaluate_every=5, patience=None, checkpoint_every=5),
        ),
    ),
}

"""The presets of `aejax train`: named experiments, with their sources and their results."""

from dataclasses import replace
from typing import Any

from aejax.experiment.configuration import Experiment, Model, Optimization, Regularization, Training, differences
from aejax.experiment.dictionary_knobs import DICTIONARIES
from aejax.experiment.dictionary_presets import DICTIONARIES_OF_DATA, own_dictionary
from aejax.experiment.digits_presets import DIGITS
from aejax.experiment.image_presets import IMAGES
from aejax.experiment.series_presets import ADBENCH as ADBENCH
from aejax.experiment.series_presets import ONE_CLASS as ONE_CLASS
from aejax.experiment.series_presets import SERIES
from aejax.experiment.sprites_presets import SPRITES
from aejax.host.commands import verb_command

DEFAULT = "digits-vae"
# for runs without a preset on other data than that of DEFAULT; no value was tuned for a particular data set
OWN = Experiment(training=Training(checkpoint_every=5))
# Standardized: a network whose output starts at 0 needs long to find the mean image. After 30 epochs of batches of 32
# the squared error per pixel of 280 faces is 0.0041; unstandardized, after 50 epochs of batches of 128, 0.0158.
# PCA with 128 components, which no prior restricts, reaches 0.0023.
OWN_IMAGES = Experiment(
    model=Model(
        network="conv",
        hidden=(32, 64),
        code_size=128,
        activation="gelu",
        likelihood="gaussian_with_global_variance",
        standardize="global",
    ),
    optimization=Optimization(schedule="cosine"),
    training=Training(batch_size=32, epochs=50, patience=10, checkpoint_every=5),
)
# With a predicted variance instead of 0.3, the squared errors of Ames housing's test rows are 1.8 times as large:
# columns that are almost always 0 then have nearly the whole likelihood. 0.3 has the best bound on its validation rows
# (-166.0; 0.15: -166.5; 0.6: -168.2 nats, after 60 epochs), where the squared error is 0.32 variances: the optimal
# variance is the squared error (Rybkin et al. 2021).
OWN_TABLE = Experiment(
    model=Model(likelihood="table", likelihood_variance=0.3, hidden=(128,), code_size=8, activation="gelu"),
    optimization=Optimization(learning_rate=2e-3, schedule="cosine"),
    training=Training(epochs=100, patience=30, checkpoint_every=10),
)

PRESETS: dict[str, tuple[str, Experiment]] = {**DIGITS, **IMAGES, **SPRITES, **SERIES, **DICTIONARIES_OF_DATA}


def default_for(dataset: str, autoencoder: str | None = None, family: str | None = None) -> Experiment:
    """Returns the experiment of a run without a preset: the preset DEFAULT on its own data set, or one for other data.

    Args:
      dataset: the data set of the run.
      autoencoder: the file of the user's own autoencoder, for which the experiment is always OWN; None for a built-in
        one.
      family: the family that is asked for; one that is not the preset's has none of its regularization.

    >>> default_for("mine.npy") is OWN, default_for("digits") is PRESETS[DEFAULT][1]
    (True, True)
    >>> default_for("digits", family="tied").regularization == Regularization()
    True
    """
    preset = PRESETS[DEFAULT][1]
    if autoencoder is not None:
        return OWN
    if family in DICTIONARIES:
        return own_dictionary(str(family))
    if dataset != preset.data.dataset:
        own = _own_of(dataset)
        if own is not OWN and family not in (None, own.model.family):  # it has a loss, and no likelihood
            of_family: dict[str, Any] = {"family": family, "likelihood": Model.likelihood}
            of_family |= {"likelihood_variance": Model.likelihood_variance}
            of_family |= {"loss": "table"} if own is OWN_TABLE else {}
            return replace(own, model=replace(own.model, **of_family))
        return own
    if family in (None, preset.model.family):
        return preset
    return replace(preset, regularization=Regularization())


def _own_of(dataset: str) -> Experiment:
    from aejax.datasets import image_folder  # these import NumPy, which `--help` does without
    from aejax.datasets.sources import source_of
    from aejax.datasets.tables import source as tables

    source = source_of(dataset)
    return {image_folder.SOURCE: OWN_IMAGES, tables.SOURCE: OWN_TABLE}.get(source, OWN)


def without_model(experiment: Experiment) -> Experiment:
    """Returns the experiment with the default model and regularization, as the user's own autoencoder requires."""
    return replace(experiment, model=Model(), regularization=Regularization())


def nearest_preset(experiment: Experiment) -> tuple[str | None, dict[str, Any]]:
    """Returns the preset that an experiment differs from in the fewest knobs, and the experiment's values of these.

    Args:
      experiment: any experiment.

    Returns:
      The preset's name, or None where a run without a preset is nearer; and knob -> value.

    >>> nearest_preset(PRESETS["digits-ae"][1])
    ('digits-ae', {})
    >>> from aejax.experiment.configuration import Data
    >>> nearest_preset(replace(OWN, data=Data(dataset="mine.npy")))
    (None, {'dataset': 'mine.npy'})
    """
    model = experiment.model
    bare = default_for(experiment.data.dataset, model.autoencoder, model.family)
    bases = {name: preset for name, (_, preset) in PRESETS.items()} if model.autoencoder is None else {}
    changed = {
        name: {knob: value for knob, (_, value) in differences(base, experiment).items()}
        for name, base in [*bases.items(), (None, bare)]
    }
    return min(changed.items(), key=lambda item: len(item[1]))


def training_command(experiment: Experiment) -> str:
    """Returns the command that trains an experiment: it names the nearest preset, and sets every knob that differs.

    >>> from aejax.experiment.configuration import Data
    >>> training_command(Experiment(data=Data(dataset="/my data.npy"))).partition(" train ")[2]
    "--dataset '/my data.npy' --checkpoint-every 1"
    >>> training_command(replace(PRESETS["digits-ae"][1], data=Data(split_seed=3))).partition(" train ")[2]
    'digits-ae --split-seed 3'
    """
    preset, changed = nearest_preset(experiment)
    words: list[str] = [] if preset is None else [preset]
    for knob, value in changed.items():
        flag = knob.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            values = value if isinstance(value, tuple) else [value]
            words += [f"--{flag}", *map(str, values)]
    return verb_command("train", *words)

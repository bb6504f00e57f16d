"""The experiment that a command's options change: a preset, a file of knobs, or the defaults for the user's data."""

import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from aejax.errors import UserError
from aejax.experiment.configuration import Data, Experiment
from aejax.experiment.preset_file import read_preset
from aejax.experiment.presets import DEFAULT, PRESETS, default_for, without_model
from aejax.host.exits import program
from aejax.host.suggestions import unknown

MAX_NAME = 100  # characters of a file's name that a run's name keeps
_FILE = "--preset-file"


class Base(NamedTuple):
    """The experiment that a command's options change."""

    name: str | None  # of the preset or of the file of knobs; None without either
    is_file: bool
    experiment: Experiment

    @property
    def described(self) -> str:
        """The words before the options in the first line of the help."""
        return f"[{'PRESET' if self.name is None or self.is_file else self.name}]"


def take_base(arguments: Sequence[str]) -> tuple[Base, Sequence[str]]:
    """Returns the experiment that a command's arguments name, and the arguments without a preset's name.

    Args:
      arguments: the words after the command's name. The data set, the family and the user's own autoencoder decide the
        defaults of a command without a preset.

    Raises:
      UserError: an unknown preset, a preset that is not the first word or beside a file of knobs, or an invalid file.

    >>> base, arguments = take_base(["digits-ae", "--epochs", "2"])
    >>> base.name, base.experiment.model.family, arguments
    ('digits-ae', 'undercomplete', ['--epochs', '2'])
    """
    preset = None
    if arguments and not arguments[0].startswith("-"):
        preset, *arguments = arguments
    if preset is not None and preset not in PRESETS:
        if os.path.lexists(preset):
            option = _FILE if preset.endswith(".json") else "--dataset"
            use = "to train what a file of knobs describes" if option == _FILE else "to train on your own data"
            raise UserError(f"there is no preset {preset!r}; {use} use {option} {preset}")
        raise UserError(unknown("preset", preset, PRESETS, kinds="presets"))
    values = [value for option, value in itertools.pairwise(["", *arguments]) if not option.startswith("-")]
    if preset is None and (late := [value for value in values if value in PRESETS]):
        raise UserError(f"the preset must come before all options: {program()} {late[0]} ...")
    file = value_of(_FILE, arguments)
    if preset is not None and file is not None:
        raise UserError(f"preset {preset} and {_FILE}: give only one of them")
    autoencoder = value_of("--autoencoder", arguments)
    if file is not None:
        name, experiment = Path(file).stem, read_preset(Path(file))
    elif preset is not None:
        name, experiment = preset, PRESETS[preset][1]
    else:
        dataset = value_of("--dataset", arguments) or Data.dataset
        name, experiment = None, default_for(dataset, autoencoder, value_of("--family", arguments))
    base = Base(name, file is not None, experiment if autoencoder is None else without_model(experiment))
    return base, arguments


def value_of(name: str, arguments: Sequence[str]) -> str | None:
    """Returns the value of an option that the defaults of others depend on, before parsing; None if it is not given."""
    given = [value for option, value in itertools.pairwise(arguments) if option == name]
    given += [option.partition("=")[2] for option in arguments if option.startswith(f"{name}=")]
    return given[-1] if given else None


def with_own_located(experiment: Experiment) -> Experiment:
    """Returns the experiment with an absolute path of the user's own autoencoder, if it has one."""
    model = experiment.model
    if model.autoencoder is None:
        return experiment
    return replace(experiment, model=replace(model, autoencoder=str(Path(model.autoencoder).absolute())))


def name_of(base: Base, experiment: Experiment) -> str:
    """Returns the name of a run, as a folder's name: that of its preset, file of knobs, data or autoencoder.

    Args:
      base: the experiment that the command's options changed.
      experiment: the experiment with these options.
    """
    from aejax.datasets.paths import is_array_file
    from aejax.datasets.tables.files import is_table_file

    autoencoder, dataset = experiment.model.autoencoder, experiment.data.dataset
    if autoencoder is not None and base.name is None:
        return _as_folder(Path(autoencoder).stem)
    of_base = base.experiment if base.name is not None else PRESETS[DEFAULT][1]
    if dataset != of_base.data.dataset:
        path = Path(dataset).absolute()
        return _as_folder(path.stem if is_array_file(path) or is_table_file(path) else path.name)
    if base.name is not None:
        return _as_folder(base.name)
    family = experiment.model.family
    return DEFAULT if family == default_for(dataset).model.family else _as_folder(f"{dataset}-{family}")


def _as_folder(name: str) -> str:
    """Returns the name with all characters replaced that a folder's name cannot have on some system."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-")[:MAX_NAME] or "data"

"""Loads the data that a run was trained on, from their old place or a new one, and checks that they are unchanged."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from aejax.datasets.dataset import Splits, fingerprint
from aejax.datasets.paths import is_array_file
from aejax.datasets.sources import source_of
from aejax.datasets.tables.files import is_table_file
from aejax.errors import UserError, knob_name
from aejax.experiment.configuration import Data, Experiment
from aejax.experiment.data_paths import files_of, with_files
from aejax.experiment.facts import Facts, as_older, bytes_as, check_shape, facts_of, read_facts
from aejax.experiment.loading import load_splits
from aejax.experiment.run_folder import check_data_of_run
from aejax.experiment.scaling import completed


def at_place(data: Data, place: str | Path | None) -> Data:
    """Returns the data configuration with new paths, which are absolute.

    Args:
      data: a run's data configuration, with absolute paths.
      place: for data in a file: the file, or the folder that contains it under the same name, with the other files that
        knobs name, if they are there; for a folder of pages: that folder; for a prepared data set: the new `data_dir`.
        None keeps the old paths.

    Raises:
      UserError: the place does not exist, or the data set is included in the package.

    >>> at_place(Data("fashion_mnist"), "/").data_dir
    '/'
    """
    if place is None:
        return data
    place = Path(place).absolute()
    if source_of(data.dataset).is_embedded:
        raise UserError(f"{place}: has no effect on {data.dataset}, which is included in the package: leave it out")
    if not place.exists():
        raise UserError(f"{place}: no such file or folder")
    if not Path(data.dataset).is_absolute():
        return replace(data, data_dir=str(place))
    if not is_array_file(data.dataset) and not is_table_file(data.dataset):
        return replace(data, dataset=str(place))
    file = place / Path(data.dataset).name if place.is_dir() else place

    def moved(other: str) -> str:
        beside = file.with_name(Path(other).name)
        return str(beside) if beside.exists() else other

    return replace(with_files(data, moved), dataset=str(file))


def load_data_of_run(
    path: Path,
    experiment: Experiment,
    *,
    stored: bool | None = None,
    on_read: Callable[[str, int, int], None] | None = None,
) -> tuple[Splits, Facts]:
    """Returns a run's splits, read in the same way as for training, and the facts of its training examples.

    Runs of a version without facts divided all bytes by 255; their facts are computed from the data.

    Args:
      path: the run folder.
      experiment: the run's configuration; `at_place` sets a new place of the data.
      stored: whether the examples of a .npy file stay in it, as for `load_splits`.
      on_read: as for `load_splits`.

    Raises:
      UserError: the data are missing or have changed; the facts cannot be read or belong to other examples; or
        `load_splits` refuses the data.
    """
    _check_are_there(path, experiment.data)
    saved = read_facts(path)
    splits = load_splits(experiment.data, stored=stored, bytes_as=bytes_as(saved), on_read=on_read)
    if saved is not None:
        check_shape(saved, splits.train, path)
    check_data_of_run(path, fingerprint(splits), experiment.data.dataset)
    if saved is not None and saved.examples == len(splits.train.x):
        return splits, saved
    if saved is None:
        saved = facts_of(splits.train)
        saved = as_older(saved) if experiment.model.conditional else saved
    return splits, completed(saved, experiment, splits.train)


def _check_are_there(path: Path, data: Data) -> None:
    """Raise UserError if a file or folder of the user that a run was trained on is missing."""
    for place in (data.dataset, data.data_dir, *files_of(data)):
        if place is not None and Path(place).is_absolute() and not Path(place).exists():
            raise UserError(
                f"{path}: needs the data that it was trained on, but {place} does not exist any more; give their new "
                f"place by {knob_name('data')}"
            )

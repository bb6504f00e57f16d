"""The examples that a run was trained on: read again where they were or at a new place, proved to be the same."""

from dataclasses import replace
from pathlib import Path

from aejax.datasets.dataset import Splits, fingerprint
from aejax.datasets.paths import is_array_file
from aejax.datasets.sources import source_of
from aejax.errors import UserError
from aejax.experiment.configuration import Data, Experiment
from aejax.experiment.facts import Facts, as_older, bytes_as, check_shape, facts_of, read_facts
from aejax.experiment.loading import load_splits
from aejax.experiment.run_folder import check_data_of_run
from aejax.experiment.scaling import completed


def at_place(data: Data, place: str | Path | None) -> Data:
    """Returns the same data at another place, as whole paths.

    Args:
      data: of a run, its files by their whole paths.
      place: of a run on a file, that file, or the folder that it lies in under its name, with the file of its labels
        if there is one; of a run on a folder of pages, that folder; of a set that is prepared, what the set lies in, as
        for `data_dir`. None leaves the data where they are.

    Raises:
      UserError: nothing of that name, or a run on digits, which come with the package.

    >>> at_place(Data("fashion_mnist"), "/").data_dir
    '/'
    """
    if place is None:
        return data
    place = Path(place).absolute()
    if source_of(data.dataset).is_embedded:
        raise UserError(f"{place}: is no place for {data.dataset}, which come with the package: leave it out")
    if not place.exists():
        raise UserError(f"{place}: no such file or folder")
    if not Path(data.dataset).is_absolute():
        return replace(data, data_dir=str(place))
    if not is_array_file(data.dataset):
        return replace(data, dataset=str(place))
    file = place / Path(data.dataset).name if place.is_dir() else place
    labels = data.labels
    if labels is not None and (beside := file.with_name(Path(labels).name)).exists():
        labels = str(beside)
    return replace(data, dataset=str(file), labels=labels)


def load_data_of_run(path: Path, experiment: Experiment, *, stored: bool | None = None) -> tuple[Splits, Facts]:
    """Returns the data of the run in a folder, read as they were in training, and the facts of its training examples.

    A run of a version that wrote no facts divided all bytes by 255; its facts are made from its data.

    Args:
      path: the run folder.
      experiment: of the run, whose data are where they were or, by `at_place`, where they are now.
      stored: whether the examples of a .npy file stay in it, as for `load_splits`.

    Raises:
      UserError: data that are not there any more or have changed; facts that cannot be read, or that are of other
        examples; and all that `load_splits` refuses.
    """
    _check_are_there(path, experiment.data)
    saved = read_facts(path)
    splits = load_splits(experiment.data, stored=stored, bytes_as=bytes_as(saved))
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
    """Raise UserError where files or folders of the user that a run was trained on are not there."""
    for place in (data.dataset, data.labels, data.data_dir):
        if place is not None and Path(place).is_absolute() and not Path(place).exists():
            raise UserError(
                f"{path}: needs the examples that it was trained on, {place}, which is not there any more; give their "
                "new place by --data NEW"
            )

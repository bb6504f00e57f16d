"""What a trained run is used on: the user's files, checked against the run, and runs, checked against a function."""

from functools import partial
from pathlib import Path

from aejax.autoencoders import part_names
from aejax.datasets.arrays import load_arrays
from aejax.datasets.byte_values import BytesAs, ByteValues
from aejax.datasets.dataset import Dataset, sampled_blocks
from aejax.datasets.stored import StoredArray
from aejax.errors import UserError
from aejax.experiment.facts import Values, list_labels, unseen_labels
from aejax.experiment.familiarity import check_scale
from aejax.experiment.trained import TrainedRun
from aejax.likelihoods import check_support


def check_kind(run: TrainedRun, fits: bool, expected: str, *, what: str) -> None:
    """Raise UserError where a run is not of the kind that a function expects.

    Args:
      run: which was named by the user.
      fits: whether the function can use it.
      expected: what it can use, in words, such as `a variational run`.
      what: the function, in words.
    """
    if not fits:
        kind = f"{' and '.join(part_names(run.autoencoder.parts))} on {run.experiment.data.dataset}"
        raise UserError(f"{run.path}: {what} expects {expected}, and this run is {kind}")


def check_no_pairs(run: TrainedRun, *, what: str) -> None:
    """Raise UserError where the encoder is given other examples than it reconstructs: PCA cannot be compared then."""
    expected = "a run whose encoder is given what it is to reconstruct, not pairs"
    check_kind(run, run.facts.inputs is None, expected, what=what)


def load_examples(
    run: TrainedRun, path: str | Path, labels: str | Path | None = None, *, clean: bool = False, any_scale: bool = False
) -> Dataset:
    """Examples of the user's for a run, from a .npy or .npz file; axes of length 1 may be missing or too many.

    Bytes are read as those that the run was trained on. Where it was trained on no bytes they are taken as they are
    or, where it was trained on numbers in [0, 1], as `load_arrays` decides by their values.

    Args:
      run: that takes them.
      path: the file.
      labels: of a conditional run, a .npy file.
      clean: whether they are such as are reconstructed, of a run on pairs, and not the noisy ones.
      any_scale: take them though they seem to be in another unit than the training data.

    Raises:
      UserError: what `load_arrays` refuses, examples of another shape than the run was trained on or, as far as
        `check_scale` can see, in another unit; fractions for a likelihood of whole numbers; or, of a conditional run,
        labels that are missing or that it does not know.
    """
    path, labels = Path(path), None if labels is None else Path(labels)
    facts = run.facts
    expected = facts.targets if clean else facts.seen
    bytes_as = BytesAs(_bytes_at_use(expected), _bytes_at_use(facts.seen))
    dataset = load_arrays(path, labels, bytes_as=bytes_as)
    shape, wanted = dataset.x.shape[1:], run.example_shape
    if _without_ones(shape) != _without_ones(wanted):
        is_channels_first = len(wanted) == 3 and (*shape[1:], *shape[:1]) == wanted
        advice = "; channels come last: save numpy.moveaxis(x, 1, -1)" if is_channels_first else ""
        raise UserError(
            f"{path}: examples have shape {shape}, and {run.path} was trained on examples of {wanted}{advice}"
        )
    _check_classes(run, dataset, path)
    distributions = run.autoencoder.variational
    if distributions is not None and distributions.likelihood.support.integers:
        for block in sampled_blocks(dataset.x):
            check_support(distributions.likelihood, block, str(path), advice="give counts, as the run was trained on")
    if not any_scale:
        corruption = run.experiment.regularization
        unit = 1.0 if facts.scaling is None else max(facts.scaling.scale)
        noise = unit * corruption.corruption_level if corruption.corruption == "gaussian_noise" else 0.0
        check = partial(check_scale, run=str(run.path), noise=noise)
        if dataset.input is not None:
            check(dataset.input, dataset.stored_input, facts.seen, name=f"{path}, input")
            expected = facts.targets
        check(dataset.x, dataset.stored, expected, name=str(path))
    if shape == wanted:
        return dataset
    if isinstance(dataset.x, StoredArray):
        dataset = load_arrays(path, labels, stored=False, bytes_as=bytes_as)
    observed = None if dataset.input is None else dataset.input.reshape(-1, *wanted)
    return dataset._replace(x=dataset.x.reshape(-1, *wanted), input=observed)


def _bytes_at_use(trained_on: Values) -> ByteValues:
    """What bytes in a file for a run stand for, whose numbers were these."""
    if trained_on.dtype == "uint8":
        return "scaled" if trained_on.divided_by == 255 else "as_is"
    return "auto" if trained_on.low >= 0 and trained_on.high <= 1 else "as_is"


def load_codes(run: TrainedRun, path: str | Path, labels: str | Path | None = None) -> Dataset:
    """Codes to decode, from a .npy or .npz file.

    Raises:
      UserError: what `load_arrays` refuses, codes of another shape than the run's, or, of a conditional run, labels
        that are missing or that it does not know.
    """
    path, labels = Path(path), None if labels is None else Path(labels)
    codes = load_arrays(path, labels, bytes_as=BytesAs("as_is", "as_is"))
    shape, wanted = codes.x.shape[1:], run.code_shape
    if shape != wanted:
        raise UserError(f"{path}: codes have shape {shape}, and those of {run.path} have {wanted}")
    _check_classes(run, codes, path)
    return codes


def _check_classes(run: TrainedRun, dataset: Dataset, path: Path) -> None:
    """Raise UserError where a conditional run is given labels that it was not trained on."""
    if run.experiment.model.conditional and dataset.labels is not None:
        classes = run.facts.classes or ()
        if unseen := unseen_labels(dataset.labels, classes):
            raise UserError(
                f"{path}: {run.path} was trained on {list_labels(classes)}, and there are labels of "
                f"{list_labels(unseen)}"
            )
    run.conditions_of(dataset)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)

"""Checks that the user's files match a trained run, and that a run is of the kind that a function expects."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from aejax.autoencoders import part_names
from aejax.datasets.activations.source import is_activations, load_activations
from aejax.datasets.arrays import load_arrays, load_labels
from aejax.datasets.byte_values import BytesAs, ByteValues
from aejax.datasets.channels import channels_last, has_channels_first
from aejax.datasets.dataset import Dataset, sampled_blocks
from aejax.datasets.image_folder import form_of, load_images
from aejax.datasets.images import FORMATS
from aejax.datasets.sequence_folder import load_folder
from aejax.datasets.sequences import has_padding, real_steps, with_steps
from aejax.datasets.stored import StoredArray
from aejax.datasets.tables.columns import UnknownCategories
from aejax.datasets.tables.files import check_polars
from aejax.errors import UserError, knob_name
from aejax.experiment.facts import Values
from aejax.experiment.familiarity import check_scale
from aejax.experiment.given import load_given, whole_shape, without_half
from aejax.experiment.labels import list_labels, unseen_labels
from aejax.experiment.trained import TrainedRun
from aejax.likelihoods import check_support


def check_kind(run: TrainedRun, fits: bool, expected: str, *, what: str) -> None:
    """Raise UserError if a run is not of the kind that a function expects.

    Args:
      run: the run.
      fits: whether the function can use the run.
      expected: what the function can use, for the message, such as `a variational run`.
      what: the name of the function, for the message.
    """
    if not fits:
        kind = f"{' and '.join(part_names(run.autoencoder.parts))} on {run.experiment.data.dataset}"
        raise UserError(f"{run.path}: {what} expects {expected}, but this run is {kind}")


def check_no_table(run: TrainedRun, *, what: str) -> None:
    """Raise UserError if a run is on a table, whose values have no common unit, or on padded sequences."""
    check_no_padding(run, what=what)
    expected = "a run on examples of one unit, not on a table, which `aejax report` compares with PCA and FAMD"
    check_kind(run, run.facts.columns is None, expected, what=what)


def check_no_padding(run: TrainedRun, *, what: str) -> None:
    """Raise UserError if a run is on sequences of unequal length."""
    check_kind(run, run.facts.lengths is None, "a run on examples of one length, not on padded sequences", what=what)


def check_no_pairs(run: TrainedRun, *, what: str) -> None:
    """Raise UserError if a run's inputs and targets differ, since PCA cannot be compared then."""
    expected = "a run whose inputs are its targets, not pairs"
    check_kind(run, run.facts.inputs is None, expected, what=what)


def load_examples(
    run: TrainedRun,
    path: str | Path,
    labels: str | Path | None = None,
    *,
    clean: bool = False,
    any_scale: bool = False,
    unknown_categories: UnknownCategories | None = None,
) -> Dataset:
    """Returns the examples in the user's .npy or .npz file, folder of images or image, in the shape that a run expects.

    For a run on a table, the file is a table with the same columns, and `labels` the name of a column.

    Images are brought to the run's size and colors as in its training, if it was trained on a folder of images. Shapes
    may differ by axes of length 1, and channels may come first. Bytes are read as in the run's training. If the run was
    not trained on bytes, they are not divided; but if it was trained on values in [0, 1], `load_arrays` decides by the
    bytes' values.

    Args:
      run: the run.
      path: the file or folder.
      labels: a .npy file of labels, for a conditional run; None for those in the file, or the names of subfolders.
      clean: for a run on pairs: whether the examples are targets (clean), not inputs (noisy).
      any_scale: accept examples that seem to be in another unit than the training data.
      unknown_categories: for a table: as for `load_rows`.

    Raises:
      UserError: `load_arrays` refuses the file; the examples have another shape than the training data or, according to
        `check_scale`, another unit; fractions, if the likelihood is one of counts; labels that are missing or unknown,
        if the run is conditional.
    """
    path = Path(path)
    if run.facts.columns is not None:
        check_polars()
        from aejax.experiment.tables_at_use import load_rows  # with polars, which only tables need

        column = None if labels is None else str(labels)
        dataset = load_rows(run, path, column, unknown_categories=unknown_categories)
        _check_classes(run, dataset, path)
        return dataset
    labels = None if labels is None else Path(labels)
    facts = run.facts
    expected = facts.targets if clean else facts.encoder_inputs
    bytes_as = BytesAs(_bytes_at_use(expected), _bytes_at_use(facts.encoder_inputs))
    trained_shape = whole_shape(facts)
    names = () if facts.given is None or facts.given.half is not None else facts.given.names
    load: Callable[..., Dataset] = partial(load_arrays, bytes_as=bytes_as, condition=names)
    if path.is_dir() and facts.lengths is not None:
        load = load_folder
    elif is_activations(str(path)):
        load = partial(_load_activations, run)
    elif path.is_dir() or path.suffix.lower() in FORMATS:
        load = partial(_load_images, run)
    dataset = load(path, labels)
    if len(dataset.x.shape) > 1 and facts.lengths is not None and dataset.x.shape[1] < trained_shape[0]:
        dataset = dataset._replace(x=with_steps(np.asarray(dataset.x), trained_shape[0]))
    if facts.lengths is None and has_padding(dataset.x):
        steps = trained_shape[0]
        raise UserError(f"{path}: holds padded sequences, but all that {run.path} was trained on have {steps:,} steps")
    shape = dataset.x.shape[1:]
    if shape != trained_shape and (*shape[1:], *shape[:1]) == trained_shape and has_channels_first(shape):
        inputs = None if dataset.input is None else channels_last(dataset.input)
        dataset, shape = dataset._replace(x=channels_last(dataset.x), input=inputs), trained_shape
    if _without_ones(shape) != _without_ones(trained_shape):
        raise UserError(
            f"{path}: examples have shape {shape}, but {run.path} was trained on examples of shape {trained_shape}"
        )
    if run.facts.given is None:
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
            check(dataset.input, dataset.stored_input, facts.encoder_inputs, name=f"{path}, input")
            expected = facts.targets
        real = dataset.x if facts.lengths is None else real_steps(np.asarray(dataset.x))
        check(real, dataset.stored, expected, name=str(path))
    if shape == trained_shape:
        return without_half(facts, dataset, str(path))
    if isinstance(dataset.x, StoredArray):
        dataset = load(path, labels, stored=False)
    inputs = None if dataset.input is None else dataset.input.reshape(-1, *trained_shape)
    dataset = dataset._replace(x=dataset.x.reshape(-1, *trained_shape), input=inputs)
    return without_half(facts, dataset, str(path))


def _load_activations(run: TrainedRun, path: Path, labels: Path | None, *, stored: bool | None = None) -> Dataset:
    """Returns the rows of a folder of activations that the run's knobs of positions and norms keep."""
    data = run.experiment.data
    dataset = load_activations(path, skip_positions=data.skip_positions, max_norm=data.max_norm, stored=stored).dataset
    return dataset if labels is None else dataset._replace(labels=load_labels(labels, len(dataset.x)))


def _load_images(run: TrainedRun, path: Path, labels: Path | None, *, stored: bool | None = None) -> Dataset:
    """Returns the images in a folder, or one image, in the form that a run expects."""
    data, shape = run.experiment.data, whole_shape(run.facts)
    channels = shape[2] if len(shape) == 3 else 1
    if len(shape) not in (2, 3) or channels not in (1, 3):
        raise UserError(f"{path}: holds images, but {run.path} was trained on examples of shape {shape}")
    size = None if data.image_size is None else shape[:2]
    form = form_of(
        image_size=size, resize=data.resize, background=data.background, color="gray" if channels == 1 else "rgb"
    )
    folder, paths = (path, None) if path.is_dir() else (path.parent, [path])
    dataset = load_images(folder, form, paths=paths, stored=stored)
    return dataset if labels is None else dataset._replace(labels=load_labels(labels, len(dataset.x)))


def _bytes_at_use(trained_on: Values) -> ByteValues:
    """Returns how to read bytes in a file for a run that was trained on these values."""
    if trained_on.dtype == "uint8":
        return "scaled" if trained_on.divided_by == 255 else "as_is"
    return "auto" if trained_on.low >= 0 and trained_on.high <= 1 else "as_is"


def load_codes(
    run: TrainedRun, path: str | Path, labels: str | Path | None = None, *, given: str | Path | None = None
) -> Dataset:
    """Returns the codes (N, ...code) in a .npy or .npz file, to be decoded by a run.

    Args:
      run: the run.
      path: the file.
      labels: a .npy file of labels, for a conditional run.
      given: a file of conditions, for a run that is conditioned on numbers, as for `load_given`.

    Raises:
      UserError: `load_arrays` refuses the file; the codes have another shape than the run's; labels that are missing or
        unknown, if the run is conditional.
    """
    path, labels = Path(path), None if labels is None else Path(labels)
    codes = load_arrays(path, labels, bytes_as=BytesAs("as_is", "as_is"))
    shape, code_shape = codes.x.shape[1:], run.code_shape
    if shape != code_shape:
        raise UserError(f"{path}: codes have shape {shape}, but those of {run.path} have shape {code_shape}")
    codes = with_given(run, codes, given)
    _check_classes(run, codes, path)
    return codes


def with_given(run: TrainedRun, codes: Dataset, given: str | Path | None) -> Dataset:
    """Returns codes with the conditions in the user's file; without a file they are returned unchanged.

    Raises:
      UserError: the file cannot be read, holds another number of conditions, or the run has no such condition.
    """
    if given is None:
        return codes
    check_given(run, what=knob_name("given"))
    condition = load_given(run.facts, Path(given))
    if len(condition) != len(codes.x):
        raise UserError(f"{given}: expected the conditions of {len(codes.x):,} codes, got {len(condition):,}")
    return codes._replace(condition=condition)


def check_given(run: TrainedRun, *, what: str) -> None:
    """Raise UserError unless a run is conditioned on numbers, an image or columns of a table."""
    expected = f"a run that was trained with {knob_name('condition')}"
    check_kind(run, run.facts.given is not None, expected, what=what)


def _check_classes(run: TrainedRun, dataset: Dataset, path: Path) -> None:
    """Raise UserError if a conditional run was not trained on some of the labels, or if labels are missing."""
    if run.experiment.model.conditional and dataset.labels is not None:
        classes = run.facts.classes or ()
        if unseen := unseen_labels(dataset.labels, classes):
            raise UserError(
                f"{path}: {run.path} was trained on {list_labels(classes)}, but there are labels of "
                f"{list_labels(unseen)}"
            )
    run.conditions_of(dataset)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)

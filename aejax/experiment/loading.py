"""Loads and splits the examples that a configuration names, and checks them against the model."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Array

from aejax import likelihoods
from aejax.autoencoders import Examples
from aejax.datasets import documents
from aejax.datasets.byte_values import BytesAs
from aejax.datasets.dataset import AsStored, Dataset, Splits, sampled_blocks
from aejax.datasets.halves import HALVES
from aejax.datasets.sequences import has_padding
from aejax.datasets.source import Request, Source
from aejax.datasets.sources import source_of, sources
from aejax.datasets.treatment import Treatment, check_treatable, treated
from aejax.errors import ArgumentError, UserError, knob_name
from aejax.experiment.configuration import Data, Experiment, Model, has_counts, uses_table
from aejax.experiment.data_paths import with_files
from aejax.experiment.dictionary_knobs import DICTIONARIES
from aejax.experiment.facts import MAX_CLASSES, Facts, describe_bytes, facts_of
from aejax.experiment.given import encode_given, encoded_shape, no_condition, with_half_given
from aejax.experiment.labels import list_labels, positions_of, unseen_labels
from aejax.experiment.objective import as_likelihood_columns, build_likelihood
from aejax.likelihoods import check_support
from aejax.likelihoods.table_rows import check_rows


def load_splits(
    data: Data,
    *,
    stored: bool | None = None,
    bytes_as: BytesAs | None = None,
    on_read: Callable[[str, int, int], None] | None = None,
) -> Splits:
    """Returns training, validation and test examples, which are disjoint and depend only on the split seed.

    Args:
      data: the configuration of the data.
      stored: whether the examples of a .npy file stay in it; None to decide by their size, as `load_arrays` does.
      bytes_as: how to read bytes in the user's file; None to follow `data.byte_values`.
      on_read: called with what is done, how much of it, and of how much, while data are read.

    Raises:
      UserError: a knob that has no effect on this data set, or data that cannot be loaded.
    """
    source = source_of(data.dataset)
    _check_knobs(data, source)
    is_half = len(data.condition) == 1 and data.condition[0] in HALVES
    request = request_of(data)._replace(stored=stored, bytes_as=bytes_as, on_read=on_read)
    if data.condition and not is_half:
        if not source.has_conditions:
            raise ArgumentError(
                "condition",
                f"expects columns of a table, entries of a .npz file, or one of {', '.join(HALVES)} of images, got "
                f"{' '.join(data.condition)} for {data.dataset}",
            )
        request = request._replace(condition=data.condition)
    splits = source.load(request, **{name: getattr(data, name) for name in source.knobs})
    splits = _treated(splits, treatment_of(data), data.dataset)
    return with_half_given(splits, data.condition[0], name=data.dataset) if is_half else splits


def treatment_of(data: Data) -> Treatment:
    """Returns how the configuration binarizes or dequantizes the examples."""
    return Treatment(data.binarize, data.dequantize, data.levels, data.noise_seed)


def _treated(splits: Splits, treatment: Treatment, dataset: str) -> Splits:
    """Returns the splits with everything drawn that is drawn once; the loop of training draws the rest."""
    parts = splits._asdict()
    if treatment.is_drawn_anew:
        check_treatable(parts.pop("train"), treatment, name=dataset)
    drawn = {split: treated(part, treatment, split=split, name=dataset) for split, part in parts.items()}
    return splits._replace(**drawn)


def as_evaluated(splits: Splits, data: Data) -> Splits:
    """Returns splits as they are evaluated: training examples that are drawn anew in every epoch are drawn once.

    So training examples are of the distribution of the other splits, wherever the two are compared.
    """
    treatment = treatment_of(data)
    if not treatment.is_drawn_anew:
        return splits
    return splits._replace(train=treated(splits.train, treatment, split="train", name=data.dataset))


def request_of(data: Data) -> Request:
    """Returns the request to the source of the data."""
    return Request(
        data.dataset,
        data_dir=None if data.data_dir is None else Path(data.data_dir),
        validation_fraction=data.validation_fraction,
        test_fraction=data.test_fraction,
        seed=data.split_seed,
    )


def names_of_classes(data: Data, facts: Facts | None = None) -> dict[int | str | None, str]:
    """Returns the names of classes by label, as far as the data set or the facts of a run hold them.

    >>> names_of_classes(Data("ecg5000"))[1], names_of_classes(Data("digits"))
    ('normal', {})
    """
    source = source_of(data.dataset)
    of_source = {} if source.class_names is None else source.class_names(request_of(data))
    names: dict[int | str | None, str] = dict(of_source.items())
    if facts is not None and facts.classes is not None and facts.class_names is not None:
        names |= dict(zip(facts.classes, facts.class_names, strict=True))
    return names


def _check_knobs(data: Data, source: Source) -> None:
    """Raise UserError for a knob that differs from its default although the data's source does not use it."""
    changed = [field.name for field in fields(Data) if getattr(data, field.name) != field.default]
    for name in changed:
        users = [other.title for other in sources() if name in other.knobs]
        if users and name not in source.knobs:
            raise ArgumentError(name, f"requires {' or '.join(users)}, but the dataset is {data.dataset}")
        if name in source.fixed:
            raise ArgumentError(name, f"has no effect on {data.dataset}, which has fixed splits")


def bytes_of(experiment: Experiment) -> BytesAs:
    """Returns how a new run reads bytes in the user's file; bytes for a likelihood of counts are never divided."""
    byte_values = "as_is" if has_counts(experiment.model) else experiment.data.byte_values
    return BytesAs(byte_values, byte_values)


def load_page_splits(data: Data) -> documents.PageSplits | None:
    """Returns the whole images that the examples are cut from, in the same splits; None if the data are not cut."""
    load_whole = source_of(data.dataset).load_whole
    return None if load_whole is None else load_whole(request_of(data))


def locate(data: Data) -> Data:
    """Returns the data configuration with absolute paths, so that the run can be continued from any folder."""
    source = source_of(data.dataset)
    is_path = source.reads_paths and data.dataset != source.name
    dataset = str(Path(data.dataset).absolute()) if is_path else data.dataset
    data_dir = None if data.data_dir is None else str(Path(data.data_dir).absolute())
    return replace(with_files(data, lambda file: str(Path(file).absolute())), dataset=dataset, data_dir=data_dir)


def notes_on(train: Dataset, facts: Facts, dataset: str) -> list[str]:
    """Returns lines for the user on how data were read: columns, bytes, axes, a constant alpha channel."""
    notes = [*train.notes, *([] if (note := describe_bytes(facts, dataset)) is None else [note])]
    if train.stored is not None and train.stored.channels_first:
        height, width, channels = facts.shape
        notes.append(
            f"{dataset}: examples {(channels, height, width)} are images with channels first, read as "
            f"{(height, width, channels)} ({knob_name('channels last')} keeps their axes)"
        )
    if len(facts.shape) == 3 and facts.shape[2] == 4:
        alpha = train.x[0][0, 0, 3]
        if all(np.all(block[..., 3] == alpha) for block in sampled_blocks(train.x)):
            notes.append(
                f"{dataset}: the fourth channel is {alpha:g} everywhere, like the alpha channel of opaque RGBA images; "
                "it is learned like the others: save x[..., :3] to leave it out"
            )
    return notes


def conditions_of(model: Model, dataset: Dataset, facts: Facts) -> tuple[np.ndarray, ...]:
    """Returns the conditions of a model as one array: (N,), k for the label `facts.classes[k]`, or numbers (N, ...).

    Args:
      model: the configuration of the model.
      dataset: N examples with labels.
      facts: the facts of the training examples.

    Returns:
      A tuple of that array; an empty tuple if the model is not conditional.

    Raises:
      UserError: labels are missing, or no training example has them.
    """
    if facts.given is not None:
        if dataset.condition is None:
            raise no_condition()
        return (encode_given(facts.given, dataset.condition),)
    if not model.conditional:
        return ()
    if dataset.labels is None:
        raise _no_labels()
    return (positions_of(dataset.labels, known_classes(facts), name="conditional"),)


def _no_labels() -> UserError:
    given = f"give them by {knob_name('labels')}, or as the entry labels of a .npz file"
    return ArgumentError("conditional", f"the data have no labels; {given}")


def known_classes(facts: Facts) -> tuple[int | str | None, ...]:
    """Returns the classes of a conditional model; UserError if there are no labels, or too many distinct labels."""
    if facts.classes is not None:
        return facts.classes
    if facts.distinct_labels is None:
        raise _no_labels()
    raise UserError(
        f"conditional: expected at most {MAX_CLASSES:,} classes, got {facts.distinct_labels:,} distinct labels of "
        f"{facts.examples:,} examples, which seem to be identifiers; give classes by {knob_name('labels')}"
    )


def as_examples(model: Model, dataset: Dataset, facts: Facts) -> Examples:
    """Returns a split in the form that training and evaluation expect."""
    known = conditions_of(model, dataset, facts)
    x, inputs, *conditions = (cast(Array, a) for a in (dataset.x, dataset.input, *known))
    return Examples(x, inputs, *conditions)


def example_of(model: Model, facts: Facts) -> tuple[Any, ...]:
    """Returns an example of zeros and, for a conditional model, a class, from which parameters are initialized.

    >>> from aejax.experiment.facts import facts_of
    >>> facts = facts_of(Dataset(np.ones((3, 2), np.float32), np.array(["cat", "dog", "cat"])))
    >>> example_of(Model(conditional=True), facts)
    (array([0., 0.], dtype=float32), np.int32(0))
    """
    condition: tuple[Any, ...] = (np.int32(0),) if model.conditional else ()
    if facts.given is not None:
        condition = (np.zeros(encoded_shape(facts.given), np.float32),)
    return (np.zeros(facts.shape, np.float32), *condition)


def check_is_table(model: Model, train: Dataset, dataset: str) -> None:
    """Raise UserError if the data are a table and the model's loss or likelihood is not, or the other way round."""
    if model.autoencoder is not None or (train.columns is not None) == uses_table(model):
        return
    knob = "likelihood" if model.family == "variational" else "loss"
    if train.columns is None:
        expected = "a table with named columns, such as a .csv file"
        raise ArgumentError(
            knob, f"table expects {expected}, but {dataset} holds examples of shape {train.x.shape[1:]}"
        )
    if model.family == "tied":
        raise ArgumentError("family", f"tied has no loss for the columns of a table, {dataset}: use undercomplete")
    value = getattr(model, knob)
    advice = f"use {knob_name(f'{knob} table')}"
    raise ArgumentError(knob, f"{value} expects numbers of one kind, but {dataset} is a table of several: {advice}")


def check_data(model: Model, splits: Splits, dataset: str, facts: Facts | None = None) -> None:
    """Raise UserError for examples outside the support of the loss or the likelihood, or of an unknown class.

    Examples are read a block at a time. Of more than 1 GiB only a sample is checked here; a likelihood also
    checks streamed examples when they are read.

    Args:
      model: the configuration of the model.
      splits: the data.
      dataset: what messages call the data.
      facts: the facts of the training examples; None to compute them.
    """
    if model.conditional:
        facts = facts_of(splits.train) if facts is None else facts
        classes = known_classes(facts)
        for part in splits[1:]:
            if part.labels is None:
                raise UserError("conditional: held-out examples have no labels")
            if unseen := unseen_labels(part.labels, classes):
                are = "is" if len(unseen) == 1 else "are"
                raise UserError(
                    f"conditional: {list_labels(unseen)} {are} held out, but training examples have labels of "
                    f"{list_labels(classes)}; try another {knob_name('split_seed')}"
                )
    if model.autoencoder is not None:
        return  # its likelihood, if it has one, is checked in training
    check_is_table(model, splits.train, dataset)
    if splits.train.columns is not None:
        columns = as_likelihood_columns(splits.train.columns)
        for part in splits:
            for block in sampled_blocks(part.x):
                check_rows(columns, block, dataset)
        return
    _check_padding(model, splits, dataset, has_padding(splits.train.x) if facts is None else facts.lengths is not None)
    if model.family == "variational":
        likelihood, other = build_likelihood(model), knob_name("likelihood gaussian")
        if facts is not None and facts.targets.integers and facts.targets.low >= 0 and not has_counts(model):
            other = f"{knob_name('likelihood poisson')} if they are counts, else {knob_name('likelihood gaussian')}"
    elif model.loss == "binary_cross_entropy":
        likelihood, other = likelihoods.bernoulli()._replace(name=model.loss), knob_name("loss squared_error")
    elif model.output_activation == "sigmoid":
        likelihood, other = (
            likelihoods.bernoulli()._replace(name="a sigmoid output"),
            knob_name("output_activation none"),
        )
    else:
        return
    for part in splits:
        are_bytes = part.stored == AsStored("uint8", 1)
        scale = f"use {knob_name('byte_values scaled')} if they are gray values" if are_bytes else "scale them"
        low, high, fractions = np.inf, -np.inf, np.empty(0, np.float32)
        for block in sampled_blocks(part.x):
            low = min(low, float(np.fmin.reduce(block, axis=None)))  # which ignores the NaN of padding
            high = max(high, float(np.fmax.reduce(block, axis=None)))
            if likelihood.support.integers and not fractions.size:
                fractions = block[(block != np.round(block)) & ~np.isnan(block)][:1]
        check_support(likelihood, np.array([low, high, *fractions]), dataset, advice=f"{scale}, or use {other}")


def _check_padding(model: Model, splits: Splits, dataset: str, is_padded: bool) -> None:
    """Raise UserError for padded sequences that the model or its training examples do not allow for."""
    if not is_padded:
        if any(has_padding(part.x) for part in splits[1:]):
            raise UserError(
                f"{dataset}: all training sequences have {splits.train.x.shape[1]:,} steps, but held-out ones are "
                f"shorter; try another {knob_name('split_seed')}"
            )
        return
    if model.family == "tied" or model.family in DICTIONARIES:
        raise ArgumentError("family", f"{model.family} cannot read padded sequences, {dataset}: use undercomplete")
    if model.family != "variational" and model.loss == "structural_dissimilarity":
        raise ArgumentError("loss", f"structural_dissimilarity has no meaning for padded sequences, {dataset}")
    if model.code_size is None:
        raise ArgumentError("code_size", f"padded sequences, {dataset}, require a code that is a vector")

"""From an experiment's configuration to its data, its autoencoder and its optimizer."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from aejax import augmentation, autoencoders, corruption, likelihoods, losses, priors, schedules
from aejax.autoencoders import Autoencoder, Examples
from aejax.autoencoders.record import as_batch
from aejax.configuration import Data, Experiment, Model, Regularization, Training, can_standardize, has_counts
from aejax.datasets.arrays import BytesAs, load_arrays
from aejax.datasets.dataset import AsStored, Dataset, Splits, sampled_blocks, split
from aejax.datasets.digits import load_digits
from aejax.datasets.documents import PAGES, PageSplits, crop_pages, folder_of_pages, load_pages, split_pages
from aejax.datasets.ecg5000 import load_ecg5000, normal_beats
from aejax.datasets.jsb_chorales import load_jsb_chorales
from aejax.datasets.paths import is_array_file
from aejax.datasets.tfds import load_tfds
from aejax.errors import IncompatibleError, UserError
from aejax.facts import MAX_CLASSES, Facts, describe_bytes, facts_of, list_labels, positions_of, some_of, unseen_labels
from aejax.likelihoods import Likelihood, check_support, constrain
from aejax.memory import check_fits, largest_array
from aejax.networks import (
    MLP,
    ConvDecoder,
    ConvEncoder,
    SequenceDecoder,
    SequenceEncoder,
    UNetDecoder,
    UNetEncoder,
    computing_in,
    followed_by,
    preceded_by,
    rematerialized,
    with_global_log_variance,
)
from aejax.networks.network import SupportsInitApply
from aejax.networks.reach import conv_reach, unet_reach
from aejax.scaling import is_far, make_facts
from aejax.schema import MAX_STEPS
from aejax.standardization import Standardization, standardization
from aejax.training.devices import AXIS

ACTIVATIONS = {name: getattr(jax.nn, name) for name in ("relu", "sigmoid", "elu", "gelu", "silu", "softplus")}
ACTIVATIONS["tanh"] = jnp.tanh
_VARIANCE_GAIN = 10.0  # how many times faster than a weight Adam moves a learned global log-variance
_ABSURD = 100.0  # times the loss of predicting the mean, or so many nats per feature
_CONSTANT_EXAMPLES = 1000
_WIDE = 4096  # inputs of a dense layer
_KNOB_OF_PART = {
    "conditional": "--conditional",
    "contractive": "--contractive-weight",
    "importance_weighted": "--importance-samples",
    "mmd_regularized": "--mmd-weight",
    "sparse": "--sparse-weight",
    "sparse_kl": "--sparse-kl-weight",
    "standardized": "--standardize",
    "total_correlation_penalized": "--total-correlation-weight",
    "beta": "--beta",
    "free_bits": "--free-bits",
    "mixture_prior": "--prior mixture",
    "vamp_prior": "--prior vamp",
    "k_sparse": "--family k_sparse",
    "tied": "--family tied",
    "variational": "--family variational",
}
LOSSES = {
    loss.__name__: loss
    for loss in (
        losses.squared_error,
        losses.absolute_error,
        losses.huber,
        losses.binary_cross_entropy,
        losses.structural_dissimilarity,
    )
}


_CHANNELS = (1, 3, 4)  # of images
_FIXED = {  # knobs of the division that a data set leaves nothing to
    "ecg5000": ("test_fraction",),
    "jsb_chorales": ("validation_fraction", "test_fraction", "split_seed"),
}


def load_splits(data: Data, *, stored: bool | None = None, bytes_as: BytesAs | None = None) -> Splits:
    """Train, validation and test examples, disjoint and fixed by the split seed.

    Args:
      data: which.
      stored: whether the examples of a .npy file stay in it; None leaves it to their size, as `load_arrays` does.
      bytes_as: what bytes in a file of the user's stand for; None leaves it to `data.byte_values`.
    """
    path = Path(data.dataset)
    is_file = is_array_file(path)
    for knob in () if is_file else ("labels", "byte_values"):
        if getattr(data, knob) != getattr(Data, knob):
            raise UserError(f"{knob}: goes with a file of your own, and the dataset is {data.dataset}")
    for knob in _FIXED.get(data.dataset, ()):
        if getattr(data, knob) != getattr(Data, knob):
            raise UserError(f"{knob}: has no effect on {data.dataset}, which comes divided")
    if data.dataset == "ecg5000":
        beats = load_ecg5000(None if data.data_dir is None else Path(data.data_dir))
        return normal_beats(beats, validation_fraction=data.validation_fraction, seed=data.split_seed)
    if data.dataset == "jsb_chorales":
        return load_jsb_chorales(None if data.data_dir is None else Path(data.data_dir), steps=data.window)
    if data.window != Data.window:
        raise UserError(f"window: goes with the dataset jsb_chorales, and the dataset is {data.dataset}")
    if (pages := load_page_splits(data)) is not None:
        return crop_pages(pages, crop=data.crop, crops_per_page=data.crops_per_page, seed=data.split_seed)
    for knob in ("crop", "crops_per_page"):
        if getattr(data, knob) != getattr(Data, knob):
            raise UserError(f"{knob}: goes with the dataset documents, and the dataset is {data.dataset}")
    if data.dataset != "digits" and not is_file:
        return load_tfds(
            data.dataset,
            data_dir=None if data.data_dir is None else Path(data.data_dir),
            validation_fraction=data.validation_fraction,
            test_fraction=data.test_fraction,
            seed=data.split_seed,
        )
    labels = None if data.labels is None else Path(data.labels)
    if bytes_as is None:
        bytes_as = BytesAs(data.byte_values, data.byte_values)
    dataset = load_arrays(path, labels, stored=stored, bytes_as=bytes_as) if is_file else load_digits()
    _check_fractions(data)
    fractions = (data.validation_fraction, data.test_fraction)
    return Splits(*split(dataset, fractions=fractions, seed=data.split_seed))


def bytes_of(experiment: Experiment) -> BytesAs:
    """What bytes in a file of the user's stand for in an experiment that begins: counts stay counts."""
    byte_values = "as_is" if has_counts(experiment.model) else experiment.data.byte_values
    return BytesAs(byte_values, byte_values)


def load_page_splits(data: Data) -> PageSplits | None:
    """The whole pages that the examples are cut from, if they are, divided as the examples are."""
    folder = folder_of_pages(data.dataset, None if data.data_dir is None else Path(data.data_dir))
    if folder is None:
        return None
    if data.dataset == PAGES and not folder.is_dir():
        raise UserError(
            f"{folder}: there is no such folder; name the one above {PAGES} by --data-dir or AEJAX_DATA_DIR"
        )
    _check_fractions(data)
    return split_pages(
        load_pages(folder),
        validation_fraction=data.validation_fraction,
        test_fraction=data.test_fraction,
        seed=data.split_seed,
    )


def _check_fractions(data: Data) -> None:
    if data.validation_fraction + data.test_fraction >= 1:
        raise UserError(
            "validation_fraction and test_fraction leave nothing to train on: "
            f"{data.validation_fraction} + {data.test_fraction}"
        )


def locate(data: Data) -> Data:
    """The same data with files and folders of the user by their whole paths: a run can be continued from anywhere."""
    is_folder = data.dataset != PAGES and folder_of_pages(data.dataset) is not None
    is_own = is_array_file(data.dataset) or is_folder
    dataset = str(Path(data.dataset).absolute()) if is_own else data.dataset
    labels, data_dir = (None if path is None else str(Path(path).absolute()) for path in (data.labels, data.data_dir))
    return replace(data, dataset=dataset, labels=labels, data_dir=data_dir)


def build_autoencoder(experiment: Experiment, train: Dataset, facts: Facts | None = None) -> Autoencoder:
    """The autoencoder that a configuration names, for examples like these.

    Args:
      experiment: which autoencoder.
      train: the training examples.
      facts: of the run; None for those of `train`.

    Raises:
      UserError: constructors that do not go together, or that do not take such examples.
    """
    model = experiment.model
    facts = make_facts(experiment, train) if facts is None else facts
    _check_channels_last(experiment, train.x.shape[1:])
    if model.loss == "structural_dissimilarity" and (train.x.ndim not in (3, 4) or min(train.x.shape[1:3]) < 7):
        raise UserError(f"loss: structural_dissimilarity takes images from 7x7 on, an example has {train.x.shape[1:]}")
    if experiment.data.shift and (train.x.ndim not in (3, 4) or min(train.x.shape[1:3]) <= experiment.data.shift):
        raise UserError(
            f"shift: takes images of more than {experiment.data.shift} pixels a side, an example has shape "
            f"{train.x.shape[1:]}"
        )
    if experiment.regularization.corruption == "gaussian_blur" and train.x.ndim not in (3, 4):
        raise UserError(f"corruption: gaussian_blur takes images, an example has shape {train.x.shape[1:]}")
    try:
        return _regularized(_base(experiment, train, facts), experiment, train, facts)
    except IncompatibleError as error:
        raise UserError(error.describe(*(_KNOB_OF_PART.get(name, name) for name in error.names))) from error


def _check_channels_last(experiment: Experiment, shape: tuple[int, ...]) -> None:
    """Raise UserError for images (C, H, W) where something would take them for images (H, W, C)."""
    takes_images = {
        f"network: {experiment.model.network}": experiment.model.network in ("conv", "unet"),
        "loss: structural_dissimilarity": experiment.model.loss == "structural_dissimilarity",
        "corruption: gaussian_blur": experiment.regularization.corruption == "gaussian_blur",
        "shift": experiment.data.shift > 0,
    }
    is_channels_first = len(shape) == 3 and shape[0] in _CHANNELS and min(shape[1:]) > max(_CHANNELS)
    for knob, takes in takes_images.items():
        if takes and is_channels_first:
            raise UserError(
                f"{knob} expects images (height, width, channels), and an example has shape {shape}, channels first; "
                "save numpy.moveaxis(x, 1, -1)"
            )


def notes_on(train: Dataset, facts: Facts, dataset: str) -> list[str]:
    """What a user should know of how data were read, each in a line: what bytes were taken for, an alpha channel."""
    notes = [] if (note := describe_bytes(facts, dataset)) is None else [note]
    if len(facts.shape) == 3 and facts.shape[2] == 4:
        alpha = train.x[0][0, 0, 3]
        if all(np.all(block[..., 3] == alpha) for block in sampled_blocks(train.x)):
            notes.append(
                f"{dataset}: the fourth channel is {alpha:g} everywhere, as the alpha channel of RGBA images is; it is "
                "learned like the others: save x[..., :3] to leave it out"
            )
    return notes


def _base(experiment: Experiment, train: Dataset, facts: Facts) -> Autoencoder:
    model, regularization = experiment.model, experiment.regularization
    shape = train.x.shape[1:]
    if model.family == "tied":
        assert model.code_size is not None  # configuration.check has seen to it
        widths, activation = (*model.hidden, model.code_size), ACTIVATIONS[model.activation]
        return autoencoders.tied(shape, widths, activation=activation, loss=LOSSES[model.loss])
    if model.family == "variational":
        likelihood = _starting_at_rate(build_likelihood(model), facts)
        return autoencoders.variational(
            *_networks(experiment, facts, likelihood),
            beta=_beta(regularization),
            likelihood=likelihood,
            prior=_prior(regularization, train.x),  # in the units of the data, as `standardized` takes it
            free_bits=regularization.free_bits,
            axis_name=AXIS,
        )
    encoder, decoder = _networks(experiment, facts)
    if model.family == "k_sparse":
        return autoencoders.k_sparse(encoder, decoder, k=model.active_entries, loss=LOSSES[model.loss])
    return autoencoders.undercomplete(encoder, decoder, loss=LOSSES[model.loss])


def _regularized(autoencoder: Autoencoder, experiment: Experiment, train: Dataset, facts: Facts) -> Autoencoder:
    terms = experiment.regularization
    if experiment.model.conditional:
        classes = _classes(train, facts)
        if len(classes) < 2:
            raise UserError(f"conditional: labels must be of two classes at least, got class {classes[0]} alone")
        autoencoder = autoencoders.conditional(autoencoder, classes=len(classes))
    if terms.importance_samples is not None:
        autoencoder = autoencoders.importance_weighted(autoencoder, samples=terms.importance_samples)
    if terms.contractive_projections is not None:
        autoencoder = autoencoders.contractive_by_projections(
            autoencoder, weight=terms.contractive_weight, num_projections=terms.contractive_projections
        )
    elif terms.contractive_weight or terms.higher_order_weight:
        autoencoder = autoencoders.contractive(
            autoencoder,
            weight=terms.contractive_weight,
            method="auto",
            higher_order_weight=terms.higher_order_weight,
            higher_order_standard_deviation=terms.higher_order_noise,
        )
    if terms.sparse_weight:
        autoencoder = autoencoders.sparse(autoencoder, weight=terms.sparse_weight)
    if terms.sparse_kl_weight:
        autoencoder = autoencoders.sparse_kl(
            autoencoder, weight=terms.sparse_kl_weight, rho=terms.target_activation, axis_name=AXIS
        )
    if terms.mmd_weight:
        autoencoder = autoencoders.mmd_regularized(autoencoder, weight=terms.mmd_weight, axis_name=AXIS)
    if terms.total_correlation_weight:
        autoencoder = autoencoders.total_correlation_penalized(
            autoencoder, weight=terms.total_correlation_weight, examples=len(train.x), axis_name=AXIS
        )
    if (statistics := _statistics(facts, "identity")) is not None:
        autoencoder = autoencoders.standardized(
            autoencoder, mean=statistics.mean, standard_deviation=statistics.standard_deviation
        )
    if (corrupt := build_corruption(terms, train, facts)) is not None:
        autoencoder = autoencoders.denoising(autoencoder, corrupt=corrupt)
    return autoencoder


def _statistics(facts: Facts, transform: Literal["identity", "log1p"]) -> Standardization | None:
    """The standardization of a run after that transform; None where there is none."""
    if facts.scaling is None or facts.scaling.transform != transform:
        return None
    shift, scale = (
        np.reshape(numbers, () if len(numbers) == 1 else facts.shape)
        for numbers in (facts.scaling.shift, facts.scaling.scale)
    )
    return standardization(mean=shift, standard_deviation=scale)


def _starting_at_rate(likelihood: Likelihood, facts: Facts) -> Likelihood:
    """The likelihood of counts whose decoder, where it returns 0, predicts their mean over the training examples."""
    if facts.scaling is None or facts.scaling.log_rate is None:
        return likelihood
    rates = facts.scaling.log_rate
    log_rate = np.reshape(rates, () if len(rates) == 1 else facts.shape)
    return likelihood._replace(
        constrain=lambda output: constrain(likelihood, output) + jnp.asarray(log_rate, output.dtype)
    )


def build_likelihood(model: Model) -> Likelihood:
    """The likelihood that a configuration names."""
    if model.likelihood == "gaussian":
        return likelihoods.gaussian(variance=model.likelihood_variance)
    if model.likelihood == "laplace":
        return likelihoods.laplace(scale=math.sqrt(model.likelihood_variance / 2))
    if model.likelihood == "gaussian_with_global_variance":  # which the decoder learns
        return likelihoods.gaussian_with_predicted_variance()
    return getattr(likelihoods, model.likelihood)()


def build_corruption(
    regularization: Regularization, train: Dataset, facts: Facts | None = None
) -> corruption.Corruption | None:
    """The corruption `(key, x) -> corrupted` that a configuration names, if any; pepper and salt are the extremes.

    Args:
      regularization: which corruption, and its level.
      train: the training examples, whose extremes are meant.
      facts: of the run. Where data are standardized, so is what is corrupted: noise is in standard deviations, masked
        entries are at the mean, and pepper and salt are the extremes of standardized data.
    """
    name, level = regularization.corruption, regularization.corruption_level
    if name == "none":
        return None
    statistics = None if facts is None else _statistics(facts, "identity")
    if name == "salt_and_pepper":
        if statistics is None:
            low, high = float(train.x.min()), float(train.x.max())
        else:
            some = some_of(train.x)
            low = float(np.min((some.min(axis=0) - statistics.mean) / statistics.standard_deviation))
            high = float(np.max((some.max(axis=0) - statistics.mean) / statistics.standard_deviation))
        corrupt = partial(corruption.salt_and_pepper, amount=level, low=low, high=high)
    else:
        knob = "standard_deviation" if name.startswith("gaussian") else "amount"
        corrupt = partial(getattr(corruption, name), **{knob: level})
    if statistics is None:
        return corrupt
    return lambda key, x: statistics.backward(corrupt(key, statistics.forward(x)))


def extent_of(model: Model) -> tuple[int, int] | None:
    """How far a pixel sees, and in blocks of how many pixels, of a network that takes images of any size; else None."""
    if model.network == "mlp" or model.code_size is not None:
        return None
    levels = len(model.hidden)
    return (conv_reach if model.network == "conv" else unet_reach)(levels), 2**levels


def bounds_of_code(model: Model) -> tuple[float, float] | None:
    """The least and the greatest value that the code's activation can take, if it is bounded."""
    activation = model.activation if model.family == "tied" else model.code_activation
    return {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}.get(activation)


def conditions_of(model: Model, dataset: Dataset, facts: Facts) -> tuple[np.ndarray, ...]:
    """The condition of every example as one array, if the model has conditions: k for the label `facts.classes[k]`.

    Raises:
      UserError: labels that are missing, or that no training example has.
    """
    if not model.conditional:
        return ()
    classes = _classes(dataset, facts)
    assert dataset.labels is not None  # _classes has seen to it
    return (positions_of(dataset.labels, classes, name="conditional"),)


def _classes(dataset: Dataset, facts: Facts) -> tuple[int | str | None, ...]:
    if dataset.labels is None:
        raise UserError("conditional: the data have no labels; give them by --labels, or as labels in a .npz file")
    if facts.classes is None:
        raise UserError(
            f"conditional: expected at most {MAX_CLASSES:,} classes, got {len(np.unique(dataset.labels)):,} distinct "
            f"labels of {len(dataset.labels):,} examples, as identifiers have; give classes by --labels"
        )
    return facts.classes


def as_examples(model: Model, dataset: Dataset, facts: Facts) -> Examples:
    """A part of the data as training and evaluation take it."""
    known = conditions_of(model, dataset, facts)
    x, observed, *conditions = (cast(Array, a) for a in (dataset.x, dataset.input, *known))
    return Examples(x, observed, *conditions)


def first_example(model: Model, dataset: Dataset, facts: Facts) -> tuple[Any, ...]:
    """One example and, if the model has conditions, its condition: what an autoencoder is initialized with."""
    one = dataset._replace(x=dataset.x[:1], labels=None if dataset.labels is None else dataset.labels[:1])
    return (one.x[0], *(condition[0] for condition in conditions_of(model, one, facts)))


def _beta(regularization: Regularization) -> float | schedules.Schedule:
    beta, steps = regularization.beta, regularization.beta_steps
    if regularization.beta_schedule == "linear":
        return schedules.linear_warm_up(steps, end=beta)
    if regularization.beta_schedule == "cyclical":
        return schedules.cyclical_warm_up(steps, cycles=regularization.beta_cycles, end=beta)
    return beta


def _prior(regularization: Regularization, train_x: np.ndarray) -> priors.Prior | priors.LearnedPrior:
    components = regularization.prior_components
    if regularization.prior == "vamp":
        if components > len(train_x):
            raise UserError(f"prior_components: at most the {len(train_x)} training examples, got {components}")
        return priors.vamp_prior(jnp.asarray(train_x[:components]))  # their order is one of files, their values change
    return priors.mixture_prior(components) if regularization.prior == "mixture" else priors.standard_normal()


def _networks(
    experiment: Experiment, facts: Facts, likelihood: Likelihood | None = None
) -> tuple[SupportsInitApply, SupportsInitApply]:
    """Encoder and decoder; of a variational autoencoder, for the posterior's two moments and for the likelihood."""
    model, shape = experiment.model, facts.shape
    activation = ACTIVATIONS[model.activation]
    moments = 1 if likelihood is None else 2
    code_size = None if model.code_size is None else moments * model.code_size
    has_global_variance = model.family == "variational" and model.likelihood == "gaussian_with_global_variance"
    output_shape = shape
    if likelihood is not None and not has_global_variance:
        output_shape = likelihoods.parameter_shape(likelihood, shape)
    encoder: SupportsInitApply
    decoder: SupportsInitApply
    if model.network == "mlp":
        assert code_size is not None  # configuration.check has seen to it
        encoder = MLP((code_size,), model.hidden, activation)
        decoder = MLP(output_shape, model.hidden[::-1], activation)
    elif model.network == "sequence":
        if len(shape) not in (1, 2):
            raise UserError(f"network: sequence takes sequences (T,) or (T, C), an example has shape {shape}; use mlp")
        assert code_size is not None  # configuration.check has seen to it
        encoder = SequenceEncoder(model.hidden, code_size, activation)
        decoder = SequenceDecoder((shape[0], math.prod(output_shape[1:])), model.hidden[::-1], activation)
        decoder = followed_by(decoder, lambda output: output.reshape(output_shape))
    elif len(shape) not in (2, 3):
        raise UserError(
            f"network: {model.network} takes images (H, W) or (H, W, C), an example has shape {shape}; use mlp"
        )
    elif model.network == "unet":
        encoder, decoder = UNetEncoder(model.hidden, activation), UNetDecoder(shape, model.hidden, activation)
    else:
        if code_size is None and model.hidden[-1] % moments:
            raise UserError(f"hidden: the last block of a variational encoder needs even channels, {model.hidden[-1]}")
        channels = math.prod(output_shape[2:])
        encoder = ConvEncoder(model.hidden, code_size, activation)
        decoder = ConvDecoder((*shape[:2], channels), model.hidden[::-1], activation)
        decoder = followed_by(decoder, lambda output: output.reshape(output_shape))
    if model.compute_dtype != "float32":
        encoder, decoder = (computing_in(network, model.compute_dtype) for network in (encoder, decoder))
    if experiment.training.rematerialize:
        encoder, decoder = rematerialized(encoder), rematerialized(decoder)
    if model.code_activation != "none":
        encoder = followed_by(encoder, ACTIVATIONS[model.code_activation])
    if model.output_activation != "none":
        decoder = followed_by(decoder, ACTIVATIONS[model.output_activation])
    if (counts := _statistics(facts, "log1p")) is not None:
        # what is corrupted, or a learned pseudo-input, may be below 0
        encoder = preceded_by(encoder, lambda x: counts.forward(jnp.log1p(jnp.maximum(x, jnp.zeros_like(x)))))
    if not has_global_variance:
        return encoder, decoder
    if facts.log_variance is None:
        return encoder, with_global_log_variance(decoder)
    return encoder, with_global_log_variance(decoder, initial=facts.log_variance, gain=_VARIANCE_GAIN)


def build_augmentation(data: Data) -> augmentation.Augmentation | None:
    """The augmentation `(key, x) -> another x` of training examples that a configuration names, if any."""
    return partial(augmentation.shift, pixels=data.shift) if data.shift else None


def count_steps(epochs: int, batch_size: int, training_examples: int) -> int:
    """Returns the steps of a training; UserError where the devices cannot count them."""
    steps = epochs * (training_examples // batch_size)
    if steps > MAX_STEPS:
        raise UserError(f"epochs: must be below {2**31:,} steps in all, got {steps:,}: take fewer, or larger batches")
    return steps


def build_optimizer(experiment: Experiment, training_examples: int) -> optax.GradientTransformation:
    """Adam with the schedule, the clipping and the weight decay of a configuration."""
    optimization, training = experiment.optimization, experiment.training
    steps = count_steps(training.epochs, training.batch_size, training_examples)
    peak = optimization.learning_rate
    schedule = optax.cosine_decay_schedule(peak, steps) if optimization.schedule == "cosine" else peak
    if optimization.warmup_steps:
        if optimization.warmup_steps >= steps:
            raise UserError(f"warmup_steps: must be below the {steps} steps in all, got {optimization.warmup_steps}")
        if optimization.schedule == "cosine":
            schedule = optax.warmup_cosine_decay_schedule(0.0, peak, optimization.warmup_steps, steps)
        else:
            schedule = optax.linear_schedule(0.0, peak, optimization.warmup_steps)
    clip = [] if optimization.clip_norm is None else [optax.clip_by_global_norm(optimization.clip_norm)]
    return _slower_in_wide_layers(optax.chain(*clip, optax.adamw(schedule, weight_decay=optimization.weight_decay)))


def _slower_in_wide_layers(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The optimizer with smaller updates of dense layers of more than `_WIDE` inputs, in proportion to their number.

    Adam moves every weight by about the learning rate, so the sum over the inputs of one unit moves by up to as many
    times that as there are inputs: over 20,000 of them the first steps throw codes far off. Source: G. Yang et al.
    (2022), Tensor Programs V, table 3.
    """

    def scale(update: Array) -> Array:
        return update * (_WIDE / update.shape[0]) if update.ndim == 2 and update.shape[0] > _WIDE else update

    def update(gradient: PyTree, state: PyTree, params: PyTree | None = None) -> tuple[PyTree, PyTree]:
        updates, state = optimizer.update(gradient, state, params)
        return jax.tree.map(scale, updates), state

    return optax.GradientTransformation(optimizer.init, update)


def check_result(
    experiment: Experiment, train: Dataset, facts: Facts, means: Mapping[str, Mapping[str, float]]
) -> None:
    """Raise UserError where a trained autoencoder is worse than predicting the mean by orders of magnitude.

    Args:
      experiment: which was trained.
      train: the training examples, of which a thousand are looked at.
      facts: of the run.
      means: the terms of the loss of each split, by its name.
    """
    model = experiment.model
    features = math.prod(facts.shape)
    constant, of_units = _constant_loss(model, train, facts)
    limit = _ABSURD * max(abs(constant), features if model.family == "variational" else 1e-6 * features)
    for name, terms in means.items():
        value = -terms["elbo"] if "elbo" in terms else terms["reconstruction"]
        if math.isfinite(value) and value - of_units > limit:
            unit = " nats" if model.family == "variational" else ""
            raise UserError(
                f"{experiment.data.dataset}: training failed: the loss of {name} examples is {value:.3g}{unit} per "
                f"example, where predicting their mean has {constant + of_units:.3g}; training examples of "
                f"{features:,} features range from {facts.targets.low:g} to {facts.targets.high:g}; "
                f"{scale_advice(experiment, facts)}"
            )


def scale_advice(experiment: Experiment, facts: Facts) -> str:
    """What may help a run whose loss has grown out of bounds."""
    rate = experiment.optimization.learning_rate
    lower = f"take a lower --learning-rate than {rate:g}"
    if facts.scaling is not None or not is_far(facts):
        return lower
    if can_standardize(experiment.model):
        return "they are far from unit scale: take --standardize auto"
    return f"they are far from unit scale: scale them, or {lower}"


def _constant_loss(model: Model, train: Dataset, facts: Facts) -> tuple[float, float]:
    """The mean loss of predicting the mean, in standardized units, and what the units of the data add to it.

    A bounded loss is that of the output 0: of bits that are all uncertain.
    """
    places = np.linspace(0, len(train.x) - 1, min(len(train.x), _CONSTANT_EXAMPLES)).astype(np.int64)
    x, of_units = jnp.asarray(train.x[places]), 0.0
    if (statistics := _statistics(facts, "identity")) is not None:
        x = jax.vmap(statistics.forward)(x)
        if model.family == "variational":
            of_units = statistics.log_determinant(facts.shape)
    is_count = has_counts(model)
    if can_standardize(model) and not is_count:
        x = x - jnp.mean(x, axis=0, keepdims=True)
    if model.family != "variational":
        outputs = jnp.zeros(facts.shape, x.dtype)
        return float(jnp.mean(jax.vmap(lambda x: LOSSES[model.loss](x, outputs))(x))), of_units
    likelihood = build_likelihood(model)
    outputs = jnp.zeros(likelihoods.parameter_shape(likelihood, facts.shape), x.dtype)
    if is_count:
        outputs = jnp.log(jnp.maximum(jnp.mean(x, axis=0), 1 / len(x)))
    return float(-jnp.mean(jax.vmap(lambda x: likelihood.log_prob(x, outputs))(x))), of_units


def check_memory(
    autoencoder: Autoencoder, params: PyTree, examples: Examples, training: Training, devices: int
) -> None:
    """Raise UserError where an array of a training step would take more memory than there is; nothing is computed.

    Args:
      autoencoder: whose loss is looked at.
      params: its parameters.
      examples: to train on.
      training: for the size of a batch.
      devices: among which a batch is divided.
    """
    share = max(1, training.batch_size // (devices * training.accumulation_steps))
    batch = jax.tree.map(lambda array: jax.ShapeDtypeStruct((share, *array.shape[1:]), array.dtype), examples)
    key = jax.random.key(0)
    size = largest_array(
        lambda params, key, batch: autoencoder.loss(params, key, as_batch(batch)), params, key, batch, axis=AXIS
    )
    check_fits(
        size,
        f"the largest numbers of a step on {share:,} examples",
        advice="take a smaller batch_size, fewer importance_samples or contractive_projections, or narrower networks",
    )


def check_data(model: Model, splits: Splits, dataset: str, facts: Facts | None = None) -> None:
    """Raise UserError where examples lie outside what the loss or the likelihood can explain, or in an unknown class.

    A block of examples is held at a time. Of more than a GiB a sample is looked at here; a likelihood has what is
    streamed checked when it is read.

    Args:
      model: what is to be trained.
      splits: on which data.
      dataset: what messages call them.
      facts: of the training examples; None to make them.
    """
    if model.conditional:
        facts = facts_of(splits.train) if facts is None else facts
        classes = _classes(splits.train, facts)
        for part in splits[1:]:
            if part.labels is None:
                raise UserError("conditional: held-out examples have no labels")
            if unseen := unseen_labels(part.labels, classes):
                are = "is" if len(unseen) == 1 else "are"
                raise UserError(
                    f"conditional: {list_labels(unseen)} {are} held out and none of the labels to train on, "
                    f"{list_labels(classes)}; another --split-seed may help"
                )
    if model.family == "variational":
        likelihood, knob = build_likelihood(model), "--likelihood gaussian"
        if facts is not None and facts.targets.integers and facts.targets.low >= 0 and not has_counts(model):
            knob = "--likelihood poisson if they are counts, else --likelihood gaussian"
    elif model.loss == "binary_cross_entropy":
        likelihood, knob = likelihoods.bernoulli()._replace(name=model.loss), "--loss squared_error"
    elif model.output_activation == "sigmoid":
        likelihood, knob = likelihoods.bernoulli()._replace(name="a sigmoid output"), "--output-activation none"
    else:
        return
    for part in splits:
        are_bytes = part.stored == AsStored("uint8", 1)
        scale = "take --byte-values scaled if they are gray values" if are_bytes else "scale them"
        low, high, fractions = np.inf, -np.inf, np.empty(0, np.float32)
        for block in sampled_blocks(part.x):
            low, high = min(low, float(block.min())), max(high, float(block.max()))
            if likelihood.support.integers and not fractions.size:
                fractions = block[block != np.round(block)][:1]
        check_support(likelihood, np.array([low, high, *fractions]), dataset, advice=f"{scale}, or take {knob}")

"""Builds the autoencoder of an experiment from its configuration and the facts of its data."""

import math
from functools import partial
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from aejax import augmentation, autoencoders, corruption, likelihoods, priors, schedules
from aejax.autoencoders import Autoencoder
from aejax.autoencoders.record import is_zero
from aejax.datasets.channels import has_channels_first
from aejax.errors import ArgumentError, ConflictError, CoupledError, IncompatibleError, UserError, knob_name
from aejax.experiment.architectures import architecture_of
from aejax.experiment.build_dictionary import build_dictionary
from aejax.experiment.configuration import Data, Experiment, Model, Regularization, Training
from aejax.experiment.dictionary_knobs import DICTIONARIES, Dictionary
from aejax.experiment.facts import Facts, Values
from aejax.experiment.given_facts import Given
from aejax.experiment.loading import known_classes
from aejax.experiment.objective import (
    LOSSES,
    build_likelihood,
    columns_of,
    loss_of,
    starting_at_moments,
    starting_at_rate,
    statistics_of,
)
from aejax.experiment.own_autoencoder import build_own
from aejax.experiment.part_knobs import knob_of_part
from aejax.likelihoods import Likelihood
from aejax.likelihoods.columns import Column
from aejax.likelihoods.table_inputs import input_size
from aejax.likelihoods.tables import TableLoss, target_likelihood
from aejax.networks import (
    MLP,
    computing_in,
    followed_by,
    preceded_by,
    reading_padded,
    rematerialized,
    with_global_log_variance,
)
from aejax.networks.network import SupportsInitApply
from aejax.training.accumulation import check_accumulation
from aejax.training.devices import AXIS
from aejax.training.kept import kept

ACTIVATIONS = {name: getattr(jax.nn, name) for name in ("relu", "sigmoid", "elu", "gelu", "silu", "softplus")}
ACTIVATIONS["tanh"] = jnp.tanh
_UNUSED = Values("float32", 1, *(math.nan,) * 4, False, math.nan)  # stands in for values that an autoencoder ignores
_VARIANCE_GAIN = 10.0  # how many times faster than a weight Adam moves a learned global log-variance


def build_autoencoder(experiment: Experiment, facts: Facts) -> Autoencoder:
    """Returns the autoencoder that a configuration names, for examples with these facts.

    Configurations and facts that differ only in what the autoencoder does not depend on, such as the seed, return the
    same object, so that a second training does not compile again.

    Args:
      experiment: the configuration that names the autoencoder. A weight may be traced, which stands for any number
        above 0: `aejax.studies.sweeps` trains many values at once.
      facts: the facts of the training examples, from `make_facts` or from the run folder.

    Raises:
      UserError: constructors that cannot be combined, or that do not accept such examples; the user's own file cannot
        be read or builds no autoencoder.

    >>> from aejax.datasets.dataset import Dataset
    >>> from aejax.experiment.scaling import make_facts
    >>> facts = make_facts(Experiment(), Dataset(np.zeros((3, 8, 8), np.float32)))
    >>> autoencoder = build_autoencoder(Experiment(model=Model(code_size=4)), facts)
    >>> params = jax.eval_shape(autoencoder.init, jax.random.key(0), np.zeros((8, 8), np.float32))
    >>> jax.eval_shape(autoencoder.encode, params, np.zeros((8, 8), np.float32)).shape
    (4,)
    """
    model, shape = experiment.model, facts.shape
    _check_channels_last(experiment, shape)
    if model.autoencoder is not None:
        own = build_own(Path(model.autoencoder), facts)
        _check_accumulation(own, experiment)
        return own
    is_image = len(shape) in (2, 3)
    if model.loss == "structural_dissimilarity" and (not is_image or min(shape[:2]) < 7):
        raise UserError(
            f"loss: structural_dissimilarity expects images of at least 7x7 pixels, but examples have {shape}"
        )
    if experiment.data.shift and (not is_image or min(shape[:2]) <= experiment.data.shift):
        raise UserError(
            f"shift: expects images with sides of more than {experiment.data.shift} pixels, but examples have shape "
            f"{shape}"
        )
    if experiment.regularization.corruption == "gaussian_blur" and not is_image:
        raise UserError(f"corruption: gaussian_blur expects images, but examples have shape {shape}")
    try:
        autoencoder = _built(*_relevant(experiment, facts))
    except IncompatibleError as error:
        setting, other = (
            "condition" if name == "conditional" and facts.given is not None else _knob_of(name) for name in error.names
        )
        raise ConflictError(setting, other, error.reason) from error
    _check_accumulation(autoencoder, experiment)
    return autoencoder


def build_autoencoder_of_inputs(experiment: Experiment, facts: Facts) -> Autoencoder:
    """Returns the autoencoder inside that of a table: of the inputs u of a row, with the same parameters.

    Args:
      experiment: the configuration of a run on a table, which names no own autoencoder.
      facts: the facts of the training rows.
    """
    relevant = _relevant(experiment, facts)
    return _penalized(_base(*relevant), *relevant)


def _check_accumulation(autoencoder: Autoencoder, experiment: Experiment) -> None:
    """Raise ArgumentError if batches would be divided although their examples are coupled."""
    try:
        check_accumulation(autoencoder, experiment.training.accumulation_steps)
    except CoupledError as error:
        complaint = f"{error.describe(_knob_of(error.name))}; rematerialize saves memory too"
        raise ArgumentError("accumulation_steps", complaint) from error


def _knob_of(part: str) -> str:
    return knob_of_part(part, Model, Dictionary, Regularization)


def _relevant(experiment: Experiment, facts: Facts) -> tuple[Experiment, Facts]:
    """Returns the configuration and the facts with everything that the autoencoder does not depend on at a constant."""
    model, terms = experiment.model, experiment.regularization
    training = Training(rematerialize=experiment.training.rematerialize)
    learns_variance = model.family == "variational" and model.likelihood == "gaussian_with_global_variance"
    has_levels = model.family == "variational" and model.likelihood == "discretized_logistic"
    relevant = Facts(
        shape=facts.shape,
        targets=facts.targets if terms.corruption == "salt_and_pepper" or has_levels else _UNUSED,
        classes=facts.classes if model.conditional else None,
        distinct_labels=facts.distinct_labels if model.conditional else None,
        scaling=facts.scaling,
        log_variance=facts.log_variance if learns_variance else None,
        examples=facts.examples if model.conditional or not is_zero(terms.total_correlation_weight) else None,
        pseudo_inputs=facts.pseudo_inputs if terms.prior == "vamp" else None,
        columns=facts.columns,
        lengths=None if facts.lengths is None else (1,),  # only whether there is padding matters
        given=None if facts.given is None else Given((), ()),  # the networks know its shape from their first example
    )
    dictionary = experiment.dictionary
    return Experiment(model=model, dictionary=dictionary, regularization=terms, training=training), relevant


@kept
def _built(experiment: Experiment, facts: Facts) -> Autoencoder:
    return _regularized(_base(experiment, facts), experiment, facts)


def _check_channels_last(experiment: Experiment, shape: tuple[int, ...]) -> None:
    """Raise UserError for images (C, H, W) if a knob would interpret them as images (H, W, C)."""
    expects_images = {
        f"network: {experiment.model.network}": architecture_of(experiment.model.network).layout == "image",
        "loss: structural_dissimilarity": experiment.model.loss == "structural_dissimilarity",
        "corruption: gaussian_blur": experiment.regularization.corruption == "gaussian_blur",
        "shift": experiment.data.shift > 0,
    }
    for knob, expects in expects_images.items():
        if expects and has_channels_first(shape):
            raise UserError(
                f"{knob} expects images (height, width, channels), but examples have shape {shape}, channels first; "
                f"leave out {knob_name('channels last')}"
            )


def _base(experiment: Experiment, facts: Facts) -> Autoencoder:
    model, regularization, shape = experiment.model, experiment.regularization, facts.shape
    columns = _columns(experiment, facts)
    if model.family in DICTIONARIES:
        return build_dictionary(experiment, facts)
    if model.family == "tied":
        assert model.code_size is not None  # ensured by configuration.check
        widths, activation = (*model.hidden, model.code_size), ACTIVATIONS[model.activation]
        return autoencoders.tied(shape, widths, activation=activation, loss=LOSSES[model.loss])
    if model.family == "variational":
        of_table = None if columns is None else target_likelihood(columns)
        likelihood = of_table or starting_at_moments(starting_at_rate(build_likelihood(model), facts), facts)
        likelihood = likelihood if facts.lengths is None else likelihoods.over_known(likelihood)
        encoder, decoder = _networks(experiment, facts, likelihood)
        if model.upper_code_sizes:
            return _hierarchical(encoder, decoder, model, likelihood, _beta(regularization))
        return autoencoders.variational(
            encoder,
            decoder,
            beta=_beta(regularization),
            likelihood=likelihood,
            prior=_prior(regularization, facts),  # in the units of the data, as `standardized` expects
            free_bits=regularization.free_bits,
            axis_name=AXIS,
        )
    encoder, decoder = _networks(experiment, facts)
    table_loss = None if columns is None else TableLoss(columns)
    loss = table_loss or loss_of(model, facts)
    link = None if table_loss is None else table_loss.link
    if model.family == "k_sparse":
        return autoencoders.k_sparse(encoder, decoder, k=model.active_entries, loss=loss, link=link)
    return autoencoders.undercomplete(encoder, decoder, loss=loss, link=link)


def _hierarchical(
    encoder: SupportsInitApply,
    decoder: SupportsInitApply,
    model: Model,
    likelihood: Likelihood,
    beta: float | schedules.Schedule,
) -> Autoencoder:
    """Returns the autoencoder with further stochastic layers, connected by dense networks."""
    assert model.code_size is not None  # ensured by configuration.check
    sizes, activation = (model.code_size, *model.upper_code_sizes), ACTIVATIONS[model.activation]
    encoders, decoders = [encoder], [decoder]
    for below, above in pairwise(sizes):
        pair = (
            MLP((2 * above,), model.upper_hidden, activation),
            MLP((2 * below,), model.upper_hidden[::-1], activation),
        )
        for networks, network in zip((encoders, decoders), pair, strict=True):
            networks.append(network if model.compute_dtype == "float32" else computing_in(network, model.compute_dtype))
    return autoencoders.hierarchical(encoders, decoders, code_sizes=sizes, beta=beta, likelihood=likelihood)


def _columns(experiment: Experiment, facts: Facts) -> tuple[Column, ...] | None:
    """Returns the columns with the likelihood's variance; None if the data are no table."""
    variance = experiment.model.likelihood_variance
    return columns_of(facts, corruption=experiment.regularization.corruption, variance=variance)


def _regularized(autoencoder: Autoencoder, experiment: Experiment, facts: Facts) -> Autoencoder:
    autoencoder = _penalized(autoencoder, experiment, facts)
    if (columns := _columns(experiment, facts)) is not None:
        autoencoder = autoencoders.tabular(autoencoder, columns)
    if (statistics := statistics_of(facts, "identity")) is not None:
        autoencoder = autoencoders.standardized(
            autoencoder, mean=statistics.mean, standard_deviation=statistics.standard_deviation
        )
    if (corrupt := build_corruption(experiment.regularization, facts)) is not None:
        autoencoder = autoencoders.denoising(autoencoder, corrupt=corrupt)
    return autoencoder


def _penalized(autoencoder: Autoencoder, experiment: Experiment, facts: Facts) -> Autoencoder:
    """Returns the autoencoder of the networks' own inputs, with its condition and all terms of its loss."""
    terms = experiment.regularization
    if facts.given is not None:
        autoencoder = autoencoders.conditional(autoencoder)
    if experiment.model.conditional:
        classes = known_classes(facts)
        if len(classes) < 2:
            raise UserError(f"conditional: expected labels of at least two classes, got only class {classes[0]}")
        autoencoder = autoencoders.conditional(autoencoder, classes=len(classes))
    if terms.importance_samples is not None:
        autoencoder = _bounded(autoencoder, terms, terms.importance_samples)
    if terms.contractive_projections is not None:
        autoencoder = autoencoders.contractive_by_projections(
            autoencoder, weight=terms.contractive_weight, num_projections=terms.contractive_projections
        )
    elif not (is_zero(terms.contractive_weight) and is_zero(terms.higher_order_weight)):
        autoencoder = autoencoders.contractive(
            autoencoder,
            weight=terms.contractive_weight,
            method="auto",
            higher_order_weight=terms.higher_order_weight,
            higher_order_standard_deviation=terms.higher_order_noise,
        )
    if not is_zero(terms.sparse_weight):
        autoencoder = autoencoders.sparse(autoencoder, weight=terms.sparse_weight)
    if not is_zero(terms.sparse_kl_weight):
        autoencoder = autoencoders.sparse_kl(
            autoencoder, weight=terms.sparse_kl_weight, rho=terms.target_activation, axis_name=AXIS
        )
    if not is_zero(terms.l2_weight):
        autoencoder = autoencoders.l2_regularized(autoencoder, weight=terms.l2_weight)
    if not is_zero(terms.mmd_weight):
        autoencoder = autoencoders.mmd_regularized(autoencoder, weight=terms.mmd_weight, axis_name=AXIS)
    if not is_zero(terms.total_correlation_weight):
        assert facts.examples is not None  # ensured by `completed`
        autoencoder = autoencoders.total_correlation_penalized(
            autoencoder, weight=terms.total_correlation_weight, examples=facts.examples, axis_name=AXIS
        )
    return autoencoder


def _bounded(autoencoder: Autoencoder, terms: Regularization, samples: int) -> Autoencoder:
    """Returns the autoencoder with the importance weighted bound that a configuration names."""
    bound, groups, gradient = terms.importance_bound, terms.importance_groups, terms.importance_gradient
    if bound == "miwae":
        return autoencoders.multiply_importance_weighted(autoencoder, groups=groups, samples=samples, gradient=gradient)
    if bound == "piwae":
        return autoencoders.partially_importance_weighted(
            autoencoder, groups=groups, samples=samples, gradient=gradient
        )
    if bound == "ciwae":
        return autoencoders.combination_importance_weighted(
            autoencoder, samples=samples, elbo_weight=terms.importance_elbo_weight, gradient=gradient
        )
    return autoencoders.importance_weighted(autoencoder, samples=samples, gradient=gradient)


def build_corruption(regularization: Regularization, facts: Facts) -> corruption.Corruption | None:
    """Returns the corruption `(key, x) -> corrupted` that a configuration names; None if it names none.

    Pepper and salt are the smallest and the largest value of the training examples. If data are standardized, the
    standardized example is corrupted: noise is in standard deviations, masked entries are at the mean, and pepper and
    salt are the extremes of the standardized training examples. Masked entries of a table are missing. The padding of
    sequences is never corrupted.

    Args:
      regularization: the corruption, and its level.
      facts: the facts of the training examples.
    """
    name, level = regularization.corruption, regularization.corruption_level
    if name == "none":
        return None
    statistics = statistics_of(facts, "identity")
    if name == "salt_and_pepper":
        low, high = facts.targets.low, facts.targets.high
        if statistics is not None:
            assert facts.scaling is not None
            assert facts.scaling.low is not None  # both ensured by `completed`
            assert facts.scaling.high is not None
            low, high = facts.scaling.low, facts.scaling.high
        corrupt = partial(corruption.salt_and_pepper, amount=level, low=low, high=high)
    else:
        knob = "standard_deviation" if name.startswith("gaussian") else "amount"
        corrupt = partial(getattr(corruption, name), **{knob: level})
    if facts.columns is not None:
        return partial(corruption.masking, amount=level, value=math.nan)

    def corrupt_in_units(key: Array, x: Array) -> Array:
        corrupted = corrupt(key, x) if statistics is None else statistics.backward(corrupt(key, statistics.forward(x)))
        return corrupted if facts.lengths is None else jnp.where(jnp.isnan(x), x, corrupted)

    return corrupt if statistics is None and facts.lengths is None else corrupt_in_units


def extent_of(model: Model) -> tuple[int, int] | None:
    """Returns the reach of the receptive field and the stride, both in pixels; None for images of one size only.

    Args:
      model: a network; one that is fully convolutional accepts images of any size.
    """
    network, levels = architecture_of(model.network), len(model.hidden)
    if network.reach is None or model.code_size is not None:
        return None
    return network.reach(levels), network.stride(levels)


def bounds_of_code(model: Model) -> tuple[float, float] | None:
    """Returns the smallest and the largest possible value of a code's entry; None if they are not bounded."""
    activation = model.activation if model.family == "tied" else model.code_activation
    return {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}.get(activation)


def _beta(regularization: Regularization) -> float | schedules.Schedule:
    beta, steps = regularization.beta, regularization.beta_steps
    if regularization.beta_schedule == "linear":
        return schedules.linear_warm_up(steps, end=beta)
    if regularization.beta_schedule == "cyclical":
        return schedules.cyclical_warm_up(steps, cycles=regularization.beta_cycles, end=beta)
    return beta


def _prior(regularization: Regularization, facts: Facts) -> priors.Prior | priors.LearnedPrior:
    if regularization.prior == "vamp":
        assert facts.pseudo_inputs is not None  # ensured by `completed`
        columns = columns_of(facts, corruption=regularization.corruption)
        shape = facts.shape if columns is None else (input_size(columns),)
        return priors.vamp_prior(jnp.asarray(np.reshape(np.array(facts.pseudo_inputs, np.float32), (-1, *shape))))
    if regularization.prior == "mixture":
        return priors.mixture_prior(regularization.prior_components)
    return priors.standard_normal()


def _networks(
    experiment: Experiment, facts: Facts, likelihood: Likelihood | None = None
) -> tuple[SupportsInitApply, SupportsInitApply]:
    """Returns encoder and decoder; with a likelihood they output the parameters of posterior and likelihood."""
    model, shape = experiment.model, facts.shape
    columns = columns_of(facts, corruption=experiment.regularization.corruption)
    activation = ACTIVATIONS[model.activation]
    moments = 1 if likelihood is None else 2
    code_size = None if model.code_size is None else moments * model.code_size
    has_global_variance = model.family == "variational" and model.likelihood == "gaussian_with_global_variance"
    output_shape = shape
    if likelihood is not None and not has_global_variance:
        output_shape = likelihoods.parameter_shape(likelihood, shape)
    elif columns is not None:
        output_shape = (TableLoss(columns).output_size,)
    architecture = architecture_of(model.network)
    if architecture.ranks is not None and len(shape) not in architecture.ranks:
        raise UserError(
            f"network: {model.network} expects {architecture.expects}, an example has shape {shape}; use mlp"
        )
    if code_size is None and model.hidden[-1] % moments:
        raise UserError(f"hidden: the last block of a variational encoder needs even channels, {model.hidden[-1]}")
    shape = shape if columns is None else (input_size(columns),)
    encoder, decoder = architecture.build(shape, output_shape, model.hidden, code_size, activation)
    if model.compute_dtype != "float32":
        encoder, decoder = (computing_in(network, model.compute_dtype) for network in (encoder, decoder))
    if experiment.training.rematerialize:
        encoder, decoder = rematerialized(encoder), rematerialized(decoder)
    if model.code_activation != "none":
        encoder = followed_by(encoder, ACTIVATIONS[model.code_activation])
    if model.output_activation != "none":
        decoder = followed_by(decoder, ACTIVATIONS[model.output_activation])
    if facts.lengths is not None:
        encoder = reading_padded(encoder)
    if (counts := statistics_of(facts, "log1p")) is not None:
        # a corrupted example or a learned pseudo-input may be below 0
        encoder = preceded_by(encoder, lambda x: counts.forward(jnp.log1p(jnp.maximum(x, jnp.zeros_like(x)))))
    if not has_global_variance:
        return encoder, decoder
    if facts.log_variance is None:
        return encoder, with_global_log_variance(decoder)
    return encoder, with_global_log_variance(decoder, initial=facts.log_variance, gain=_VARIANCE_GAIN)


def build_augmentation(data: Data) -> augmentation.Augmentation | None:
    """Returns the augmentation `(key, x) -> augmented x` that a configuration names; None if it names none."""
    levels = data.levels if data.dequantize != "none" else None
    if data.shift or data.binarize == "dynamic" or levels is not None:
        return _augmentation(data.shift, data.binarize == "dynamic", levels)
    return None


@kept
def _augmentation(pixels: int, binarizes: bool, levels: int | None) -> augmentation.Augmentation:
    changes: list[augmentation.Augmentation] = [partial(augmentation.shift, pixels=pixels)] if pixels else []
    if binarizes:
        changes.append(augmentation.binarize)
    if levels is not None:
        changes.append(partial(augmentation.dequantize, levels=levels))
    return changes[0] if len(changes) == 1 else augmentation.one_after_another(*changes)

"""From an experiment's configuration to its data, its autoencoder and its optimizer."""

from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax

from aejax import autoencoders, corruption, losses
from aejax.autoencoders import Autoencoder
from aejax.configuration import Data, Experiment, Model
from aejax.datasets.arrays import SUFFIXES, load_arrays
from aejax.datasets.dataset import Splits, split
from aejax.datasets.digits import load_digits
from aejax.datasets.tfds import load_tfds
from aejax.errors import UserError
from aejax.likelihoods import bernoulli, gaussian
from aejax.networks import MLP, ConvDecoder, ConvEncoder
from aejax.networks.network import SupportsInitApply


def load_splits(data: Data) -> Splits:
    """Train, validation and test examples, disjoint and fixed by the split seed."""
    path = Path(data.dataset)
    is_file = path.suffix in SUFFIXES
    if data.labels is not None and not is_file:
        raise UserError(f"labels: go with a file of your own, and the dataset is {data.dataset}")
    if data.dataset != "digits" and not is_file:
        return load_tfds(
            data.dataset,
            data_dir=None if data.data_dir is None else Path(data.data_dir),
            validation_fraction=data.validation_fraction,
            seed=data.split_seed,
        )
    labels = None if data.labels is None else Path(data.labels)
    dataset = load_arrays(path, labels) if is_file else load_digits()
    if data.validation_fraction + data.test_fraction >= 1:
        raise UserError(
            "validation_fraction and test_fraction leave nothing to train on: "
            f"{data.validation_fraction} + {data.test_fraction}"
        )
    fractions = (data.validation_fraction, data.test_fraction)
    return Splits(*split(dataset, fractions=fractions, seed=data.split_seed))


def build_autoencoder(model: Model, shape: tuple[int, ...]) -> Autoencoder:
    """The autoencoder that a configuration names, for examples of this shape."""
    encoder, decoder = _build_networks(model, shape)
    if model.family == "variational":
        likelihood = bernoulli() if model.likelihood == "bernoulli" else gaussian(variance=model.likelihood_variance)
        autoencoder = autoencoders.variational(encoder, decoder, beta=model.beta, likelihood=likelihood)
    else:
        autoencoder = autoencoders.undercomplete(encoder, decoder, loss=getattr(losses, model.loss))
    if model.contractive_weight:
        autoencoder = autoencoders.contractive(autoencoder, weight=model.contractive_weight)
    if (corrupt := build_corruption(model)) is not None:
        autoencoder = autoencoders.denoising(autoencoder, corrupt=corrupt)
    return autoencoder


def build_corruption(model: Model) -> corruption.Corruption | None:
    """The corruption `(key, x) -> corrupted` that a configuration names, if any."""
    if model.corruption == "none":
        return None
    if model.corruption == "gaussian_noise":
        return partial(corruption.gaussian_noise, standard_deviation=model.corruption_level)
    return partial(getattr(corruption, model.corruption), amount=model.corruption_level)


def _build_networks(model: Model, shape: tuple[int, ...]) -> tuple[SupportsInitApply, SupportsInitApply]:
    activation = getattr(jax.nn, model.activation) if model.activation != "tanh" else jax.numpy.tanh
    moments = 2 if model.family == "variational" else 1  # a variational encoder returns a mean and a log-variance
    code_size = None if model.code_size is None else moments * model.code_size
    if model.network == "mlp":
        assert code_size is not None  # configuration.check has seen to it
        return (
            MLP((code_size,), model.hidden, activation),
            MLP(shape, model.hidden[::-1], activation),
        )
    if len(shape) not in (2, 3):
        raise UserError(f"network: conv takes images (H, W) or (H, W, C), and an example has shape {shape}; use mlp")
    if code_size is None and model.hidden[-1] % moments:
        raise UserError(f"hidden: the last block of a variational encoder needs even channels, got {model.hidden[-1]}")
    return (
        ConvEncoder(model.hidden, code_size, activation),
        ConvDecoder(shape, model.hidden[::-1], activation),
    )


def build_optimizer(experiment: Experiment, training_examples: int) -> optax.GradientTransformation:
    """Adam with the schedule, the clipping and the weight decay of a configuration."""
    optimization, training = experiment.optimization, experiment.training
    steps = training.epochs * (training_examples // training.batch_size)
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
    return optax.chain(*clip, optax.adamw(schedule, weight_decay=optimization.weight_decay))


def check_data(model: Model, splits: Splits, dataset: str) -> None:
    """Raise UserError where examples lie outside what the loss or the likelihood can explain."""
    name = model.likelihood if model.family == "variational" else model.loss
    if name not in ("bernoulli", "binary_cross_entropy"):
        return
    for part in splits:
        low, high = float(np.min(part.x)), float(np.max(part.x))
        if low < 0 or high > 1:
            knob = "likelihood gaussian" if model.family == "variational" else "loss squared_error"
            raise UserError(
                f"{dataset}: {name} wants values in [0, 1], and they reach from {low:g} to {high:g}; "
                f"scale them, or take --{knob}"
            )

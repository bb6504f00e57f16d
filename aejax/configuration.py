"""What defines an experiment: frozen dataclasses, their checks, their JSON. No JAX, so `--help` is quick."""

import dataclasses
import functools
import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)

from aejax.errors import UserError

Fraction = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # beyond them JAX's keys repeat
_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Data:
    """What to learn from, and how it is divided."""

    __pydantic_config__ = _STRICT

    dataset: str = "digits"
    """digits (comes with the package), a .npy or .npz file of your own, or the name of a TFDS image set such as
    fashion_mnist, prepared by scripts/prepare_data.py."""
    labels: str | None = None
    """A .npy file of integer labels for a file of your own; they only color the figures."""
    data_dir: str | None = None
    """Where TFDS sets are prepared; TFDS's own default if not given."""
    validation_fraction: Fraction = 0.1
    """Part of the examples held out for early stopping."""
    test_fraction: Fraction = 0.2
    """Part held out for the final evaluation; a TFDS set with a test split of its own keeps that."""
    split_seed: Seed = 0
    """Seed of the division, apart from the training seed: runs with other seeds are tested on the same examples."""


@dataclass(frozen=True)
class Model:
    """The family, its networks and its loss."""

    __pydantic_config__ = _STRICT

    family: Literal["undercomplete", "variational"] = "variational"
    """undercomplete: a plain autoencoder; variational: a VAE. Both can be made denoising and contractive below."""
    network: Literal["mlp", "conv"] = "mlp"
    """mlp: dense layers on examples of any shape; conv: convolutions with pooling on images."""
    hidden: tuple[PositiveInt, ...] = (200,)
    """mlp: widths of the encoder's hidden layers; conv: channels of its blocks. The decoder mirrors them."""
    code_size: PositiveInt | None = 20
    """Length of the code. None, for conv only: the code is the last block's feature map."""
    activation: Literal["relu", "tanh", "sigmoid", "elu", "gelu", "silu", "softplus"] = "relu"
    """After every hidden layer."""
    loss: Literal["squared_error", "absolute_error", "binary_cross_entropy"] = "squared_error"
    """undercomplete: the reconstruction loss, summed over features."""
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    """variational: what the decoder's output means; bernoulli wants data in [0, 1]."""
    likelihood_variance: PositiveFloat = 1.0
    """variational: the fixed variance of a gaussian likelihood."""
    beta: NonNegativeFloat = 1.0
    """variational: weight of the KL divergence; 1 is the evidence lower bound."""
    corruption: Literal["none", "salt_and_pepper", "gaussian_noise", "masking"] = "none"
    """denoising: how the input is corrupted; the loss is taken against the clean example."""
    corruption_level: NonNegativeFloat = 0.1
    """denoising: the fraction of entries replaced, or the standard deviation of gaussian_noise."""
    contractive_weight: NonNegativeFloat = 0.0
    """contractive: weight of the squared Frobenius norm of the encoder's exact Jacobian; 0 leaves it out."""


@dataclass(frozen=True)
class Optimization:
    """Adam and what steers it."""

    __pydantic_config__ = _STRICT

    learning_rate: PositiveFloat = 1e-3
    """Step size of Adam, the highest that the schedule reaches."""
    schedule: Literal["constant", "cosine"] = "constant"
    """cosine falls to 0 over all epochs."""
    warmup_steps: NonNegativeInt = 0
    """Steps over which the learning rate first rises from 0."""
    clip_norm: PositiveFloat | None = None
    """Largest global norm of the gradient; None never clips."""
    weight_decay: NonNegativeFloat = 0.0
    """Decoupled weight decay (AdamW)."""


@dataclass(frozen=True)
class Training:
    """How long, in what portions, from which seed."""

    __pydantic_config__ = _STRICT

    batch_size: PositiveInt = 64
    """Examples per step, over all devices."""
    epochs: PositiveInt = 300
    """Passes over the training examples, at most."""
    evaluate_every: PositiveInt = 1
    """Epochs between evaluations on the validation examples; each writes one record of metrics."""
    patience: PositiveInt | None = 20
    """Evaluations in a row without improvement after which training stops; None never stops early."""
    min_delta: NonNegativeFloat = 0.0
    """What the validation loss must fall by to count as an improvement."""
    checkpoint_every: PositiveInt = 1
    """Epochs between checkpoints."""
    seed: Seed = 0
    """Of initialization, noise and order."""


@dataclass(frozen=True)
class Experiment:
    """All that a result depends on, but for rounding."""

    __pydantic_config__ = _STRICT

    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    optimization: Optimization = field(default_factory=Optimization)
    training: Training = field(default_factory=Training)


@functools.cache
def _adapter() -> TypeAdapter[Experiment]:
    return TypeAdapter(Experiment)


def to_json(experiment: Experiment) -> str:
    """The experiment as a JSON document.

    >>> from_json(to_json(Experiment()), name="config.json") == Experiment()
    True
    """
    return json.dumps(dataclasses.asdict(experiment), indent=2) + "\n"


def from_json(text: str | bytes, *, name: str) -> Experiment:
    """The experiment in a JSON document, checked field by field; UserError names `name` and the field that is wrong."""
    try:
        return _parse(text)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error


def check(experiment: Experiment) -> None:
    """Raise UserError, naming the knob, where a value is out of its range or does not go with the family."""
    _parse(to_json(experiment))


def _parse(text: str | bytes) -> Experiment:
    try:
        experiment = _adapter().validate_json(text)
    except ValidationError as error:
        raise UserError(_first_fault(error)) from error
    _check_family(experiment.model)
    return experiment


def differences(one: Experiment, other: Experiment) -> dict[str, tuple[Any, Any]]:
    """The knobs in which two experiments differ, with both values.

    >>> differences(Experiment(), Experiment(training=Training(seed=3)))
    {'seed': (0, 3)}
    """
    first, second = dataclasses.asdict(one), dataclasses.asdict(other)
    return {
        knob: (first[group][knob], second[group][knob])
        for group in first
        for knob in first[group]
        if first[group][knob] != second[group][knob]
    }


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    knob = ".".join(str(part) for part in fault["loc"]).encode("unicode_escape").decode()
    message = fault["msg"][0].lower() + fault["msg"][1:]
    got = f", got {fault['input']!r}" if isinstance(fault["input"], str | int | float | None) else ""
    return f"{knob}: {message}{got}" if knob else message


_KNOBS_OF_FAMILY = {
    "undercomplete": ("loss",),
    "variational": ("likelihood", "likelihood_variance", "beta"),
}


def _check_family(model: Model) -> None:
    plain = Model()
    for family, knobs in _KNOBS_OF_FAMILY.items():
        for knob in knobs:
            if model.family != family and getattr(model, knob) != getattr(plain, knob):
                raise UserError(f"{knob}: belongs to the family {family}, and the family is {model.family}")
    if model.code_size is None and model.network == "mlp":
        raise UserError("code_size: an mlp needs one; None is for conv")
    if not model.hidden and model.network == "conv":
        raise UserError("hidden: a conv network needs at least one block")
    if model.corruption in ("salt_and_pepper", "masking") and model.corruption_level > 1:
        raise UserError(f"corruption_level: a fraction is between 0 and 1, got {model.corruption_level}")

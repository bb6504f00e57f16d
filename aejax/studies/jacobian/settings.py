"""Configuration of a study: a frozen dataclass, its checks and presets. Does not import JAX, to keep `--help` fast."""

import dataclasses
import functools
import json
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, PositiveInt, TypeAdapter, ValidationError

from aejax.errors import UserError
from aejax.host.schema import NonNegative, Positive, first_error

MethodName = Literal["ae", "weight-decay", "dae-gaussian", "dae-masking", "cae", "cae-estimator"]
METHOD_NAMES: tuple[MethodName, ...] = ("ae", "weight-decay", "dae-gaussian", "dae-masking", "cae", "cae-estimator")
Fraction = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Study:
    """Everything that determines the results of a study, up to rounding error."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    dataset: str = "digits"
    """digits (included in the package), a .npz file with x in [0, 1] and labels, or the name of a TFDS image set, such
    as mnist, that `aejax prepare` has prepared."""
    data_dir: str | None = None
    """Folder of prepared TFDS sets; TFDS's default folder if not given."""
    train_examples: PositiveInt | None = None
    """Number of training examples to use, the first ones; all by default."""
    methods: tuple[MethodName, ...] = METHOD_NAMES
    """Methods to compare."""
    seeds: Annotated[int, Field(gt=0, le=1000)] = 5
    """Number of seeds per setting: 0, 1, ..."""
    contractive_weights: tuple[NonNegative, ...] = (0.01, 0.03, 0.1, 0.3, 1.0)
    """cae, cae-estimator: weights λ of ‖J‖_F², where J is the encoder's Jacobian and the reconstruction loss is a
    cross-entropy in nats; exact, and estimated from one random projection per example and step."""
    weight_decays: tuple[NonNegative, ...] = (0.0003, 0.001, 0.003, 0.01, 0.03)
    """weight-decay: weights λ of the sum of squared weights in the loss."""
    gaussian_deviations: tuple[NonNegative, ...] = (0.1, 0.2, 0.3, 0.5)
    """dae-gaussian: standard deviations σ of the noise that is added to the inputs."""
    masking_amounts: tuple[Fraction, ...] = (0.1, 0.25, 0.4, 0.55)
    """dae-masking: fractions ν of the inputs' features that are set to 0."""
    units: PositiveInt = 100
    """Number of sigmoid units of the hidden layer, whose weights the decoder shares."""
    epochs: PositiveInt = 80
    """Number of passes over the training examples."""
    batch_size: PositiveInt = 32
    """Number of examples per step."""
    learning_rate: Positive = 3e-3
    """Initial learning rate of Adam; it decreases to 0 over all epochs by a cosine schedule."""
    input_noise: NonNegative = 0.3
    """Standard deviation of the noise on test examples, for the measures under noise."""
    spectrum_examples: PositiveInt = 50
    """Number of test examples for the singular values of the Jacobian and the contraction curve."""

    def strengths(self, method: MethodName) -> tuple[float, ...]:
        """Returns the strengths of a method: λ, σ or ν; a single 0 for the plain autoencoder.

        >>> Study(weight_decays=(0.5,)).strengths("weight-decay"), Study().strengths("ae")
        ((0.5,), (0.0,))
        """
        return {
            "ae": (0.0,),
            "weight-decay": self.weight_decays,
            "dae-gaussian": self.gaussian_deviations,
            "dae-masking": self.masking_amounts,
            "cae": self.contractive_weights,
            "cae-estimator": self.contractive_weights,
        }[method]


PRESETS: dict[str, tuple[str, Study]] = {
    "digits": ("100 units on 8x8 handwritten digits, a few minutes on two cores", Study()),
    # S. Rifai et al. (2011), section 5: 1000 sigmoid units, tied weights, cross-entropy, λ chosen on validation data.
    "mnist": (
        "1000 units on MNIST, as in the paper; for a GPU, or with fewer training examples for a CPU",
        Study(
            dataset="mnist",
            units=1000,
            seeds=3,
            epochs=50,
            batch_size=100,
            learning_rate=2e-3,
            contractive_weights=(0.1, 0.3, 1.0, 3.0),
            weight_decays=(0.0003, 0.001, 0.003),
            gaussian_deviations=(0.3, 0.5, 1.0),
            masking_amounts=(0.1, 0.25, 0.5),
            spectrum_examples=16,
        ),
    ),
}


def to_json(study: Study) -> str:
    """Returns the study as a JSON document."""
    return json.dumps(dataclasses.asdict(study), indent=2) + "\n"


def from_json(text: str | bytes, *, name: str) -> Study:
    """Returns the study in a JSON document, checked.

    Args:
      text: the document.
      name: what error messages call the document.

    Raises:
      UserError: the document is no valid study.

    >>> from_json(to_json(Study()), name="config.json") == Study()
    True
    """
    try:
        study = _adapter().validate_json(text)
        check(study)
    except ValidationError as error:
        raise UserError(f"{name}: {first_error(error)}") from error
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    return study


def check(study: Study) -> None:
    """Raises UserError, with the knob's name, if a value is out of range or a list is empty or has duplicates.

    >>> check(Study(seeds=0))
    Traceback (most recent call last):
    ...
    aejax.errors.UserError: seeds: input should be greater than 0, got 0
    """
    try:
        _adapter().validate_json(to_json(study))
    except ValidationError as error:
        knob, message = first_error(error).split(": ", 1)
        raise UserError(f"{knob.partition('.')[0]}: {message}") from error  # without the index in a list
    lists = {field.name: getattr(study, field.name) for field in dataclasses.fields(study)}
    for knob, values in lists.items():
        if isinstance(values, tuple) and len(set(values)) < max(len(values), 1):
            got = ", ".join(map(str, values)) or "none"
            raise UserError(f"{knob}: must have at least one value and no duplicates, got {got}")


@functools.cache
def _adapter() -> TypeAdapter[Study]:
    return TypeAdapter(Study)

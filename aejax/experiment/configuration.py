"""What defines an experiment: frozen dataclasses, their checks, their JSON. No JAX, so `--help` is quick."""

import dataclasses
import functools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)
from typing_extensions import Doc

from aejax.errors import UserError
from aejax.experiment.architectures import NETWORKS, architecture_of
from aejax.experiment.conditions import GoesWith, check_conditions
from aejax.experiment.part_knobs import AddsPart
from aejax.experiment.upgrades import Upgrade, unchanged, upgraded
from aejax.host.schema import NonNegative, Positive, first_error, parse_json

Fraction = Annotated[float, Field(gt=0, lt=1)]
Steps = Annotated[int, Field(gt=0, lt=2**31)]  # as many as an int32 counts on the devices
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # beyond them JAX's keys repeat
_VARIATIONAL = GoesWith("family", ("variational",))
_WITH_OWN_LAYERS = GoesWith("family", ("undercomplete", "k_sparse"))
_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
if TYPE_CHECKING:
    Network = str  # whose choices are rows, not types
else:
    _SUMMARIES = "; ".join(f"{name}: {summary}" for name, (summary, _) in NETWORKS.items())
    Network = Annotated[Literal[tuple(NETWORKS)], Doc(f"{_SUMMARIES}.")]


@dataclass(frozen=True)
class Data:
    """What to learn from, and how it is divided."""

    __pydantic_config__ = _STRICT

    dataset: str = "digits"
    """digits (comes with the package), ecg5000 (heartbeats), jsb_chorales (piano rolls) or documents (scanned pages),
    from files, a .npy or .npz file of your own, a folder of your own with the images noisy/NAME and clean/NAME, or a
    TFDS image set such as fashion_mnist, prepared by `aejax prepare`."""
    labels: str | None = None
    """A .npy file with the class of every example for a file of your own, integers or text; they color the figures, and
    are the conditions of a conditional model."""
    byte_values: Literal["auto", "scaled", "as_is"] = "auto"
    """What bytes (uint8) in a file of your own are: gray values, divided by 255 (scaled), or masks, classes or counts,
    taken as they are (as_is); auto: gray values where they reach 128 and one in a hundred of those above 0 is 64 or
    more, and never with a poisson likelihood. What is decided is printed and kept with the run."""
    data_dir: str | None = None
    """Where TFDS sets are prepared; TFDS's own default if not given. ecg5000, jsb_chorales and documents: what the
    folder of that name lies in; AEJAX_DATA_DIR if not given."""
    validation_fraction: Fraction = 0.1
    """Part of the examples held out for early stopping."""
    test_fraction: Fraction = 0.2
    """Part held out for the final evaluation; a TFDS set with a test split of its own keeps that."""
    split_seed: Seed = 0
    """Seed of the division, apart from the training seed: runs with other seeds are tested on the same examples."""
    shift: NonNegativeInt = 0
    """Pixels by which images that are trained on are moved at random, at most, up or down and sideways, anew at every
    step: more of them to learn from, and less to learn by heart. 0 leaves them where they are."""
    window: PositiveInt = 16
    """jsb_chorales: quarter notes of an example."""
    crop: PositiveInt = 64
    """documents: pixels of a side of the squares that are trained on."""
    crops_per_page: PositiveInt = 96
    """documents: how many of them are cut from every page to train on, at random places."""


@dataclass(frozen=True)
class Model:
    """The family, its networks and its loss."""

    __pydantic_config__ = _STRICT

    family: Annotated[Literal["undercomplete", "tied", "k_sparse", "variational"], AddsPart("{}")] = "variational"
    """undercomplete: a plain autoencoder; tied: one whose decoder uses the encoder's weights; k_sparse: one that keeps
    the largest entries of its code; variational: a VAE. What else the code is to be stands further below."""
    network: Network = "mlp"
    hidden: tuple[PositiveInt, ...] = (200,)
    """Widths of the encoder's hidden layers or, of a convolutional network, channels of its blocks. The decoder mirrors
    them."""
    code_size: PositiveInt | None = 20
    """Length of the code. None, for conv: the code is the last block's feature map; for unet: all maps."""
    activation: Literal["relu", "tanh", "sigmoid", "elu", "gelu", "silu", "softplus"] = "relu"
    """After every hidden layer; tied: after the code too."""
    code_activation: Annotated[Literal["none", "relu", "sigmoid", "tanh"], _WITH_OWN_LAYERS] = "none"
    """undercomplete and k_sparse: after the code."""
    active_entries: Annotated[PositiveInt, GoesWith("family", ("k_sparse",))] = 10
    """k_sparse: how many entries of a code are kept."""
    conditional: Annotated[bool, AddsPart("conditional")] = False
    """Tell encoder and decoder the class of every example, from the data's labels."""
    loss: Annotated[
        Literal["squared_error", "absolute_error", "huber", "binary_cross_entropy", "structural_dissimilarity"],
        GoesWith("family", ("undercomplete", "tied", "k_sparse")),
    ] = "squared_error"
    """All but variational: the reconstruction loss, summed over features."""
    output_activation: Annotated[
        Literal["none", "sigmoid"],
        _WITH_OWN_LAYERS,
        GoesWith("loss", ("squared_error", "absolute_error", "huber", "structural_dissimilarity")),
    ] = "none"
    """undercomplete and k_sparse: after the decoder; sigmoid suits data in [0, 1]. binary_cross_entropy has its own."""
    likelihood: Annotated[
        Literal[
            "bernoulli",
            "continuous_bernoulli",
            "gaussian",
            "gaussian_with_global_variance",
            "gaussian_with_predicted_variance",
            "laplace",
            "poisson",
            "beta",
        ],
        _VARIATIONAL,
    ] = "bernoulli"
    """variational: what the decoder's output means; bernoulli expects data in [0, 1], poisson counts."""
    likelihood_variance: Annotated[Positive, _VARIATIONAL, GoesWith("likelihood", ("gaussian", "laplace"))] = 1.0
    """variational: the fixed variance of a gaussian or laplace likelihood."""
    standardize: Annotated[Literal["auto", "none", "feature", "global"], AddsPart("standardized")] = "auto"
    """Whether data are standardized inside the model, which encodes and decodes in their own units: auto does so where
    they are far from unit scale and the loss takes any number; feature by the mean and standard deviation of each
    feature, global by those of all numbers. The loss, a likelihood_variance and weights are then those of standardized
    data, log-densities those of the data. Of poisson the encoder reads log(1 + count), and rates start at the mean."""
    autoencoder: str | None = None
    """A Python file of your own with build(facts) -> Autoencoder, in place of all knobs of the model and of its loss.
    The run folder gets a copy, and whoever opens the run is asked to trust it."""
    compute_dtype: Annotated[
        Literal["float32", "bfloat16"], GoesWith("family", ("undercomplete", "k_sparse", "variational"))
    ] = "float32"
    """What the networks compute in; bfloat16 halves their memory and is faster on GPUs and TPUs. Parameters, codes and
    losses are float32 in any case."""


@dataclass(frozen=True)
class Regularization:
    """What the code is to be besides short; all of it can be combined where it makes sense."""

    __pydantic_config__ = _STRICT

    corruption: Annotated[
        Literal["none", "salt_and_pepper", "gaussian_noise", "masking", "gaussian_blur"], AddsPart("denoising")
    ] = "none"
    """denoising: how the input is corrupted; the loss is taken against the clean example."""
    corruption_level: Annotated[
        NonNegative, GoesWith("corruption", ("salt_and_pepper", "gaussian_noise", "masking", "gaussian_blur"))
    ] = 0.1
    """denoising: the fraction of entries replaced, or the standard deviation of gaussian_noise (in the data's unit; in
    standard deviations where data are standardized) or of gaussian_blur (in pixels)."""
    contractive_weight: Annotated[NonNegative, AddsPart("contractive")] = 0.0
    """contractive: weight of the squared Frobenius norm of the encoder's exact Jacobian; 0 leaves it out."""
    contractive_projections: Annotated[PositiveInt | None, GoesWith("contractive_weight")] = None
    """contractive: estimate that norm from so many random projections; None computes it exactly."""
    higher_order_weight: Annotated[NonNegative, AddsPart("higher_order")] = 0.0
    """contractive: weight of how much the Jacobian changes under Gaussian noise (CAE+H); 0 leaves it out."""
    higher_order_noise: Annotated[Positive, GoesWith("higher_order_weight")] = 0.1
    """contractive: standard deviation of that noise."""
    sparse_weight: Annotated[NonNegative, AddsPart("sparse")] = 0.0
    """sparse: weight of the absolute values of the code; 0 leaves it out."""
    sparse_kl_weight: Annotated[NonNegative, AddsPart("sparse_kl")] = 0.0
    """sparse: weight of the divergence of each unit's mean activation from the target; wants a sigmoid code."""
    target_activation: Annotated[Fraction, GoesWith("sparse_kl_weight")] = 0.05
    """sparse: the target, rho, of sparse_kl_weight."""
    beta: Annotated[NonNegative, _VARIATIONAL, AddsPart("beta")] = 1.0
    """variational: weight of the KL divergence; 1 is the evidence lower bound."""
    beta_schedule: Annotated[Literal["constant", "linear", "cyclical"], _VARIATIONAL] = "constant"
    """variational: linear warms beta up from 0, cyclical does so several times."""
    beta_steps: Annotated[Steps, _VARIATIONAL, GoesWith("beta_schedule", ("linear", "cyclical"))] = 1000
    """variational: steps of the warm-up, or of each cycle."""
    beta_cycles: Annotated[Steps, _VARIATIONAL, GoesWith("beta_schedule", ("cyclical",))] = 4
    """variational: cycles of the cyclical schedule."""
    free_bits: Annotated[NonNegative, _VARIATIONAL, AddsPart("free_bits")] = 0.0
    """variational: nats per unit of the code below which its divergence is not pressed."""
    prior: Annotated[Literal["normal", "mixture", "vamp"], _VARIATIONAL, AddsPart("{}_prior")] = "normal"
    """variational: mixture and vamp (VampPrior) learn a prior of several components."""
    prior_components: Annotated[PositiveInt, _VARIATIONAL, GoesWith("prior", ("mixture", "vamp"))] = 10
    """variational: the components of such a prior."""
    importance_samples: Annotated[PositiveInt | None, _VARIATIONAL, AddsPart("importance_weighted")] = None
    """variational: codes per example of the importance weighted bound (IWAE), which takes the place of the loss."""
    mmd_weight: Annotated[NonNegative, AddsPart("mmd_regularized")] = 0.0
    """Weight of the maximum mean discrepancy of codes and prior (InfoVAE, WAE); 0 leaves it out."""
    total_correlation_weight: Annotated[NonNegative, _VARIATIONAL, AddsPart("total_correlation_penalized")] = 0.0
    """variational: weight of the total correlation of the code, on top of its part in beta; 0 leaves it out."""


@dataclass(frozen=True)
class Optimization:
    """Adam and what steers it."""

    __pydantic_config__ = _STRICT

    learning_rate: Positive = 1e-3
    """Step size of Adam, the highest that the schedule reaches."""
    schedule: Literal["constant", "cosine"] = "constant"
    """cosine falls to 0 over all epochs."""
    warmup_steps: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Steps over which the learning rate first rises from 0."""
    clip_norm: Positive | None = None
    """Largest global norm of the gradient; None never clips."""
    weight_decay: NonNegative = 0.0
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
    min_delta: NonNegative = 0.0
    """What the validation loss must fall by to count as an improvement."""
    checkpoint_every: PositiveInt = 1
    """Epochs between checkpoints."""
    seed: Seed = 0
    """Of initialization, noise and order."""
    accumulation_steps: PositiveInt = 1
    """Into how many parts each device divides its share of a batch, one after the other, where memory is short; the
    result is that of the whole batch."""
    rematerialize: bool = False
    """Compute the inner values of encoder and decoder twice instead of keeping them for the gradient, where the memory
    of an accelerator is short; the result is the same."""


@dataclass(frozen=True)
class Experiment:
    """All that a result depends on, but for rounding."""

    __pydantic_config__ = _STRICT

    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    regularization: Regularization = field(default_factory=Regularization)
    optimization: Optimization = field(default_factory=Optimization)
    training: Training = field(default_factory=Training)


_OLDEST = 0  # the schema of a document that names none
_UPGRADES: tuple[Upgrade, ...] = (unchanged,)  # of version 0: it names no schema, and may lack knobs


@functools.cache
def _adapter() -> TypeAdapter[Experiment]:
    return TypeAdapter(Experiment)


def to_json(experiment: Experiment) -> str:
    """The experiment as a JSON document.

    >>> from_json(to_json(Experiment()), name="config.json") == Experiment()
    True
    """
    return json.dumps({"schema": _OLDEST + len(_UPGRADES), **dataclasses.asdict(experiment)}, indent=2) + "\n"


def from_json(text: str | bytes, *, name: str) -> Experiment:
    """The experiment in a JSON document, checked field by field; a document of an older version is upgraded.

    Raises:
      UserError: no such document, or one of a newer version; the message begins with `name` and names the field.
    """
    content = upgraded(parse_json(text, name=name), "schema", _UPGRADES, oldest=_OLDEST, missing=_OLDEST, name=name)
    try:
        return _parse(json.dumps(content))
    except UserError as error:
        raise UserError(f"{name}: {error}") from error


def check(experiment: Experiment) -> None:
    """Raise UserError, naming the knob, where a value is out of its range or does not go with the family."""
    _parse(json.dumps(dataclasses.asdict(experiment)))


def _parse(text: str) -> Experiment:
    try:
        experiment = _adapter().validate_json(text)
    except ValidationError as error:
        raise UserError(first_error(error)) from error
    _check_combination(experiment.model, experiment.regularization)
    if experiment.data.byte_values == "scaled" and has_counts(experiment.model):
        raise UserError("byte_values: scaled makes fractions of counts, and the likelihood is poisson: take as_is")
    if experiment.model.autoencoder is not None and experiment.training.rematerialize:
        raise UserError("rematerialize: has no effect on an autoencoder of your own: use aejax.networks.rematerialized")
    if experiment.model.family == "tied" and experiment.training.rematerialize:
        raise UserError("rematerialize: goes with an encoder and a decoder of their own, and the family is tied")
    return experiment


def has_counts(model: Model) -> bool:
    """Whether a model explains whole numbers, which are never gray values; of an own autoencoder it is not known."""
    return model.autoencoder is None and model.family == "variational" and model.likelihood == "poisson"


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


_UNBOUNDED = (
    *("squared_error", "absolute_error", "huber"),
    *("gaussian", "gaussian_with_global_variance", "gaussian_with_predicted_variance", "laplace"),
)


def can_standardize(model: Model) -> bool:
    """Whether the loss or the likelihood is one of any numbers, or of counts, so that data may be standardized.

    >>> can_standardize(Model(likelihood="gaussian")), can_standardize(Model(likelihood="bernoulli"))
    (True, False)
    """
    if model.family == "variational":
        return model.likelihood in (*_UNBOUNDED, "poisson")
    return model.loss in _UNBOUNDED and model.output_activation == "none"


def _check_combination(model: Model, regularization: Regularization) -> None:
    """Refuse a value that would have no effect, and what no network can do."""
    if model.autoencoder is not None:
        for group in (model, regularization):
            for own in dataclasses.fields(group):
                if own.name != "autoencoder" and getattr(group, own.name) != own.default:
                    raise UserError(
                        f"{own.name}: has no effect on an autoencoder of your own, {model.autoencoder}: leave it out"
                    )
        return
    check_conditions(model, regularization)
    network = architecture_of(model.network)
    if model.code_size is None and not network.has_map_code:
        others = " and ".join(name for name in NETWORKS if architecture_of(name).has_map_code)
        raise UserError(f"code_size: network {model.network} needs one; None is for {others}")
    if not network.has_vector_code and (model.code_size is not None or model.family != "undercomplete"):
        raise UserError(
            f"network: {model.network} goes with family undercomplete and code_size None: its code is larger than the "
            "image, and corruption, or pairs of noisy and clean, make it learn"
        )
    if model.standardize in ("feature", "global") and not can_standardize(model):
        if model.output_activation != "none":
            bounded = f"output_activation {model.output_activation}"
        else:
            bounded = f"likelihood {model.likelihood}" if model.family == "variational" else f"loss {model.loss}"
        raise UserError(f"standardize: {model.standardize} goes with a loss of any numbers, and {bounded} is none")
    if model.standardize == "feature" and model.code_size is None:
        raise UserError(
            "standardize: feature goes with a code_size: without one the network takes images of any size; use global"
        )
    if not model.hidden and model.family != "tied" and model.activation != Model.activation:
        raise UserError("activation: is that of hidden layers, and there are none")
    if not model.hidden and not network.is_dense:
        raise UserError(f"hidden: a {model.network} network needs at least one block")
    if model.family == "tied" and not network.is_dense:
        raise UserError(f"network: tied weights are those of dense layers, mlp, not {model.network}")
    if regularization.corruption in ("salt_and_pepper", "masking") and regularization.corruption_level > 1:
        raise UserError(f"corruption_level: a fraction is between 0 and 1, got {regularization.corruption_level}")
    if model.family == "k_sparse" and model.code_size is not None and model.code_size >= 2**31:
        raise UserError(f"code_size: k_sparse sorts fewer than {2**31:,} entries, got {model.code_size:,}")
    if model.family == "k_sparse" and model.code_size is not None and model.active_entries > model.code_size:
        raise UserError(f"active_entries: must be at most the code_size, {model.code_size}, got {model.active_entries}")
    is_sigmoid = (model.activation if model.family == "tied" else model.code_activation) == "sigmoid"
    if regularization.sparse_kl_weight and model.family in ("undercomplete", "tied") and not is_sigmoid:
        knob = "activation" if model.family == "tied" else "code_activation"
        raise UserError(f"sparse_kl_weight: wants codes between 0 and 1: take {knob} sigmoid")
    if regularization.higher_order_weight and "relu" in (model.activation, model.code_activation):
        raise UserError(
            "higher_order_weight: wants a smooth activation, such as tanh or softplus: the gradient does not see how "
            "the kinks of relu move"
        )
    if regularization.higher_order_weight and (network.has_maxima or model.family == "k_sparse"):
        choice = model.network if network.has_maxima else "k_sparse"
        raise UserError(
            f"higher_order_weight: wants a smooth encoder, and {choice} takes maxima: the gradient does not "
            "see how they change places"
        )
    if regularization.contractive_projections is not None and regularization.higher_order_weight:
        raise UserError("contractive_projections: the higher-order term is exact: leave one of the two out")
    if model.code_size is None and (regularization.mmd_weight or regularization.total_correlation_weight):
        raise UserError("mmd_weight and total_correlation_weight: want a code that is a vector: give a code_size")

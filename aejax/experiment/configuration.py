"""An experiment's configuration: frozen dataclasses, their checks and their JSON. Imports no JAX: `--help` is quick."""

import dataclasses
import functools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, PositiveInt, TypeAdapter, ValidationError
from typing_extensions import Doc

from aejax.errors import UserError, knob_name
from aejax.experiment.architectures import NETWORKS, architecture_of
from aejax.experiment.conditions import Requires, check_conditions
from aejax.experiment.data_knobs import Data as Data
from aejax.experiment.data_knobs import check_data_knobs
from aejax.experiment.dictionary_knobs import DICTIONARIES, SELECTING, Dictionary, check_dictionary
from aejax.experiment.part_knobs import AddsPart
from aejax.experiment.upgrades import Upgrade, unchanged, upgraded
from aejax.host.schema import Fraction, NonNegative, Positive, Seed, first_error, parse_json

Steps = Annotated[int, Field(gt=0, lt=2**31)]  # devices count steps in an int32
_VARIATIONAL = Requires("family", ("variational",))
_WITH_OWN_LAYERS = Requires("family", ("undercomplete", "k_sparse"))
_WITH_LAYERS = Requires("family", ("undercomplete", "tied", "k_sparse", "variational"))
_WITH_NETWORKS = ("undercomplete", "k_sparse", "variational")
_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
if TYPE_CHECKING:
    Network = str  # its choices are rows of NETWORKS, which a type checker cannot read
else:
    _SUMMARIES = "; ".join(f"{name}: {summary}" for name, (summary, _) in NETWORKS.items())
    Network = Annotated[Literal[tuple(NETWORKS)], Doc(f"{_SUMMARIES}.")]


@dataclass(frozen=True)
class Model:
    """The family of autoencoder, its networks and its loss."""

    __pydantic_config__ = _STRICT

    family: Annotated[
        Literal[
            "undercomplete",
            "tied",
            "k_sparse",
            "variational",
            "l1_dictionary",
            "top_k",
            "batch_top_k",
            "jump_relu",
            "gated",
            "matryoshka",
        ],
        AddsPart("{}"),
    ] = "variational"
    """undercomplete: a plain autoencoder; tied: its decoder uses the encoder's weights; k_sparse: it keeps the largest
    entries of the code; variational: a VAE; the others: dictionaries of two linear maps, whose code_size is the number
    of units. The regularizers below can be added."""
    network: Annotated[Network, _WITH_LAYERS] = "mlp"
    hidden: Annotated[tuple[PositiveInt, ...], _WITH_LAYERS] = (200,)
    """Widths of the encoder's hidden layers, or channels of a convolutional network's blocks. The decoder mirrors the
    encoder."""
    code_size: PositiveInt | None = 20
    """Dimension of the code. None: the code is the last block's feature map (conv) or all feature maps (unet)."""
    activation: Annotated[Literal["relu", "tanh", "sigmoid", "elu", "gelu", "silu", "softplus"], _WITH_LAYERS] = "relu"
    """Activation of every hidden layer; tied: of the code too."""
    code_activation: Annotated[Literal["none", "relu", "sigmoid", "tanh"], _WITH_OWN_LAYERS] = "none"
    """undercomplete and k_sparse: activation of the code."""
    active_entries: Annotated[PositiveInt, Requires("family", ("k_sparse", *SELECTING))] = 10
    """k_sparse, top_k: number of entries of a code that are kept; batch_top_k, matryoshka: their mean over a batch."""
    conditional: Annotated[bool, AddsPart("conditional")] = False
    """Condition encoder and decoder on the class of every example, from the data's labels."""
    loss: Annotated[
        Literal[
            "squared_error", "absolute_error", "huber", "binary_cross_entropy", "structural_dissimilarity", "table"
        ],
        Requires("family", ("undercomplete", "tied", "k_sparse")),
        AddsPart("tabular"),
    ] = "squared_error"
    """Every family but variational: the reconstruction loss, summed over features. table: for the columns of a table,
    squared errors of standardized numbers and cross-entropies of classes."""
    output_activation: Annotated[
        Literal["none", "sigmoid"],
        _WITH_OWN_LAYERS,
        Requires("loss", ("squared_error", "absolute_error", "huber", "structural_dissimilarity")),
    ] = "none"
    """undercomplete and k_sparse: activation of the decoder's output; sigmoid suits data in [0, 1].
    binary_cross_entropy applies its own sigmoid."""
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
            "discretized_logistic",
            "table",
        ],
        _VARIATIONAL,
    ] = "bernoulli"
    """variational: the distribution of an example given its code; bernoulli expects data in [0, 1], poisson counts,
    discretized_logistic bytes divided by 255, of which it reports bits per dimension;
    table: each column of a table has the distribution of its kind."""
    likelihood_variance: Annotated[Positive, _VARIATIONAL, Requires("likelihood", ("gaussian", "laplace", "table"))] = (
        1.0
    )
    """variational: the fixed variance of a gaussian or laplace likelihood; table: of every standardized number."""
    standardize: Annotated[Literal["auto", "none", "feature", "global", "centered"], AddsPart("standardized")] = "auto"
    """Standardize data inside the model; its inputs and outputs stay in the data's units. feature: by the mean and
    standard deviation of each feature; global: by those of all values; centered: by the mean of each feature and one
    scale, so that the mean squared norm is the number of features; auto: centered for dictionaries, and otherwise only
    if the data are far from unit scale and the loss accepts any number. The loss, likelihood_variance and weights then
    refer to standardized data, log-densities to the original data. With poisson, the encoder reads log(1 + count) and
    rates start at the mean."""
    autoencoder: str | None = None
    """Your own Python file with build(facts) -> Autoencoder. It replaces all knobs of the model and of its loss. The
    run folder stores a copy, which runs only for users who pass --trust-code."""
    compute_dtype: Annotated[Literal["float32", "bfloat16"], Requires("family", (*_WITH_NETWORKS, *DICTIONARIES))] = (
        "float32"
    )
    """Number format of the networks' computation; bfloat16 halves their memory and is faster on GPUs and TPUs.
    Parameters, codes and losses are always float32."""
    upper_code_sizes: Annotated[tuple[PositiveInt, ...], _VARIATIONAL, AddsPart("hierarchical")] = ()
    """variational: sizes of further stochastic layers above the code, such as 50 above a code_size of 100, each given
    the one below. The run's code is the concatenation of all layers; the decoder's output depends on the first one."""
    upper_hidden: Annotated[tuple[PositiveInt, ...], _VARIATIONAL, Requires("upper_code_sizes")] = (100,)
    """variational: widths of the hidden layers between two stochastic layers, in both directions."""


@dataclass(frozen=True)
class Regularization:
    """Regularizers. They can be combined; combinations that have no meaning are refused."""

    __pydantic_config__ = _STRICT

    corruption: Annotated[
        Literal["none", "salt_and_pepper", "gaussian_noise", "masking", "gaussian_blur"], AddsPart("denoising")
    ] = "none"
    """denoising: how the input is corrupted; the target is the clean example."""
    corruption_level: Annotated[
        NonNegative, Requires("corruption", ("salt_and_pepper", "gaussian_noise", "masking", "gaussian_blur"))
    ] = 0.1
    """denoising: the fraction of entries replaced, or the standard deviation of gaussian_noise (in the data's unit, or
    in standard deviations if data are standardized) or of gaussian_blur (in pixels)."""
    contractive_weight: Annotated[NonNegative, AddsPart("contractive")] = 0.0
    """contractive: weight of the squared Frobenius norm of the encoder's exact Jacobian; 0 disables it."""
    contractive_projections: Annotated[PositiveInt | None, Requires("contractive_weight")] = None
    """contractive: number of random projections that estimate that norm; None computes it exactly."""
    higher_order_weight: Annotated[NonNegative, AddsPart("higher_order")] = 0.0
    """contractive: weight of the Jacobian's squared change under Gaussian noise (CAE+H); 0 disables it."""
    higher_order_noise: Annotated[Positive, Requires("higher_order_weight")] = 0.1
    """contractive: standard deviation of that noise."""
    sparse_weight: Annotated[NonNegative, AddsPart("sparse")] = 0.0
    """sparse: weight of the sum of the code's absolute values; 0 disables it."""
    sparse_kl_weight: Annotated[NonNegative, AddsPart("sparse_kl")] = 0.0
    """sparse: weight of the KL divergence of each unit's mean activation from target_activation; requires a sigmoid
    code; 0 disables it."""
    target_activation: Annotated[Fraction, Requires("sparse_kl_weight")] = 0.05
    """sparse: target mean activation, rho, for sparse_kl_weight."""
    l2_weight: Annotated[NonNegative, AddsPart("l2_regularized")] = 0.0
    """Weight of the sum of squared weights of encoder and decoder in the loss; 0 disables it. --weight-decay is
    decoupled from the loss instead."""
    beta: Annotated[NonNegative, _VARIATIONAL, AddsPart("beta")] = 1.0
    """variational: weight of the KL divergence; 1 is the evidence lower bound."""
    beta_schedule: Annotated[Literal["constant", "linear", "cyclical"], _VARIATIONAL] = "constant"
    """variational: linear increases beta from 0 once, cyclical several times."""
    beta_steps: Annotated[Steps, _VARIATIONAL, Requires("beta_schedule", ("linear", "cyclical"))] = 1000
    """variational: steps of the warm-up, or of each cycle."""
    beta_cycles: Annotated[Steps, _VARIATIONAL, Requires("beta_schedule", ("cyclical",))] = 4
    """variational: cycles of the cyclical schedule."""
    free_bits: Annotated[NonNegative, _VARIATIONAL, AddsPart("free_bits")] = 0.0
    """variational: nats per unit of the code below which its KL divergence is not penalized."""
    prior: Annotated[Literal["normal", "mixture", "vamp"], _VARIATIONAL, AddsPart("{}_prior")] = "normal"
    """variational: the prior of the code; mixture and vamp (VampPrior) are learned and have several components."""
    prior_components: Annotated[PositiveInt, _VARIATIONAL, Requires("prior", ("mixture", "vamp"))] = 10
    """variational: number of components of a mixture or vamp prior."""
    importance_samples: Annotated[PositiveInt | None, _VARIATIONAL, AddsPart("importance_weighted")] = None
    """variational: codes per example of the importance weighted bound (IWAE), which replaces the loss; None disables
    it."""
    importance_bound: Annotated[
        Literal["iwae", "miwae", "piwae", "ciwae"],
        _VARIATIONAL,
        Requires("importance_samples"),
        AddsPart("multiply_importance_weighted"),
        AddsPart("partially_importance_weighted"),
        AddsPart("combination_importance_weighted"),
    ] = "iwae"
    """variational: miwae: the mean of importance_groups bounds; piwae: that for the encoder, the bound of all their
    samples together for the decoder; ciwae: between the evidence lower bound and the importance weighted one."""
    importance_groups: Annotated[PositiveInt, _VARIATIONAL, Requires("importance_bound", ("miwae", "piwae"))] = 8
    """variational: number of bounds, each of importance_samples codes."""
    importance_elbo_weight: Annotated[
        float, Field(ge=0, le=1), _VARIATIONAL, Requires("importance_bound", ("ciwae",))
    ] = 0.5
    """variational: the share of the evidence lower bound in ciwae."""
    importance_gradient: Annotated[Literal["plain", "dreg", "stl"], _VARIATIONAL, Requires("importance_samples")] = (
        "plain"
    )
    """variational: estimator of the encoder's gradient. dreg: doubly reparameterized, with less noise than plain; stl:
    path gradient, biased with more than one sample."""
    mmd_weight: Annotated[NonNegative, AddsPart("mmd_regularized")] = 0.0
    """Weight of the maximum mean discrepancy between codes and prior (InfoVAE, WAE); 0 disables it."""
    total_correlation_weight: Annotated[NonNegative, _VARIATIONAL, AddsPart("total_correlation_penalized")] = 0.0
    """variational: weight of the code's total correlation, in addition to its share of the KL divergence weighted by
    beta; 0 disables it."""


@dataclass(frozen=True)
class Optimization:
    """The optimizer: Adam, its learning rate and its regularization."""

    __pydantic_config__ = _STRICT

    learning_rate: Positive = 1e-3
    """Learning rate of Adam, the maximum of the schedule."""
    schedule: Literal["constant", "cosine", "linear_at_end"] = "constant"
    """Schedule of the learning rate; cosine decays it to 0 over all epochs, linear_at_end over the last fifth of the
    steps."""
    warmup_steps: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Steps over which the learning rate first increases from 0."""
    clip_norm: Positive | None = None
    """Maximum global norm of the gradient; None disables clipping."""
    weight_decay: NonNegative = 0.0
    """Coefficient of decoupled weight decay (AdamW)."""


@dataclass(frozen=True)
class Training:
    """The training loop: batches, epochs, evaluation, early stopping, checkpoints, seed."""

    __pydantic_config__ = _STRICT

    batch_size: PositiveInt = 64
    """Examples per step, over all devices together."""
    epochs: PositiveInt = 300
    """Maximum number of passes over the training examples."""
    evaluate_every: PositiveInt = 1
    """Epochs between evaluations on the validation examples; each writes one record of metrics."""
    patience: PositiveInt | None = 20
    """Consecutive evaluations without improvement after which training stops; None disables early stopping."""
    min_delta: NonNegative = 0.0
    """Minimum decrease of the validation loss that counts as an improvement."""
    checkpoint_every: PositiveInt = 1
    """Epochs between checkpoints."""
    seed: Seed = 0
    """Seed of the initialization, the noise and the order of examples."""
    accumulation_steps: PositiveInt = 1
    """Number of microbatches that each device divides its share of a batch into. More need less memory; the result is
    the same up to rounding error."""
    rematerialize: bool = False
    """Recompute the activations of encoder and decoder for the gradient instead of keeping them. It needs less
    accelerator memory; the result is the same."""


@dataclass(frozen=True)
class Experiment:
    """A full configuration: everything that a result depends on, up to rounding error."""

    __pydantic_config__ = _STRICT

    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    dictionary: Dictionary = field(default_factory=Dictionary)
    regularization: Regularization = field(default_factory=Regularization)
    optimization: Optimization = field(default_factory=Optimization)
    training: Training = field(default_factory=Training)


def _with_channels_last(content: dict[str, Any]) -> dict[str, Any]:
    """Returns a configuration of version 1, which kept the axes of all arrays."""
    data = content.get("data")
    if isinstance(data, dict) and str(data.get("dataset")).lower().endswith((".npy", ".npz")):
        return content | {"data": {"channels": "last", **data}}
    return content


_OLDEST = 0  # the version of a document without a schema version
_UPGRADES: tuple[Upgrade, ...] = (unchanged, _with_channels_last)  # version 0 has no schema version, and may lack knobs


@functools.cache
def _adapter() -> TypeAdapter[Experiment]:
    return TypeAdapter(Experiment)


def to_json(experiment: Experiment) -> str:
    """Returns the experiment as a JSON document.

    >>> from_json(to_json(Experiment()), name="config.json") == Experiment()
    True
    """
    return json.dumps({"schema": _OLDEST + len(_UPGRADES), **dataclasses.asdict(experiment)}, indent=2) + "\n"


def from_json(text: str | bytes, *, name: str) -> Experiment:
    """Returns the experiment in a JSON document, checked field by field; a document of an older version is upgraded.

    Args:
      text: the document.
      name: what error messages call the document.

    Raises:
      UserError: the document is no valid configuration or is of a newer version; the message names the field.
    """
    content = upgraded(parse_json(text, name=name), "schema", _UPGRADES, oldest=_OLDEST, missing=_OLDEST, name=name)
    try:
        return _parse(json.dumps(content))
    except UserError as error:
        raise UserError(f"{name}: {error}") from error


def check(experiment: Experiment) -> None:
    """Raise UserError, which names the knob, if a value is out of range or two values cannot be combined."""
    _parse(json.dumps(dataclasses.asdict(experiment)))


def _parse(text: str) -> Experiment:
    try:
        experiment = _adapter().validate_json(text)
    except ValidationError as error:
        raise UserError(first_error(error)) from error
    _check_combination(experiment.model, experiment.dictionary, experiment.regularization)
    if experiment.data.byte_values == "scaled" and has_counts(experiment.model):
        raise UserError("byte_values: likelihood poisson expects counts, and scaled divides bytes by 255: use as_is")
    if experiment.data.condition and experiment.model.conditional:
        raise UserError(
            "conditional: cannot be combined with condition; of a table, name the column of labels among the condition"
        )
    check_data_knobs(experiment.data)
    _check_dequantized(experiment.data, experiment.model)
    if experiment.model.autoencoder is not None and experiment.training.rematerialize:
        raise UserError("rematerialize: has no effect on your own autoencoder: use aejax.networks.rematerialized in it")
    if experiment.model.family not in _WITH_NETWORKS and experiment.training.rematerialize:
        raise UserError(
            f"rematerialize: requires family {' or '.join(_WITH_NETWORKS)}, but the family is {experiment.model.family}"
        )
    return experiment


def _check_dequantized(data: Data, model: Model) -> None:
    """Raise UserError for a likelihood that continuous values do not have."""
    if data.dequantize != "none" and model.family == "variational" and model.likelihood == "beta":
        raise UserError("dequantize: cannot be combined with likelihood beta, which excludes the levels 0 and 1")
    is_discrete = model.likelihood in ("bernoulli", "poisson", "discretized_logistic", "table")
    if data.dequantize != "none" and model.autoencoder is None and model.family == "variational" and is_discrete:
        raise UserError(
            f"dequantize: requires a likelihood that is a density, such as gaussian, but the likelihood is "
            f"{model.likelihood}"
        )


def has_counts(model: Model) -> bool:
    """Returns whether a model expects counts, which are never gray values; False for the user's own autoencoder."""
    return model.autoencoder is None and model.family == "variational" and model.likelihood == "poisson"


def uses_table(model: Model) -> bool:
    """Returns whether a model's loss or likelihood is that of a table; False for the user's own autoencoder."""
    if model.autoencoder is not None:
        return False
    return (model.likelihood if model.family == "variational" else model.loss) == "table"


def differences(one: Experiment, other: Experiment) -> dict[str, tuple[Any, Any]]:
    """Returns the knobs in which two experiments differ, with both values.

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
    """Returns whether data may be standardized: the loss or the likelihood accepts any number, or counts.

    >>> can_standardize(Model(likelihood="gaussian")), can_standardize(Model(likelihood="bernoulli"))
    (True, False)
    """
    if model.family == "variational":
        return model.likelihood in (*_UNBOUNDED, "poisson")
    return model.loss in _UNBOUNDED and model.output_activation == "none"


def _check_combination(model: Model, dictionary: Dictionary, regularization: Regularization) -> None:
    """Raise UserError for a value that would have no effect, and for values that cannot be combined."""
    if model.autoencoder is not None:
        for group in (model, dictionary, regularization):
            for own in dataclasses.fields(group):
                if own.name != "autoencoder" and getattr(group, own.name) != own.default:
                    raise UserError(
                        f"{own.name}: has no effect on your own autoencoder, {model.autoencoder}: leave it out"
                    )
        return
    check_conditions(model, dictionary, regularization)
    if model.family in DICTIONARIES:
        check_dictionary(dictionary, model.code_size, model.active_entries)
    network = architecture_of(model.network)
    if model.code_size is None and not network.has_map_code:
        others = " or ".join(name for name in NETWORKS if architecture_of(name).has_map_code)
        raise UserError(f"code_size: network {model.network} requires a number; None requires network {others}")
    if not network.has_vector_code and (model.code_size is not None or model.family != "undercomplete"):
        raise UserError(
            f"network: {model.network} requires family undercomplete and code_size None: its code is larger than the "
            "image, so train it with corruption or on pairs of noisy and clean images"
        )
    if model.standardize in ("feature", "global") and not can_standardize(model):
        if model.output_activation != "none":
            bounded, instead = f"output_activation {model.output_activation}", "output_activation none"
        elif model.family == "variational":
            bounded, instead = f"likelihood {model.likelihood}", "likelihood gaussian"
        else:
            bounded, instead = f"loss {model.loss}", "loss squared_error"
        raise UserError(
            f"standardize: {model.standardize} requires a loss that accepts any number, and {bounded} does not; use "
            f"{knob_name(instead)}, or {knob_name('standardize none')}"
        )
    if model.upper_code_sizes and model.code_size is None:
        raise UserError("upper_code_sizes: requires a code that is a vector: give a code_size")
    if model.upper_code_sizes and (regularization.prior != "normal" or regularization.free_bits):
        other = "free_bits" if regularization.prior == "normal" else f"prior {regularization.prior}"
        raise UserError(f"upper_code_sizes: cannot be combined with {other}: the layers are each other's prior")
    if model.standardize == "feature" and model.code_size is None:
        raise UserError(
            "standardize: feature requires a code_size: without one the network accepts images of any size; use global"
        )
    if not model.hidden and model.family != "tied" and model.activation != Model.activation:
        raise UserError("activation: has no effect, because there are no hidden layers")
    if not model.hidden and not network.is_dense:
        raise UserError(f"hidden: network {model.network} requires at least one block")
    if model.family == "tied" and model.loss == "table":
        raise UserError("loss: table requires logits of classes, which tied weights cannot return: use undercomplete")
    if uses_table(model) and regularization.corruption not in ("none", "masking"):
        raise UserError(
            f"corruption: {regularization.corruption} has no meaning for the columns of a table: use masking, which "
            "removes values at random"
        )
    if model.family == "tied" and not network.is_dense:
        raise UserError(f"network: family tied requires dense layers, network mlp, got {model.network}")
    if regularization.corruption in ("salt_and_pepper", "masking") and regularization.corruption_level > 1:
        raise UserError(
            f"corruption_level: {regularization.corruption} expects a fraction between 0 and 1, got "
            f"{regularization.corruption_level}"
        )
    if model.family == "k_sparse" and model.code_size is not None and model.code_size >= 2**31:
        raise UserError(f"code_size: family k_sparse expects fewer than {2**31:,} units, got {model.code_size:,}")
    selects = model.family in ("k_sparse", *SELECTING)
    if selects and model.code_size is not None and model.active_entries > model.code_size:
        raise UserError(f"active_entries: must be at most the code_size, {model.code_size}, got {model.active_entries}")
    is_sigmoid = (model.activation if model.family == "tied" else model.code_activation) == "sigmoid"
    if regularization.sparse_kl_weight and model.family in ("undercomplete", "tied") and not is_sigmoid:
        knob = "activation" if model.family == "tied" else "code_activation"
        raise UserError(f"sparse_kl_weight: requires codes between 0 and 1: use {knob} sigmoid")
    if regularization.higher_order_weight and "relu" in (model.activation, model.code_activation):
        raise UserError(
            "higher_order_weight: requires a smooth activation, such as tanh or softplus: the derivative of relu is "
            "piecewise constant, and its jumps have no gradient"
        )
    if regularization.higher_order_weight and (network.has_maxima or model.family == "k_sparse"):
        choice = model.network if network.has_maxima else "k_sparse"
        raise UserError(
            f"higher_order_weight: requires a smooth encoder, and {choice} computes maxima: the change of which entry "
            "is the largest has no gradient"
        )
    if regularization.contractive_projections is not None and regularization.higher_order_weight:
        raise UserError(
            "contractive_projections: cannot be combined with higher_order_weight, which is computed exactly: leave "
            "one of the two out"
        )
    if model.code_size is None and (regularization.mmd_weight or regularization.total_correlation_weight):
        raise UserError("mmd_weight and total_correlation_weight: require a code that is a vector: give a code_size")

"""The knobs of data: which data set, how it is read, divided and treated. Imports no JAX: `--help` is quick."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt

from aejax.errors import UserError
from aejax.host.schema import Fraction, Positive, Seed

FeatureSettingName = Literal["small", "synth_sae_bench_2k", "synth_sae_bench_16k"]


@dataclass(frozen=True)
class Data:
    """The data set, and how it is split."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    dataset: str = "digits"
    """One of: digits (included in the package); synthetic_features (sparse mixtures of known features) and sprites
    (images with known factors: shape, scale, orientation, x, y), both generated; ecg5000 (heartbeats), jsb_chorales
    (piano rolls), documents (scanned pages), bsd68 (gray photographs), natural_patches (patches of whitened
    photographs), frey_faces, olivetti_faces or cifar10_first4000 (faces and color images), read from --data-dir; your
    own .npy or .npz file, in which NaN after the end of sequences (N, T) or (N, T, C) is padding; your own folder with
    one .csv file per sequence, or with subfolders, which are classes, of .csv or .npy files; your own table, a .csv,
    .tsv or .parquet file with the names of its columns; your own folder of images, whose subfolders are classes (or
    train, validation and test), or with pairs of images noisy/NAME and clean/NAME; your own folder of activations in
    .npy, .npz or .safetensors files; a TFDS image set such as fashion_mnist, prepared by `aejax prepare`."""
    labels: str | None = None
    """For your own file: a .npy file with the class of every example, integers or text; of a table, also the name of a
    column, which is then left out of its rows. Classes color the figures, and are the conditions of a conditional
    model."""
    byte_values: Literal["auto", "scaled", "as_is"] = "auto"
    """How to read bytes (uint8) in your own file. scaled: gray values, divided by 255; as_is: masks, classes or counts,
    not divided; auto: scaled if the largest is at least 128 and at least 1 % of those above 0 are at least 64, but
    as_is with a poisson likelihood. The decision is printed and stored in the run folder."""
    channels: Literal["auto", "last", "first"] = "auto"
    """For your own file: whether examples are images (C, H, W), which are read as (H, W, C). first: they are; last:
    they are not; auto: by their shape, if C is 1, 3 or 4 and the other sides are above 4."""
    data_dir: str | None = None
    """The folder of prepared TFDS sets; TFDS's default if not given. For the other named sets
    but digits: the folder that contains their folders; AEJAX_DATA_DIR if not given."""
    validation_fraction: Fraction = 0.1
    """Fraction of the examples held out for early stopping."""
    test_fraction: Fraction = 0.2
    """Fraction of the examples held out for the final evaluation; a TFDS set that has a test split keeps it."""
    split_seed: Seed = 0
    """Seed of the split. It is separate from the training seed: runs with other seeds have the same test examples."""
    shift: NonNegativeInt = 0
    """Data augmentation: at every step, each training image is moved at random by at most this many pixels vertically
    and horizontally, which reduces overfitting. 0 disables it."""
    window: PositiveInt = 16
    """jsb_chorales: quarter notes per example."""
    crop: PositiveInt = 64
    """documents, bsd68 and natural_patches: side of the square training crops, in pixels."""
    crops_per_page: PositiveInt = 96
    """documents, bsd68 and natural_patches: number of training crops from every page or image, at random places."""
    image_size: tuple[PositiveInt, ...] | None = None
    """A folder of images: height and width that all are brought to, or one number for squares; None if they are equal
    in size. sprites: their size, 64 by default."""
    resize: Literal["crop", "stretch", "pad"] = "crop"
    """A folder of images: how image_size is reached. crop: the largest central part of that aspect ratio; stretch: the
    whole image, distorted; pad: the whole image, with a border of the background."""
    background: str | None = None
    """A folder of images: the color behind transparent pixels and around padded images, such as white or #f0f0f0."""
    color: Literal["auto", "gray", "rgb"] = "auto"
    """A folder of images: gray or rgb converts all; auto: as they are, if all are gray or all are in color."""
    columns: tuple[str, ...] = ()
    """A table: what some columns hold, instead of what is inferred from training rows. Each is COLUMN=KIND, of the
    kinds continuous, log_normal, count, binary, categorical, ordinal, date, identifier and leave_out, such as
    "Lot Area=log_normal", "Garage Qual=ordinal:Po,Fa,TA,Gd,Ex" or "sold=date:%d/%m/%Y"; or a .json file such as
    {"PID": "leave_out", "Garage Qual": {"kind": "ordinal", "classes": ["Po", "Fa", "TA", "Gd", "Ex"]}}."""
    missing_values: tuple[str, ...] = ()
    """A table: texts of missing cells, besides empty ones, NA, N/A, nan, null and ?."""
    unknown_categories: Literal["refuse", "missing", "own_class"] = "refuse"
    """A table: how a category that no training row has is read when the model is used. refuse: an error; missing: as a
    missing cell, as in validation and test rows; own_class: as the class (other), which the categories of fewer than 5
    training rows form too."""
    shards: str | None = None
    """A folder of activations: a pattern of the names of files, such as "layer_3*"; all that hold activations if not
    given."""
    skip_positions: NonNegativeInt = 0
    """A folder of activations (sequences, positions, features): rows at this many first positions of every sequence are
    left out. Language models have huge activations at the first one."""
    max_norm: Positive | None = None
    """A folder of activations: rows with a larger norm are left out and counted."""
    features: FeatureSettingName = "small"
    """synthetic_features: the setting of the generator. small: 512 features in 256 dimensions, 5 active;
    synth_sae_bench_16k: 16,384 in 768, 34 active, in trees, as in SynthSAEBench; synth_sae_bench_2k: 2,048 in 192, 11
    active, an eighth of it."""
    examples: PositiveInt = 50_000
    """synthetic_features and sprites: the number of examples; of sprites, a random sample of the combinations of
    factors, all 737,280 or those of factor_values."""
    feature_seed: Seed = 0
    """synthetic_features: the seed of the features and of the examples."""
    factor_values: tuple[str, ...] = ()
    """sprites: the combinations that are used. Each is FACTOR=VALUES, of the factors shape (square, ellipse, heart),
    scale (0 to 5), orientation (0 to 39), x and y (0 to 31), such as shape=square,heart scale=5 orientation=0:40:4; all
    values of factors that are not named."""
    condition: tuple[str, ...] = ()
    """What encoder and decoder are given besides the code, instead of a class: columns of a table, which are left out
    of its rows; entries of a .npz file, numbers or images of each example; or, of images, upper_half, lower_half,
    left_half or right_half, whose rest is then the example: the model completes images."""
    split_by: str | None = None
    """For your own file: the group of every example, such as a patient, of which none is in two splits: a .npy file, a
    table of one column, or a column of your table, which is left out of its rows. If all groups are train, validation
    and test, they name the splits."""
    split_order: Literal["random", "ascending"] = "random"
    """The order in which groups are divided. ascending: the smallest are training examples and the largest test
    examples, such as the newest dates. frey_faces: ascending divides the film in three pieces, random shuffles it."""
    validation_data: str | None = None
    """For your own file: another one with the validation examples."""
    test_data: str | None = None
    """For your own file: another one with the test examples."""
    binarize: Literal["none", "fixed", "dynamic", "stochastic"] = "none"
    """Make values in [0, 1] bits: a bernoulli likelihood of gray values is no likelihood. fixed: 1 from 1/2 on;
    stochastic: 1 with the value as its probability, drawn once by --noise-seed; dynamic: training examples drawn so
    anew in every epoch, validation and test examples once by --noise-seed."""
    dequantize: Literal["none", "uniform"] = "none"
    """Make levels in [0, 1], such as gray values of bytes, continuous: level k of n becomes (k + u) / n with uniform
    noise u, drawn anew in every epoch for training examples, and once by --noise-seed for the others. A density then
    has a number of bits per dimension; without it, a density of levels has no bound."""
    levels: Annotated[int, Field(ge=2)] = 256
    """dequantize: the number of levels, n; 256 for bytes."""
    noise_seed: Seed = 0
    """binarize and dequantize: seed of what is drawn once. It is separate from the training seed: runs with other seeds
    have the same test examples."""


def check_data_knobs(data: Data) -> None:
    """Raise UserError for knobs of the data that cannot be combined or have no effect."""
    if data.binarize != "none" and data.dequantize != "none":
        raise UserError("binarize: cannot be combined with dequantize: values are either bits or continuous")
    if data.dequantize == "none" and data.levels != Data.levels:
        raise UserError("levels: has no effect without dequantize uniform")
    if data.noise_seed != Data.noise_seed and data.dequantize == "none" and data.binarize in ("none", "fixed"):
        raise UserError("noise_seed: has no effect without binarize stochastic or dynamic, or dequantize uniform")
    _check_half(data)


def _check_half(data: Data) -> None:
    """Raise UserError for a change at every step that the rest of an image would have, but not its given half."""
    if len(data.condition) != 1:
        return
    from aejax.datasets.halves import HALVES  # NumPy is imported where it is used, so that --help answers at once

    [half] = data.condition
    if half not in HALVES:
        return
    combined = f"cannot be combined with condition {half}"
    if data.binarize == "dynamic":
        raise UserError(f"binarize: dynamic {combined}, which is not drawn anew in every epoch: use stochastic")
    if data.dequantize == "uniform":
        raise UserError(
            f"dequantize: uniform {combined}, which is not drawn anew in every epoch: leave one of them out"
        )
    if data.shift:
        raise UserError(f"shift: {combined}, which would not move with the rest of the image: leave one of them out")

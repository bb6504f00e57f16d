"""Image data sets that TensorFlow Datasets (TFDS) has prepared, by name, read without TensorFlow."""

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aejax.datasets.byte_values import ByteValues
from aejax.datasets.dataset import Splits, as_dataset, split
from aejax.datasets.paths import refuse_dataset
from aejax.datasets.source import Request, Source
from aejax.datasets.sources import names
from aejax.errors import UserError
from aejax.host.commands import verb_command
from aejax.host.files import check_tree
from aejax.host.suggestions import did_you_mean

_NAME = r"[a-z][a-z0-9_]*(/[\w+.-]+)?"  # a namespace before it would ask another host
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_BATCH = 1024  # records in one read


def load_tfds(
    name: str, *, data_dir: Path | None = None, validation_fraction: float, test_fraction: float = 0.2, seed: int
) -> Splits:
    """Images (N, H, W, C) in [0, 1] and, where the set has them, integer labels (N,).

    Test is the set's own test split, validation a random part of its train split. Where there is no test split, a
    part of the train split, disjoint from validation, takes its place. Splits of other names are not read.

    Args:
      name: `fashion_mnist`, or `emnist/letters` for a set in several configurations.
      data_dir: where it was prepared; None for TFDS's own default, TFDS_DATA_DIR or ~/tensorflow_datasets.
      validation_fraction: of the train split, in (0, 1).
      test_fraction: of the train split of a set without a test split, in (0, 1).
      seed: of the random parts.

    Raises:
      UserError: an unknown name, a set that is not prepared (the message holds the command that prepares it), in
        another file format than array_record, damaged, without 8-bit images or with images of several sizes.
    """
    builder = find_builder(name, data_dir)
    check_prepared(builder)
    check_images(builder)
    parts = [part for part in ("train", "test") if part in builder.info.splits]
    if "train" not in parts:
        raise UserError(f"{name} has no train split; it has {sorted(builder.info.splits)}")
    content = {part: _read(builder, part) for part in parts}
    # The bytes of dsprites and binarized_mnist are 0 and 1, not 0 and 255.
    binary = content["train"][0].max() <= 1
    how: ByteValues = "as_is" if binary else "scaled"
    train, *test = (as_dataset(x, y, name=name, byte_values=how) for x, y in content.values())
    fractions = (validation_fraction,) if test else (validation_fraction, test_fraction)
    return Splits(*split(train, fractions=fractions, seed=seed), *test)


def find_builder(name: str, data_dir: Path | None) -> Any:
    """The TFDS builder of this name, which knows the set's features and, once prepared, its files.

    Raises:
      UserError: an unknown name or configuration, or a prepared set whose description is damaged.
    """
    import tensorflow_datasets as tfds  # takes a third of a second to import
    from google.protobuf.json_format import ParseError

    if name in names():
        raise UserError(f"{name} is no set of TensorFlow Datasets, and needs no preparation")
    base, _, config = name.partition("/")
    if not re.fullmatch(_NAME, name):
        raise refuse_dataset(name, tfds.list_builders(with_community_datasets=False))
    root = Path(data_dir or tfds.core.constants.DATA_DIR)
    check_tree(root.expanduser() / base)
    try:
        with without_network():
            return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise refuse_dataset(name, tfds.list_builders(with_community_datasets=False)) from error
    except ImportError as error:
        raise UserError(f"{name} needs the package {missing_package(error)}") from error
    except OSError as error:
        raise UserError(f"{name} cannot be read: {first_line(error)}") from error
    except (ValueError, AssertionError, ParseError) as error:
        if config and config not in (configs := tfds.builder_cls(base).builder_configs):
            raise UserError(f"{base} has no configuration {config!r}{did_you_mean(config, configs)}") from error
        raise _damaged(root / base, first_line(error), _remedy(name, root)) from error


@contextlib.contextmanager
def without_network() -> Iterator[None]:
    """Builders are made from what is here.

    For a set that is not prepared TFDS asks its server for a description, and leaves a temporary folder behind in any
    case. What it would find there is found anew when the set is prepared.
    """
    from tensorflow_datasets.core.dataset_info import DatasetInfo

    ask = DatasetInfo.initialize_from_bucket
    DatasetInfo.initialize_from_bucket = lambda info: None
    try:
        yield
    finally:
        DatasetInfo.initialize_from_bucket = ask


def check_prepared(builder: Any) -> None:
    """Raise UserError, with the command that helps, unless the set is there, whole and as array_record."""
    folder, remedy = Path(builder.data_dir), _remedy(_full_name(builder), builder.data_dir_root)
    if not os.path.isdir(folder):  # where Path.is_dir raises, the folder is not there either
        raise UserError(f"{builder.name} is not prepared, there is no {folder}; prepare it with {remedy}")
    if not (folder / "dataset_info.json").is_file():
        raise _damaged(folder, "dataset_info.json is missing", remedy)
    formats = sorted(file_format.value for file_format in builder.info.available_file_formats())
    if "array_record" not in formats:
        elsewhere = Path(builder.data_dir_root) / "array_record"
        raise UserError(
            f"{folder} holds {' and '.join(formats)} files, and only array_record is read without TensorFlow; "
            f"write it to another folder with {_remedy(_full_name(builder), elsewhere)}"
        )


def check_images(builder: Any) -> None:
    """Raise UserError unless an example of the set has an image of bytes by the name of `image`."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    image = dict(features).get("image") if isinstance(features, tfds.features.FeaturesDict) else None
    if not isinstance(image, tfds.features.Image) or image.np_dtype != np.uint8:
        found = ", ".join(features) if isinstance(features, tfds.features.FeaturesDict) else type(features).__name__
        raise UserError(f"{builder.name} has no 8-bit images by the name of 'image'; its features: {found}")


def missing_package(error: ImportError) -> str:
    """The package that TFDS did not find; it raises some such errors once more without their name."""
    cause = error.__cause__
    return error.name or (cause.name if isinstance(cause, ImportError) else None) or first_line(error)


def count_examples(folder: Path) -> dict[str, int]:
    """How many examples each split of the set prepared in this folder has."""
    import tensorflow_datasets as tfds

    splits = tfds.builder_from_directory(folder).info.splits
    return {part: info.num_examples for part, info in splits.items()}


def first_line(error: Exception) -> str:
    """What an error says, in one line, or its type if it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(":") if lines else type(error).__name__


def _read(builder: Any, part: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Bytes (N, H, W, C) and labels (N,) of one split."""
    images: list[np.ndarray] = []
    labels: list[int] = []
    for image, label in _examples(builder, part):
        if images and image.shape != images[0].shape:
            raise UserError(f"{builder.name}: images must be of one size, got {images[0].shape} and {image.shape}")
        images.append(image)
        labels.extend(label)
    return np.stack(images), np.array(labels) if labels else None


def _examples(builder: Any, part: str) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Each image with its label, or with none: TFDS's own decoding takes twice as long."""
    import tensorflow_datasets as tfds
    from google.protobuf.message import DecodeError
    from tensorflow_datasets.proto import tf_example_pb2

    features = dict(builder.info.features)
    mode = _MODES[features["image"].shape[-1]]
    label = features.get("label")
    labeled = label is not None and label.shape == () and np.issubdtype(label.np_dtype, np.integer)
    try:
        source = builder.as_data_source(
            part, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES, file_format="array_record"
        )
        for start in range(0, len(source), _BATCH):
            for record in source.__getitems__(range(start, min(start + _BATCH, len(source)))):
                example = tf_example_pb2.Example.FromString(record).features.feature
                image = _decode(example["image"].bytes_list.value[0], mode)
                yield image, [example["label"].int64_list.value[0]] if labeled else []
    except (OSError, RuntimeError, ValueError, IndexError, SyntaxError, DecodeError) as error:
        remedy = _remedy(_full_name(builder), builder.data_dir_root)
        raise _damaged(builder.data_dir, f"{part}: {first_line(error)}", remedy) from error


def _decode(encoded: bytes, mode: str) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _damaged(folder: Path, reason: str, remedy: str) -> UserError:
    return UserError(f"{folder} is damaged: {reason}; delete this folder and write it again with {remedy}")


def _remedy(name: str, data_dir: Path) -> str:
    import tensorflow_datasets as tfds

    if name.partition("/")[0] not in tfds.list_builders(with_community_datasets=False):
        return "the program that wrote it"
    return verb_command("prepare", name, "--data-dir", Path(data_dir))


def _full_name(builder: Any) -> str:
    return "/".join(filter(None, (builder.name, builder.builder_config_name)))


def _load_splits(request: Request) -> Splits:
    return load_tfds(
        request.dataset,
        data_dir=request.data_dir,
        validation_fraction=request.validation_fraction,
        test_fraction=request.test_fraction,
        seed=request.seed,
    )


SOURCE = Source(_load_splits, layout="image", matches=lambda dataset: True)

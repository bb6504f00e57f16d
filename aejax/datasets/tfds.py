"""Image data sets prepared by TensorFlow Datasets (TFDS), read by name without TensorFlow."""

import contextlib
import glob
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
from aejax.host.files import check_tree, read_text
from aejax.host.suggestions import did_you_mean

_NAME = r"[a-z][a-z0-9_]*(/[\w+.-]+)?"  # no namespace: it would query another host
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_MAX_NAMES = 2**20  # bytes of the file of class names
_BATCH = 1024  # records in one read


def load_tfds(
    name: str, *, data_dir: Path | None = None, validation_fraction: float, test_fraction: float = 0.2, seed: int
) -> Splits:
    """Returns images (N, H, W, C) in [0, 1] and, if the data set has them, integer labels (N,).

    The test split is that of the data set, the validation split a random fraction of its train split. Without a test
    split in the data set, another random fraction of the train split replaces it. Splits with other names are not read.

    Args:
      name: `fashion_mnist`, or `emnist/letters` for a data set with several configurations.
      data_dir: the folder of prepared data; None for TFDS's default, TFDS_DATA_DIR or ~/tensorflow_datasets.
      validation_fraction: the fraction of the train split for validation, in (0, 1).
      test_fraction: the fraction of the train split for the test, in (0, 1), if the data set has no test split.
      seed: the seed of the random splits.

    Raises:
      UserError: the name is unknown; the data set is not prepared (the message contains the command that prepares it),
        is in another file format than array_record, or is damaged; or it has no 8-bit images, or images of several
        sizes.
    """
    builder = find_builder(name, data_dir)
    check_prepared(builder)
    check_images(builder)
    splits = [split_name for split_name in ("train", "test") if split_name in builder.info.splits]
    if "train" not in splits:
        raise UserError(f"{name} has no train split; it has {sorted(builder.info.splits)}")
    content = {split_name: _read(builder, split_name) for split_name in splits}
    # the bytes of dsprites and binarized_mnist are 0 and 1, not 0 and 255
    binary = content["train"][0].max() <= 1
    byte_values: ByteValues = "as_is" if binary else "scaled"
    train, *test = (as_dataset(x, y, name=name, byte_values=byte_values) for x, y in content.values())
    fractions = (validation_fraction,) if test else (validation_fraction, test_fraction)
    return Splits(*split(train, fractions=fractions, seed=seed), *test)


def find_builder(name: str, data_dir: Path | None) -> Any:
    """Returns the TFDS builder of a data set, with its features and, once it is prepared, its files.

    Raises:
      UserError: the name or the configuration is unknown, or the description of the prepared data set is damaged.
    """
    import tensorflow_datasets as tfds  # takes a third of a second to import
    from google.protobuf.json_format import ParseError

    if name in names():
        raise UserError(f"{name} is not a data set of TensorFlow Datasets, and needs no preparation")
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
    """Context manager in which TFDS creates builders without its server.

    For a data set that is not prepared, TFDS would query its server for a description, which preparation computes
    anyway, and would always leave a temporary folder behind.
    """
    from tensorflow_datasets.core.dataset_info import DatasetInfo

    original = DatasetInfo.initialize_from_bucket
    DatasetInfo.initialize_from_bucket = lambda info: None
    try:
        yield
    finally:
        DatasetInfo.initialize_from_bucket = original


def check_prepared(builder: Any) -> None:
    """Raise UserError, with the command that helps, unless the data set is prepared, complete and in array_record."""
    folder, remedy = Path(builder.data_dir), _remedy(_full_name(builder), builder.data_dir_root)
    if not os.path.isdir(folder):  # unlike Path.is_dir, it returns False for a path that cannot be read
        raise UserError(f"{builder.name} is not prepared, there is no {folder}; prepare it with {remedy}")
    if not (folder / "dataset_info.json").is_file():
        raise _damaged(folder, "dataset_info.json is missing", remedy)
    formats = sorted(file_format.value for file_format in builder.info.available_file_formats())
    if "array_record" not in formats:
        elsewhere = Path(builder.data_dir_root) / "array_record"
        raise UserError(
            f"{folder} holds {' and '.join(formats)} files, but only array_record is read without TensorFlow; "
            f"write it to another folder with {_remedy(_full_name(builder), elsewhere)}"
        )


def check_images(builder: Any) -> None:
    """Raise UserError unless the examples of a data set have a feature `image` that is an 8-bit image."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    image = dict(features).get("image") if isinstance(features, tfds.features.FeaturesDict) else None
    if not isinstance(image, tfds.features.Image) or image.np_dtype != np.uint8:
        found = ", ".join(features) if isinstance(features, tfds.features.FeaturesDict) else type(features).__name__
        raise UserError(f"{builder.name} has no 8-bit images in a feature 'image'; its features: {found}")


def missing_package(error: ImportError) -> str:
    """Returns the name of the package that TFDS could not import, which may be only in the cause of the error."""
    cause = error.__cause__
    return error.name or (cause.name if isinstance(cause, ImportError) else None) or first_line(error)


def count_examples(folder: Path) -> dict[str, int]:
    """Returns the number of examples in each split of the data set prepared in this folder."""
    import tensorflow_datasets as tfds

    splits = tfds.builder_from_directory(folder).info.splits
    return {split_name: info.num_examples for split_name, info in splits.items()}


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message, or its type if the message is empty."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(":") if lines else type(error).__name__


def _read(builder: Any, split_name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns bytes (N, H, W, C) and labels (N,) of one split."""
    images: list[np.ndarray] = []
    labels: list[int] = []
    for image, label in _examples(builder, split_name):
        if images and image.shape != images[0].shape:
            raise UserError(f"{builder.name}: images must have the same size, got {images[0].shape} and {image.shape}")
        images.append(image)
        labels.extend(label)
    return np.stack(images), np.array(labels) if labels else None


def _examples(builder: Any, split_name: str) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Yields each image with its label, or an empty list; TFDS's own decoding takes twice as long."""
    import tensorflow_datasets as tfds
    from google.protobuf.message import DecodeError
    from tensorflow_datasets.proto import tf_example_pb2

    features = dict(builder.info.features)
    mode = _MODES[features["image"].shape[-1]]
    label = features.get("label")
    labeled = label is not None and label.shape == () and np.issubdtype(label.np_dtype, np.integer)
    try:
        source = builder.as_data_source(
            split_name, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES, file_format="array_record"
        )
        for start in range(0, len(source), _BATCH):
            for record in source.__getitems__(range(start, min(start + _BATCH, len(source)))):
                example = tf_example_pb2.Example.FromString(record).features.feature
                image = _decode(example["image"].bytes_list.value[0], mode)
                yield image, [example["label"].int64_list.value[0]] if labeled else []
    except (OSError, RuntimeError, ValueError, IndexError, SyntaxError, DecodeError) as error:
        remedy = _remedy(_full_name(builder), builder.data_dir_root)
        raise _damaged(builder.data_dir, f"{split_name}: {first_line(error)}", remedy) from error


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


def _class_names(request: Request) -> dict[int, str]:
    """Returns the names of classes that the prepared data set holds, by label; empty if there are none."""
    root = request.data_dir or Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    files = sorted(root.expanduser().glob(f"{glob.escape(request.dataset)}/*/label.labels.txt"))
    return dict(enumerate(read_text(files[-1], limit=_MAX_NAMES).splitlines())) if files else {}


SOURCE = Source(_load_splits, layout="image", matches=lambda dataset: True, class_names=_class_names)

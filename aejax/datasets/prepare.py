"""Downloads an image data set with TensorFlow Datasets (TFDS) and writes it in the format that `tfds` reads."""

import contextlib
import gzip
import importlib.util
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aejax.datasets.tfds import check_images, check_prepared, find_builder, first_line, missing_package, without_network
from aejax.errors import UserError, knob_name
from aejax.host.files import read_bytes

IDX_SETS = ("mnist", "fashion_mnist", "kmnist")  # prepared without TensorFlow


def prepare_tfds(
    name: str, *, data_dir: Path | None = None, manual_dir: Path | None = None, progress: bool = False
) -> Path:
    """Downloads and writes a data set, unless it is prepared already, and returns its folder, written atomically.

    TensorFlow is required for all data sets except MNIST, Fashion-MNIST and KMNIST.

    Args:
      name: the name of the data set, as for `load_tfds`.
      data_dir: the folder to write it to; None for TFDS's default, TFDS_DATA_DIR or ~/tensorflow_datasets.
      manual_dir: a folder with the original archives, which are then not downloaded; their checksums are verified.
        None for $AEJAX_DATA_DIR/name if that is a folder; otherwise the archives are downloaded.
      progress: whether TFDS's progress is shown on stderr.

    Raises:
      UserError: the name is unknown, the data set has no images, or its folder is damaged or in another file format;
        TensorFlow is required but not installed; archives are missing, wrong or cannot be downloaded; or data_dir
        cannot be written.
    """
    import tensorflow_datasets as tfds
    from requests import RequestException
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
    from tensorflow_datasets.core.download.util import DownloadError

    builder = find_builder(name, data_dir)
    check_images(builder)
    if os.path.exists(builder.data_dir):
        check_prepared(builder)
        return Path(builder.data_dir)
    archives = _archives(builder, manual_dir)
    if builder.name in IDX_SETS:
        builder = _without_tensorflow(builder)
    elif importlib.util.find_spec("tensorflow") is None:
        raise UserError(f"preparing {name} needs TensorFlow: pip install 'aejax[tfds]'")
    root = Path(builder.data_dir_root)
    tfds.display_progress_bar(progress)
    try:
        root.mkdir(parents=True, exist_ok=True)
        # TFDS identifies an extracted archive only by its file name, which MNIST and similar sets share.
        with tempfile.TemporaryDirectory(prefix="extracted-", dir=root) as extracted:
            config = tfds.download.DownloadConfig(manual_dir=archives, extract_dir=extracted, try_download_gcs=False)
            with contextlib.redirect_stdout(sys.stderr if progress else io.StringIO()):
                builder.download_and_prepare(file_format="array_record", download_config=config)
    except NonMatchingChecksumError as error:
        raise UserError(f"{name}: not the original file: {first_line(error)}") from error
    except (DownloadError, RequestException) as error:
        raise UserError(
            f"{name} cannot be downloaded: {first_line(error)}; {knob_name('manual_dir')} reads the original archives "
            "from a folder"
        ) from error
    except ImportError as error:
        raise UserError(f"preparing {name} needs the package {missing_package(error)}") from error
    except OSError as error:
        raise UserError(f"{name} cannot be prepared in {root}: {first_line(error)}") from error
    return Path(builder.data_dir)


def _archives(builder: Any, manual_dir: Path | None) -> Path | None:
    """Returns the folder of the original archives, or None to download them."""
    if manual_dir is None:
        shared = Path(os.environ.get("AEJAX_DATA_DIR") or os.devnull) / builder.name
        manual_dir = shared if shared.is_dir() else None
    instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    if manual_dir is None:
        if instructions:
            how = " ".join(instructions.split())
            raise UserError(f"{builder.name} must be downloaded by hand, for {knob_name('manual_dir')}: {how}")
        return None
    manual_dir = manual_dir.expanduser()
    if not manual_dir.is_dir():
        raise UserError(f"{manual_dir}: no such folder with the archives of {builder.name}")
    # a data set with several configurations does not need all archives
    if not instructions and not builder.builder_configs:
        required = sorted(info.filename for info in (builder.url_infos or {}).values() if info.filename)
        missing = [file for file in required if not (manual_dir / file).is_file()]
        if missing:
            raise UserError(f"{manual_dir} lacks {', '.join(missing)}, the original archives of {builder.name}")
    return manual_dir


def _without_tensorflow(builder: Any) -> Any:
    """Returns a builder of MNIST or a similar set that reads archives with gzip and writes images with Pillow.

    TFDS's builder uses TensorFlow for both; the examples, their order and the description are the same.
    """
    original: Any = type(builder)

    class Idx(original, skip_registration=True):  # type: ignore[call-arg]
        name = original.name
        __module__ = original.__module__

        def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
            files = {
                split: [f"{self.URL}{prefix}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
                for split, prefix in (("train", "train"), ("test", "t10k"))
            }
            return {split: self._generate_examples(*paths) for split, paths in dl_manager.download(files).items()}

        def _generate_examples(self, images: Path, labels: Path) -> Iterator[tuple[int, dict[str, Any]]]:
            pairs = zip(_read_idx(images), _read_idx(labels), strict=True)
            for index, (image, label) in enumerate(pairs):
                yield index, {"image": Image.fromarray(image), "label": int(label)}

    with without_network():
        return Idx(data_dir=builder.data_dir_root)


def _read_idx(path: Path) -> np.ndarray:
    """Returns the array in an IDX archive: two zeros, 8 for bytes, the rank, each size in four bytes (big-endian)."""
    content = gzip.decompress(read_bytes(Path(path)))
    rank = content[3]
    shape = np.frombuffer(content, ">u4", count=rank, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)

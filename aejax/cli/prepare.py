"""Download an image data set of TensorFlow Datasets, once, so that `aejax train` can read it by its name."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from aejax.cli import command_line
from aejax.experiment.presets import PRESETS
from aejax.host.commands import verb_command

DESCRIPTION = """Download an image data set of TensorFlow Datasets, once, so that `aejax train` can read it by its name.

  aejax prepare fashion_mnist                       download it and write it to the default folder
  aejax prepare mnist --manual-dir ~/Downloads      read the four original .gz files from there instead
  aejax prepare cifar10 --data-dir /data/tfds       write another set to another folder

mnist, fashion_mnist and kmnist have no further requirements; other sets require TensorFlow (pip install 'aejax[tfds]').
All names: https://www.tensorflow.org/datasets/catalog/overview"""


@dataclass(frozen=True)
class Options:
    """What to prepare, where to read it from, and where to write it."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """The data set: fashion_mnist, mnist, cifar10, ...; emnist/letters where it has several configurations."""
    data_dir: Path | None = None
    """The folder to write to; if not given, $TFDS_DATA_DIR or ~/tensorflow_datasets."""
    manual_dir: Path | None = None
    """A folder with the original archives, whose checksums are verified; if not given, $AEJAX_DATA_DIR/NAME if that is
    a folder, else the archives are downloaded."""


def main(arguments: Sequence[str]) -> None:
    """Parse, prepare, and print the command that trains on the data set."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # keeps TensorFlow from printing the CPU's instruction sets

    from aejax.datasets.prepare import prepare_tfds
    from aejax.datasets.tfds import count_examples
    from aejax.host.terminal import PlainConsole

    folder = prepare_tfds(
        options.name,
        data_dir=options.data_dir,
        manual_dir=options.manual_dir,
        progress=sys.stderr.isatty(),
    )
    sizes = ", ".join(f"{size:,} {split}" for split, size in count_examples(folder).items())
    where: list[str | Path] = ["--data-dir", options.data_dir] if options.data_dir else []
    presets = [name for name, (_, experiment) in PRESETS.items() if experiment.data.dataset == options.name]
    command = verb_command("train", *(presets[-1:] or ["--dataset", options.name]), *where)
    console = PlainConsole()
    console.print(f"{options.name}: {sizes} examples in {folder}")
    console.print(f"train on it: {command}")

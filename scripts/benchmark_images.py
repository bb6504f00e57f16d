"""Measures how fast the images of a folder are decoded, beside PyTorch's ImageFolder with two workers."""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.host.files import write_text

DESCRIPTION = """Measure how fast the images of a folder are decoded in a random order, resized and batched.

  benchmark_images.py                     small PNG files and photographs in JPEG, both made for the purpose
  benchmark_images.py --folder photos     a folder of your own

With torchvision installed, its ImageFolder in a DataLoader with --workers processes does the same: decodes, resizes the
shorter side with antialiasing, crops the middle, makes a batch of float32. Epochs are interleaved; rates are those of
the median epoch. The rate on one thread, of Pillow alone, says what decoding costs, which bounds all others: three
quarters of the CPU time of a PNG file of 64x64 pixels. Large JPEG files are decoded at a fraction of their size."""

OURS, TORCH, PILLOW = "aejax, in threads", "torchvision's ImageFolder", "Pillow alone, one thread"


@dataclass(frozen=True)
class Options:
    """What to read and how often."""

    folder: Path | None = None
    """A folder of images; None makes two of them."""
    size: int = 64
    """Height and width that images are brought to."""
    batch_size: int = 64
    """Number of images in a batch."""
    workers: int = 2
    """Number of processes of the DataLoader."""
    images: int = 2000
    """Number of small images that are made; of photographs, a tenth."""
    epochs: int = 5
    """Number of timed epochs of each kind, after one that is not timed."""
    json: Path | None = None
    """File to save the results in: folder -> kind -> images per second."""


def main() -> None:
    """Parses the options, measures, prints the table and saves it."""
    options = command_line.parse(Options, sys.argv[1:], description=DESCRIPTION)
    for name in ("size", "batch_size", "workers", "images", "epochs"):
        if (number := getattr(options, name)) < 1:
            raise UserError(f"--{name.replace('_', '-')} must be at least 1, got {number}")
    with tempfile.TemporaryDirectory() as temporary:
        folders = make_folders(Path(temporary), options.images) if options.folder is None else {}
        folders = folders or {str(options.folder): Path(options.folder or "")}
        rates = {name: measure(folder, options) for name, folder in folders.items()}
    show(rates)
    if options.json:
        write_text(options.json, json.dumps(rates, indent=2) + "\n")


def make_folders(folder: Path, images: int) -> dict[str, Path]:
    """Returns folders of PNG files of 64x64 pixels and of JPEG files of 1024x768, smooth fields with a little noise."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)

    def picture(height: int, width: int) -> Image.Image:
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((width, height))
        noisy = np.asarray(coarse) + rng.normal(0, 6, (height, width, 3))
        return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))

    kinds = {"PNG, 64x64": (images, (64, 64), ".png"), "JPEG, 768x1024": (max(1, images // 10), (768, 1024), ".jpg")}
    folders = {}
    for name, (count, size, suffix) in kinds.items():
        folders[name] = folder / suffix[1:]
        (folders[name] / "class").mkdir(parents=True)
        for number in range(count):
            picture(*size).save(folders[name] / "class" / f"{number}{suffix}", quality=90)
    return folders


def measure(folder: Path, options: Options) -> dict[str, float]:
    """Returns the images per second of each kind of reader."""
    readers: dict[str, Callable[[Path, Options], Iterator[int]]] = {OURS: epochs_of_aejax, PILLOW: epochs_of_pillow}
    if find_spec("torchvision") is not None:
        readers[TORCH] = epochs_of_torchvision
    epochs = {name: reader(folder, options) for name, reader in readers.items()}
    rates: dict[str, list[float]] = {name: [] for name in readers}
    for epoch in range(1 + options.epochs):
        for name, each in epochs.items():
            start = time.perf_counter()
            images = next(each)
            if epoch:
                rates[name].append(images / (time.perf_counter() - start))
    return {name: statistics.median(of_kind) for name, of_kind in rates.items()}


def epochs_of_aejax(folder: Path, options: Options) -> Iterator[int]:
    """Reads epochs in batches, as a streamed training does; yields the number of images."""
    import numpy as np

    from aejax.datasets.image_folder import form_of, load_images

    x = load_images(folder, form_of(image_size=[options.size], color="rgb"), stored=True).x
    rng = np.random.default_rng(0)
    while True:
        order = rng.permutation(len(x))
        for start in range(0, len(x), options.batch_size):
            x[order[start : start + options.batch_size]]
        yield len(x)


def epochs_of_torchvision(folder: Path, options: Options) -> Iterator[int]:
    """Reads epochs by ImageFolder and a DataLoader; yields the number of images."""
    import torch
    from torchvision import datasets, transforms

    steps = [transforms.Resize(options.size), transforms.CenterCrop(options.size), transforms.ToTensor()]
    images = datasets.ImageFolder(str(folder), transforms.Compose(steps))
    loader = torch.utils.data.DataLoader(
        images, options.batch_size, shuffle=True, num_workers=options.workers, persistent_workers=True
    )
    while True:
        for _ in loader:
            pass
        yield len(images)


def epochs_of_pillow(folder: Path, options: Options) -> Iterator[int]:
    """Decodes epochs one image after another; yields the number of images."""
    import numpy as np
    from PIL import Image

    from aejax.datasets.image_folder import files_of

    paths, _ = files_of(folder)
    while True:
        for path in paths:
            with Image.open(path) as image:
                np.asarray(image.convert("RGB"))
        yield len(paths)


def show(rates: dict[str, dict[str, float]]) -> None:
    """Prints the table."""
    from rich.table import Table

    from aejax.host.terminal import PlainConsole

    table = Table(title="images per second")
    table.add_column("")
    for name in rates:
        table.add_column(name, justify="right")
    for kind in next(iter(rates.values())):
        table.add_row(kind, *(f"{of_kind[kind]:,.0f}" for of_kind in rates.values()))
    PlainConsole(width=None if sys.stdout.isatty() else 120, soft_wrap=False).print(table)


if __name__ == "__main__":
    command_line.run(main)

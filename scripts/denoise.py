"""Denoise images with an autoencoder that was trained to, and measure how near they come to clean ones."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from aejax.cli import command_line
from aejax.errors import UserError
from aejax.host.exits import print_error
from aejax.host.files import write_text
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    import numpy as np
    from matplotlib.figure import Figure
    from rich.table import Table

    from aejax.datasets.images import ImageFile
    from aejax.evaluation.denoising import Quality
    from aejax.experiment.trained import TrainedRun
    from aejax.host.terminal import PlainConsole

DESCRIPTION = """Denoise images with an autoencoder that was trained to.

  denoise.py runs/NAME page.png clean.png                  one image: PNG, JPEG or TIFF, gray or in color
  denoise.py runs/NAME scans cleaned                       every image of a folder
  denoise.py runs/NAME scans cleaned --clean truth         and tell how near they come to those in the folder truth
  denoise.py runs/NAME noisy.npy denoised.npy              examples (N, ...)
  denoise.py runs/NAME --test report                       the run's own test examples, beside other ways

Format, size, bit depth (gray of 1, 8 or 16 bits, colors of 8) and colors of an image are kept. A fully convolutional
network takes images of any size, another those of the size that it was trained on. A run on gray images takes gray ones
that are saved with colors too; one on colors takes gray ones, each color being the gray. A run is one with
--corruption, or trained on pairs of noisy and clean.

Gray images are also denoised by median filters (where the noise is salt and pepper also one that leaves all other
pixels as they are), non-local means (with the extra images) and, for pages, division by the background; their settings
are those that are best on training examples. --test writes a folder with denoising.json and comparison.png, and, of
examples that it has corrupted, noisy.npy and clean.npy, to denoise by another run."""

OURS, NOISY, CLEAN = "autoencoder", "noisy", "clean"
FITTED_PIXELS, FEWEST_FITTED, MOST_FITTED = 400_000, 8, 200  # of training examples, by which filters are chosen
PAGE_SHOWN, PAGES_SHOWN, EXAMPLES_SHOWN = (100, 180), 4, 10
Ways = dict[str, Callable[["np.ndarray"], "np.ndarray"]]


@dataclass(frozen=True)
class Options:
    """What to denoise by which run."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    input: tyro.conf.Positional[Path | None] = None
    """An image, a folder of images, or a .npy or .npz file of examples."""
    output: tyro.conf.Positional[Path | None] = None
    """What to write, which must not exist yet: a file of the same format, a .npy file, or a folder."""
    clean: Path | None = None
    """What they ought to be: an image, a folder with images of the same names, or a .npy or .npz file."""
    test: Path | None = None
    """Denoise the run's own test examples, and write this folder."""
    any_scale: bool = False
    """Take examples though their values are not on the scale of the training data, as anomalies may be."""
    examples: int = 1000
    """--test: at most so many, the first; pages are all taken."""
    tile: int = 512
    """Pixels of a side of what is denoised at a time, where an image is larger."""


def main() -> None:
    """Parse, and do one of the three."""
    options = command_line.parse(Options, sys.argv[1:], description=DESCRIPTION)
    _check(options)
    from aejax.datasets.paths import is_array_file
    from aejax.experiment.trained import check_kind, open_run
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    run = open_run(options.run)
    trained = run.experiment.regularization.corruption != "none" or run.splits.train.input is not None
    wanted = "a run that was trained to denoise, by --corruption or on pairs of noisy and clean"
    check_kind(run, trained, wanted, what="denoise")
    check_kind(run, not run.experiment.model.conditional, "a run without conditions", what="denoise")
    if options.test is not None:
        _test(run, options, options.test, console)
    elif options.input is not None and is_array_file(options.input):
        _denoise_arrays(run, options, console)
    else:
        _denoise_images(run, options, console)


def _check(options: Options) -> None:
    """Raise UserError where the options do not go together, before anything is loaded."""
    from aejax.datasets.images import FORMATS
    from aejax.datasets.paths import SUFFIXES, is_array_file
    from aejax.host.suggestions import did_you_mean, no_such_file

    if options.examples < 1:
        raise UserError(f"--examples: must be at least 1, got {options.examples}")
    if options.tile < 1:
        raise UserError(f"--tile: must be at least 1, got {options.tile}")
    if options.test is not None:
        if options.input is not None or options.clean is not None:
            raise UserError("--test takes the run's own test examples: leave out files and --clean")
        command_line.check_free(options.test)
        return
    if options.input is None or options.output is None:
        raise UserError("give what to denoise and what to write, or --test FOLDER")
    if not options.input.exists():
        raise UserError(no_such_file(options.input, "there is no such file or folder"))
    if not options.input.is_dir():
        suffix = options.input.suffix.lower()
        if not is_array_file(options.input) and suffix not in FORMATS:
            near = did_you_mean(suffix, (*SUFFIXES, *FORMATS))
            raise UserError(f"{options.input}: is none of {', '.join((*SUFFIXES, *FORMATS))} by its name{near}")
        if is_array_file(options.input):
            if options.output.suffix.lower() != ".npy":
                raise UserError(f"{options.output}: arrays are written to .npy files")
        elif FORMATS[suffix] != FORMATS.get(options.output.suffix.lower()):
            raise UserError(f"{options.output}: give it a name of the same format, as {options.input.name} has")
    if options.clean is not None and options.clean.is_dir() != options.input.is_dir():
        raise UserError(f"--clean {options.clean}: a folder goes with a folder, a file with a file")
    command_line.check_free(options.output)


def _denoise_arrays(run: "TrainedRun", options: Options, console: "PlainConsole") -> None:
    """Examples of the size that the run was trained on."""
    import numpy as np

    from aejax.experiment.trained import load_examples

    assert options.input is not None
    assert options.output is not None
    load = partial(load_examples, run, any_scale=options.any_scale)
    examples = load(options.input)
    clean = None if options.clean is None else load(options.clean, clean=True).x
    if clean is not None and len(clean) != len(examples.x):
        raise UserError(f"{options.clean}: {len(clean)} examples, and {options.input} has {len(examples.x)}")
    result = run.reconstruct(examples)
    with command_line.new_file(options.output) as file:
        np.save(file, result)
    console.print(f"{len(result):,} examples denoised, in {options.output}")
    if clean is not None:
        results = {NOISY: list(np.asarray(examples.x))}
        with optional("filters", console.print):
            results |= {name: [way(x) for x in results[NOISY]] for name, way in _filters(run).items()}
        results[OURS] = list(result)
        console.print(_table(_qualities(run, list(clean), results), f"{len(result):,} examples"))


def _denoise_images(run: "TrainedRun", options: Options, console: "PlainConsole") -> None:
    """One image or all of a folder; those that cannot be denoised are named and counted, and the others written."""
    from aejax.datasets.images import FORMATS, encode_image, list_images, read_image
    from aejax.experiment.trained import check_takes_gray_values, make_denoise

    assert options.input is not None
    assert options.output is not None
    if not options.any_scale:
        check_takes_gray_values(run)
    is_folder = options.input.is_dir()
    paths = list_images(options.input) if is_folder else [options.input]
    denoise, results, clean = make_denoise(run, tile=options.tile), [], []
    failed, unmeasured = 0, 0
    filters = {} if options.clean is None else _filters(run)
    for path in paths:
        try:
            image = read_image(path)
            try:
                denoised = denoise(image.pixels)
            except UserError as error:
                raise UserError(f"{path}: {error}") from error
            with command_line.new_file(options.output / path.name if is_folder else options.output) as file:
                file.write(encode_image(image._replace(pixels=denoised), FORMATS[path.suffix.lower()]))
        except UserError as error:
            if not is_folder:
                raise
            failed += 1
            print_error(error)
            continue
        height, width = denoised.shape[:2]
        colors = "3 colors of " if denoised.ndim == 3 else ""
        line, truth = f"{path.name}: {width}x{height} pixels of {colors}{image.bits} bits", None
        if options.clean is not None:
            try:
                truth = _clean_twin(run, options.clean / path.name if is_folder else options.clean, image, path)
            except UserError as error:
                if not is_folder:
                    raise
                unmeasured += 1
                print_error(error)
        if truth is not None:
            ways: Ways = {NOISY: lambda x: x} | filters
            noisy, ours = _as_in(run, image.pixels), _as_in(run, denoised)
            results.append({name: way(noisy) for name, way in ways.items()} | {OURS: ours})
            clean.append(truth)
            one = _qualities(run, [truth], {name: [result] for name, result in results[-1].items()})
            line += ", RMSE " + ", ".join(f"{name} {measured.rmse:.4f}" for name, measured in one.items())
            ratio, similarity = one[OURS].psnr, one[OURS].ssim
            line += "" if ratio is None else f"; {OURS} {ratio:.2f} dB"
            line += "" if similarity is None else f", SSIM {similarity:.4f}"
        console.print(line)
    if results:
        together = {name: [result[name] for result in results] for name in results[0]}
        console.print(_table(_qualities(run, clean, together), f"{len(clean):,} image{'s' * (len(clean) > 1)}"))
    done = len(paths) - failed
    console.print(f"{done:,} of {len(paths):,} images denoised, in {options.output}")
    if is_folder and (others := sum(1 for _ in options.input.iterdir()) - len(paths)):
        what = "file is left alone, its name ends" if others == 1 else "files are left alone, their names end"
        console.print(f"{others:,} other {what} in none of {', '.join(FORMATS)}")
    if failed or unmeasured:
        counts = {"denoised": failed, "measured, for want of a clean one": unmeasured}
        said = ", ".join(f"{count} could not be {how}" for how, count in counts.items() if count)
        raise UserError(f"of {len(paths)} images {said}")


def _clean_twin(run: "TrainedRun", path: Path, image: "ImageFile", of: Path) -> "np.ndarray":
    from aejax.datasets.images import read_image

    clean = read_image(path).pixels
    if clean.shape[:2] != image.pixels.shape[:2]:
        raise UserError(f"{of}: has {image.pixels.shape[:2]} pixels, and the clean one {clean.shape[:2]}")
    try:
        return _as_in(run, clean)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _as_in(run: "TrainedRun", pixels: "np.ndarray") -> "np.ndarray":
    """An image with as many channels as the run's examples have: (H, W), or (H, W, C) of more than one."""
    from aejax.datasets.images import with_channels

    channels = run.example_shape[2] if len(run.example_shape) == 3 else 1
    image = with_channels(pixels, channels)
    return image[..., 0] if channels == 1 else image


def _test(run: "TrainedRun", options: Options, folder: Path, console: "PlainConsole") -> None:
    """The run's own test examples or pages, beside other ways: a table, figures and a file."""
    import numpy as np

    from aejax import plots
    from aejax.datasets.dataset import take
    from aejax.experiment.loading import load_page_splits
    from aejax.experiment.trained import make_denoise

    pages = load_page_splits(run.experiment.data)
    denoise = make_denoise(run, tile=options.tile)
    if pages is not None:
        clean, noisy = ([getattr(page, side) for page in pages.test] for side in (CLEAN, NOISY))
        ours = [denoise(page) for page in noisy]
        what = f"{len(clean)} test pages; {len(pages.train)} trained on"
    else:
        test = take(run.splits.test, np.arange(min(options.examples, len(run.splits.test.x))))
        seen = _corrupted(run, test.seen, 1)
        clean, noisy = list(np.asarray(test.x)), list(seen)
        ours = list(run.reconstruct(test._replace(x=seen, input=None)))
        what = f"{len(clean):,} test examples"
    results = {NOISY: noisy}
    with optional("filters", console.print):
        results |= {name: [way(x) for x in noisy] for name, way in _filters(run).items()}
    results[OURS] = ours
    measured = _qualities(run, clean, results)
    report = {"run": str(run.path), "examples": what, **{name: of._asdict() for name, of in measured.items()}}
    with command_line.new_folder(folder) as written:
        if pages is None:
            np.save(written / f"{NOISY}.npy", np.stack(noisy))
            np.save(written / f"{CLEAN}.npy", np.stack(clean))
        write_text(written / "denoising.json", json.dumps(report, indent=2) + "\n")
        if plots.is_image(clean[0].shape):
            with optional("figure", console.print):
                _figure(clean, results).savefig(written / "comparison.png", dpi=300, bbox_inches="tight")
    console.print(_table(measured, what))
    console.print(f"the comparison is in {folder}")


def _corrupted(run: "TrainedRun", x: "np.ndarray", number: int) -> "np.ndarray":
    """Examples as the run is given them, with a noise of this number that is always the same."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from aejax.experiment.build import build_corruption

    corrupt = build_corruption(run.experiment.regularization, run.facts)
    if corrupt is None:
        return np.asarray(x)
    keys = jax.random.split(jax.random.fold_in(run.keys.corruption, number), len(x))
    return np.asarray(jax.jit(jax.vmap(corrupt))(keys, jnp.asarray(np.asarray(x))))


def _filters(run: "TrainedRun") -> Ways:
    """Filters for gray images, chosen on the run's training examples; each named with its settings."""
    import math

    import numpy as np

    from aejax.datasets.dataset import take
    from aejax.evaluation import filters

    shape = run.example_shape
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 1)):
        return {}
    count = min(MOST_FITTED, max(FEWEST_FITTED, FITTED_PIXELS // math.prod(shape)), len(run.splits.train.x))
    places = np.linspace(0, len(run.splits.train.x) - 1, count).astype(int)
    some = take(run.splits.train, places)
    clean = list(np.asarray(some.x).reshape(count, *shape[:2]))
    noisy = list(_corrupted(run, some.seen, 0).reshape(count, *shape[:2]))
    chosen = {"median filter": filters.median(noisy, clean)}
    if run.experiment.regularization.corruption == "salt_and_pepper":
        pepper, salt = float(run.splits.train.x.min()), float(run.splits.train.x.max())
        chosen["median of salt and pepper alone"] = filters.switching_median(noisy, clean, pepper=pepper, salt=salt)
    if filters.has_non_local_means():
        chosen["non-local means"] = filters.non_local_means(noisy, clean)
    if some.input is not None:
        chosen["background division"] = filters.background_division(noisy, clean)

    def on_images(denoise: "filters.Denoise") -> "filters.Denoise":
        return lambda x: denoise(x.reshape(x.shape[:2])).astype(np.float32).reshape(x.shape)

    return {f"{name} ({of.settings})": on_images(of.denoise) for name, of in chosen.items()}


def _qualities(
    run: "TrainedRun", clean: "list[np.ndarray]", results: "dict[str, list[np.ndarray]]"
) -> "dict[str, Quality]":
    from aejax.evaluation.denoising import quality

    peak = float(run.splits.train.x.max() - run.splits.train.x.min())
    return {name: quality(clean, of_name, peak=peak) for name, of_name in results.items()}


def _table(measured: "dict[str, Quality]", title: str) -> "Table":
    from rich.table import Table

    table = Table(title=f"{title}: RMSE over all pixels, means of the others", title_justify="left")
    table.add_column("")
    for name in ("RMSE", "PSNR, dB", "SSIM"):
        table.add_column(name, justify="right")
    for name, of in measured.items():
        others = ("-" if of.psnr is None else f"{of.psnr:.2f}", "-" if of.ssim is None else f"{of.ssim:.4f}")
        table.add_row(name, f"{of.rmse:.4f}", *others)
    return table


def _figure(clean: "list[np.ndarray]", results: "dict[str, list[np.ndarray]]") -> "Figure":
    """A row for each way, and columns of examples; of pages a piece from the middle, best to worst."""
    import numpy as np

    from aejax import plots

    rows = {name.partition(" (")[0]: of for name, of in results.items()} | {CLEAN: clean}
    columns: tuple[str, ...] = ()
    if clean[0].shape[0] <= PAGE_SHOWN[0] and len({image.shape for image in clean}) == 1:
        shown = {name: np.stack(images[:EXAMPLES_SHOWN]) for name, images in rows.items()}
    else:
        errors = [float(np.sqrt(np.mean(np.square(x - y)))) for x, y in zip(clean, results[OURS], strict=True)]
        places = np.argsort(errors)[np.linspace(0, len(errors) - 1, min(PAGES_SHOWN, len(errors))).astype(int)]
        size = np.minimum(PAGE_SHOWN, np.min([clean[place].shape[:2] for place in places], axis=0))
        shown = {name: np.stack([_middle(images[place], *size) for place in places]) for name, images in rows.items()}
        columns = tuple(f"RMSE {errors[place]:.4f}" for place in places)
    limits = (float(shown[CLEAN].min()), float(shown[CLEAN].max()))
    gap = max(1, clean[0].shape[0] // 28 // 2)
    return plots.mosaic(
        np.stack(list(shown.values())), limits=limits, title="", rows=tuple(shown), columns=columns, gap=gap
    )


def _middle(page: "np.ndarray", height: int, width: int) -> "np.ndarray":
    top, left = (page.shape[0] - height) // 2, (page.shape[1] - width) // 2
    return page[top : top + height, left : left + width]


if __name__ == "__main__":
    command_line.run(main)

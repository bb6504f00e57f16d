"""Denoise images with an autoencoder that was trained to denoise, and compare the results with clean images."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from aejax.cli import command_line
from aejax.cli.figure_options import FigureOptions
from aejax.cli.opened import RunOptions
from aejax.errors import UserError
from aejax.host.exits import print_error
from aejax.host.files import write_text
from aejax.host.optional import optional

if TYPE_CHECKING:  # imported where they are used, so that --help answers at once
    import numpy as np
    from rich.table import Table

    from aejax.datasets.images import ImageFile
    from aejax.evaluation.denoising import Quality
    from aejax.experiment.trained import TrainedRun
    from aejax.host.terminal import PlainConsole

DESCRIPTION = """Denoise images with an autoencoder that was trained to denoise.

  aejax denoise runs/NAME page.png clean.png               one PNG, JPEG, TIFF or WebP file, gray or color
  aejax denoise runs/NAME scans cleaned                    every image of a folder
  aejax denoise runs/NAME scans cleaned --clean truth      and compare the results with the clean images in truth
  aejax denoise runs/NAME noisy.npy denoised.npy           examples (N, ...)
  aejax denoise runs/NAME --test report                    the run's own test examples, compared with other methods

The run must be trained with --corruption, or on pairs of noisy and clean images. Format, size, bit depth (gray of 1, 8
or 16 bits, colors of 8) and colors of an image are kept. A fully convolutional network accepts images of any size, any
other network only the size that it was trained on. A run on gray images also accepts gray images that are stored in
color; a run on color images also accepts gray images, whose values it uses for each color.

Baselines are median filters (for salt and pepper also a median filter that changes only pixels at the extremes),
non-local means (requires the extra images) and, for gray pages, division by the background; their settings are the
best on training examples. --test writes a folder with denoising.json and comparison.png and, unless the examples
are pages, noisy.npy and clean.npy, which another run can denoise."""


@dataclass(frozen=True)
class Options(FigureOptions, RunOptions):
    """What to denoise, and with which run."""

    input: tyro.conf.Positional[Path | None] = None
    """An image, a folder of images, or a .npy or .npz file of examples."""
    output: tyro.conf.Positional[Path | None] = None
    """What to write, which must not exist yet: a file of the same format, a .npy file, or a folder."""
    clean: Path | None = None
    """The clean images, to measure errors: an image, a folder with images of the same names, or a .npy or .npz file."""
    test: Path | None = None
    """Denoise the run's own test examples, and write the comparison to this folder."""
    any_scale: bool = False
    """Accept examples whose values are not on the scale of the training data, as those of anomalies may be."""
    examples: int = 1000
    """--test: maximum number of examples; the first ones are used. Of pages all are used."""
    tile: int = 512
    """Side of the tiles, in pixels, that a larger image is divided into."""


def main(arguments: Sequence[str]) -> None:
    """Parse, and denoise test examples, arrays or images."""
    options = command_line.parse(Options, arguments, description=DESCRIPTION)
    _check(options)
    from aejax.datasets.paths import is_array_file
    from aejax.experiment.denoise import check_denoises
    from aejax.experiment.progress import working
    from aejax.host.terminal import PlainConsole

    console = PlainConsole()
    with working(console, "opening the run"):
        run = options.open_run()
    check_denoises(run)
    if options.test is not None:
        _test(run, options, options.test, console)
    elif options.input is not None and is_array_file(options.input):
        _denoise_arrays(run, options, console)
    else:
        _denoise_images(run, options, console)


def _check(options: Options) -> None:
    """Raise UserError for options that cannot be combined, before anything is loaded."""
    from aejax.datasets.images import FORMATS
    from aejax.datasets.paths import SUFFIXES, is_array_file
    from aejax.host.suggestions import did_you_mean, no_such_file

    if options.examples < 1:
        raise UserError(f"--examples: must be at least 1, got {options.examples}")
    if options.tile < 1:
        raise UserError(f"--tile: must be at least 1, got {options.tile}")
    if options.test is not None:
        if options.input is not None or options.clean is not None:
            raise UserError("--test uses the run's own test examples: leave out files and --clean")
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
            raise UserError(f"{options.input}: expected a file named {', '.join((*SUFFIXES, *FORMATS))}{near}")
        if is_array_file(options.input):
            if options.output.suffix.lower() != ".npy":
                raise UserError(f"{options.output}: expected the name of a .npy file, since the input holds arrays")
        elif FORMATS[suffix] != FORMATS.get(options.output.suffix.lower()):
            raise UserError(f"{options.output}: expected the same format as {options.input.name}")
    if options.clean is not None and options.clean.is_dir() != options.input.is_dir():
        kind = "folder" if options.input.is_dir() else "file"
        raise UserError(f"--clean {options.clean}: expected a {kind}, as {options.input} is a {kind}")
    command_line.check_free(options.output)


def _denoise_arrays(run: "TrainedRun", options: Options, console: "PlainConsole") -> None:
    """Denoise the examples in a .npy or .npz file; their shape is that of the training examples."""
    import numpy as np

    from aejax.experiment.at_use import load_examples
    from aejax.experiment.compare_denoising import NOISY, OURS, fit_filters, qualities
    from aejax.experiment.progress import working

    assert options.input is not None
    assert options.output is not None
    load = partial(load_examples, run, any_scale=options.any_scale)
    examples = load(options.input)
    clean = None if options.clean is None else load(options.clean, clean=True).x
    if clean is not None and len(clean) != len(examples.x):
        raise UserError(f"{options.clean}: {len(clean)} examples, and {options.input} has {len(examples.x)}")
    with working(console, "denoising"):
        result = run.reconstruct(examples)
    with command_line.new_file(options.output) as file:
        np.save(file, result)
    console.print(f"{len(result):,} examples denoised, in {options.output}")
    if clean is not None:
        results = {NOISY: list(np.asarray(examples.x))}
        with optional("filters", console.print):
            results |= {name: [denoised(x) for x in results[NOISY]] for name, denoised in fit_filters(run).items()}
        results[OURS] = list(result)
        console.print(_table(qualities(run, list(clean), results), f"{len(result):,} examples"))


def _denoise_images(run: "TrainedRun", options: Options, console: "PlainConsole") -> None:
    """Denoise one image, or all images in a folder; images that cannot be denoised are reported, the others written."""
    from aejax.datasets.images import FORMATS, encode_image, list_images, read_image
    from aejax.experiment.compare_denoising import NOISY, OURS, Filters, fit_filters, qualities
    from aejax.experiment.denoise import check_gray_values, make_denoise, with_channels_of

    assert options.input is not None
    assert options.output is not None
    if not options.any_scale:
        check_gray_values(run)
    is_folder = options.input.is_dir()
    paths = list_images(options.input) if is_folder else [options.input]
    denoise, results, clean = make_denoise(run, tile=options.tile), [], []
    failed, unmeasured = 0, 0
    filters = {} if options.clean is None else fit_filters(run)
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
                truth = _read_clean(run, options.clean / path.name if is_folder else options.clean, image, path)
            except UserError as error:
                if not is_folder:
                    raise
                unmeasured += 1
                print_error(error)
        if truth is not None:
            methods: Filters = {NOISY: lambda x: x} | filters
            noisy, ours = with_channels_of(run, image.pixels), with_channels_of(run, denoised)
            results.append({name: method(noisy) for name, method in methods.items()} | {OURS: ours})
            clean.append(truth)
            one = qualities(run, [truth], {name: [result] for name, result in results[-1].items()})
            line += ", RMSE " + ", ".join(f"{name} {measured.rmse:.4f}" for name, measured in one.items())
            ratio, similarity = one[OURS].psnr, one[OURS].ssim
            line += "" if ratio is None else f"; {OURS} {ratio:.2f} dB"
            line += "" if similarity is None else f", SSIM {similarity:.4f}"
        console.print(line)
    if results:
        together = {name: [result[name] for result in results] for name in results[0]}
        console.print(_table(qualities(run, clean, together), f"{len(clean):,} image{'s' * (len(clean) > 1)}"))
    done = len(paths) - failed
    console.print(f"{done:,} of {len(paths):,} images denoised, in {options.output}")
    if is_folder and (others := sum(1 for _ in options.input.iterdir()) - len(paths)):
        what = "file is skipped, its name ends" if others == 1 else "files are skipped, their names end"
        console.print(f"{others:,} other {what} in none of {', '.join(FORMATS)}")
    if failed or unmeasured:
        counts = {"denoised": failed, "measured, because they have no usable clean image": unmeasured}
        reasons = ", ".join(f"{count} could not be {how}" for how, count in counts.items() if count)
        raise UserError(f"of {len(paths)} images {reasons}")


def _read_clean(run: "TrainedRun", path: Path, image: "ImageFile", of: Path) -> "np.ndarray":
    from aejax.datasets.images import read_image
    from aejax.experiment.denoise import with_channels_of

    clean = read_image(path).pixels
    if clean.shape[:2] != image.pixels.shape[:2]:
        raise UserError(f"{of}: has {image.pixels.shape[:2]} pixels, and the clean image {clean.shape[:2]}")
    try:
        return with_channels_of(run, clean)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _test(run: "TrainedRun", options: Options, folder: Path, console: "PlainConsole") -> None:
    """Denoise the run's own test examples or pages, compared with other methods: a table, figures and a file."""
    import numpy as np

    from aejax import plots
    from aejax.experiment.compare_denoising import CLEAN, NOISY, compare_denoising, draw_comparison
    from aejax.experiment.progress import working

    with working(console, "denoising test examples by every method"):
        comparison = compare_denoising(run, examples=options.examples, tile=options.tile)
    qualities = {name: quality._asdict() for name, quality in comparison.measured.items()}
    report = {"run": str(run.path), "examples": comparison.description, **qualities}
    for note in comparison.notes:
        console.print(note)
    with command_line.new_folder(folder) as written:
        if not comparison.are_pages:
            np.save(written / f"{NOISY}.npy", np.stack(comparison.results[NOISY]))
            np.save(written / f"{CLEAN}.npy", np.stack(comparison.clean))
        write_text(written / "denoising.json", json.dumps(report, indent=2) + "\n")
        if plots.is_image(comparison.clean[0].shape):
            with optional("figure", console.print):
                plots.save_figure(draw_comparison(comparison), written, "comparison", file_format=options.format)
    console.print(_table(comparison.measured, comparison.description))
    console.print(f"the comparison is in {folder}")


def _table(measured: "dict[str, Quality]", title: str) -> "Table":
    from rich.table import Table

    table = Table(title=f"{title}: RMSE over all pixels, mean PSNR and SSIM over images", title_justify="left")
    table.add_column("")
    for name in ("RMSE", "PSNR, dB", "SSIM"):
        table.add_column(name, justify="right")
    for name, of in measured.items():
        others = ("-" if of.psnr is None else f"{of.psnr:.2f}", "-" if of.ssim is None else f"{of.ssim:.4f}")
        table.add_row(name, f"{of.rmse:.4f}", *others)
    return table

"""Denoising as a user runs it: files of every kind, what goes wrong with some of them, the run's own test examples."""

import json
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from aejax.evaluation.denoising import quality
from aejax.experiment.build import build_autoencoder
from aejax.experiment.configuration import Data, Experiment, Model, Regularization, Training
from aejax.experiment.denoise import make_denoise
from aejax.experiment.loading import load_page_splits
from aejax.experiment.trained import open_run

ONCE = Training(epochs=1, batch_size=8, patience=None)
CONV = Model(family="undercomplete", network="conv", hidden=(3, 2), code_size=None, output_activation="sigmoid")
NOISE = Regularization(corruption="salt_and_pepper", corruption_level=0.1)
DIGITS = Experiment(model=CONV, regularization=NOISE, training=ONCE)
DENSE = Experiment(
    model=Model(family="undercomplete", hidden=(), code_size=4), regularization=NOISE, training=Training(epochs=1)
)
PLAIN = Experiment(model=Model(family="undercomplete", hidden=(), code_size=4), training=Training(epochs=1))
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A folder of 8 pages: dark squares, and the same on a background that gets darker to the right."""
    folder = tmp_path_factory.mktemp("pages")
    for side in ("noisy", "clean"):
        (folder / side).mkdir()
    for number in range(8):
        clean = 1 - np.kron(RNG.integers(2, size=(5, 6)), np.ones((6, 6)))[:29, :35]
        noisy = clean * np.linspace(0.9, 0.5, 35)
        for side, page in (("noisy", noisy), ("clean", clean)):
            Image.fromarray(np.round(255 * page).astype(np.uint8)).save(folder / side / f"{number}.png")
    return folder


@pytest.fixture
def page_run(make_initial_run, pages):
    data = Data(dataset=str(pages), crop=16, crops_per_page=4, test_fraction=0.25)
    model = Model(family="undercomplete", network="unet", hidden=(4, 3), code_size=None, loss="binary_cross_entropy")
    return make_initial_run(Experiment(data=data, model=model, training=ONCE))


def reconstructed(run, image):
    """By the network built for exactly this image, without tiles."""
    shape = (*image.shape, 1)
    autoencoder = build_autoencoder(run.experiment, replace(run.facts, shape=shape))
    x = image.astype(np.float32).reshape(shape)
    return np.asarray(jax.jit(autoencoder.decode)(run.params, jax.jit(autoencoder.encode)(run.params, x)))[..., 0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["conv", "unet"])
@pytest.mark.parametrize("shape", [(77, 150), (64, 31), (8, 8)])
def test_tiles_of_a_network_are_the_whole(make_initial_run, page_run, kind, shape):
    run = open_run(make_initial_run(DIGITS) if kind == "conv" else page_run)
    params = jax.tree.map(lambda leaf: 2 * leaf + 0.1, run.params)  # away from what hardly depends on the input
    run = run._replace(params=params)
    image = RNG.uniform(size=shape).astype(np.float32)
    whole = np.clip(reconstructed(run, image), 0, 1)
    assert np.ptp(whole) > 0.01
    np.testing.assert_allclose(make_denoise(run, tile=1)(image), whole, atol=1e-5)


@pytest.mark.slow
def test_a_file_keeps_its_size_and_its_depth(make_initial_run, run_script, tmp_path):
    folder = make_initial_run(DIGITS)
    levels = RNG.integers(65536, size=(19, 23)).astype(np.uint16)
    for name, pixels in (("deep.png", levels), ("page.tif", (levels >> 8).astype(np.uint8))):
        Image.fromarray(pixels).save(tmp_path / name)
        result = run_script("denoise", folder, tmp_path / name, tmp_path / f"out-{name}")
        assert (result.code, result.errors) == (0, "")
        assert f"{name}: 23x19 pixels of {8 * pixels.itemsize} bits" in result.output
        with Image.open(tmp_path / f"out-{name}") as image:
            written = np.asarray(image)
            assert image.format == ("PNG" if name.endswith("png") else "TIFF")
        assert written.dtype == pixels.dtype
        most = np.iinfo(pixels.dtype).max
        expected = np.clip(reconstructed(open_run(folder), pixels / most), 0, 1) * most
        np.testing.assert_allclose(written, expected, atol=0.5 + 1e-4 * most)


@pytest.mark.slow
def test_a_folder_is_measured_against_clean_pages(page_run, pages, run_script, tmp_path):
    result = run_script("denoise", page_run, pages / "noisy", tmp_path / "out", "--clean", pages / "clean")
    assert (result.code, result.errors) == (0, "")
    clean, noisy, ours = [], [], []
    denoise = make_denoise(open_run(page_run))
    for path in sorted((pages / "noisy").iterdir()):
        noisy.append(np.asarray(Image.open(path)).astype(np.float32) / 255)
        clean.append(np.asarray(Image.open(pages / "clean" / path.name)).astype(np.float32) / 255)
        ours.append(denoise(noisy[-1]))
        written = np.asarray(Image.open(tmp_path / "out" / path.name))
        np.testing.assert_array_equal(written, np.round(255 * ours[-1]))
    for name, images in (("noisy", noisy), ("autoencoder", ours)):
        measured = quality(clean, images)
        row = next(line for line in result.output.splitlines() if line.startswith(f"│ {name}"))
        assert [float(cell) for cell in row.strip("│ ").split("│")[1:]] == pytest.approx(measured, abs=6e-3)
    assert "background division" in result.output
    assert "8 of 8 images denoised" in result.output


@pytest.mark.slow
def test_what_cannot_be_denoised_is_named_and_counted(make_initial_run, run_script, tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    Image.new("L", (20, 12)).save(folder / "good.png")
    Image.new("RGB", (20, 12), "red").save(folder / "color.png")
    (folder / "broken.jpg").write_text("no image")
    Image.new("L", (20, 12)).save(folder / "other.bmp")
    result = run_script("denoise", make_initial_run(DIGITS), folder, tmp_path / "out")
    assert result.code == 2
    lines = result.errors.splitlines()
    assert len(lines) == 3
    assert "broken.jpg: cannot be read as an image" in lines[0]
    assert "color.png: is in color, but the image must be gray; convert it first: " in lines[1]
    assert "was trained on images of shape (8, 8, 1)" in lines[1]
    assert lines[2] == "denoise.py: error: of 3 images 2 could not be denoised"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]
    assert "1 of 3 images denoised" in result.output
    assert "1 other file is skipped, its name ends in none of .png" in result.output


@pytest.mark.slow
def test_what_has_no_clean_twin_is_denoised_all_the_same(make_initial_run, run_script, tmp_path):
    for side, names in (("scans", ("a.png", "b.png", "c.png")), ("truth", ("a.png", "c.png"))):
        (tmp_path / side).mkdir()
        for name in names:
            Image.new("L", (20, 12 if name == "a.png" or side == "scans" else 8)).save(tmp_path / side / name)
    result = run_script(
        "denoise", make_initial_run(DIGITS), tmp_path / "scans", tmp_path / "out", "--clean", tmp_path / "truth"
    )
    assert result.code == 2
    first, second, last = result.errors.splitlines()
    assert "truth/b.png: no such file" in first
    assert "c.png: has (12, 20) pixels, and the clean image (8, 20)" in second
    assert last == "denoise.py: error: of 3 images 2 could not be measured, because they have no usable clean image"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png", "c.png"]
    assert "3 of 3 images denoised" in result.output
    assert "1 image:" in result.output  # that the table is of


@pytest.fixture(scope="module")
def color_data(tmp_path_factory):
    """Examples (60, 8, 8, 3) and the gray ones (60, 8, 8) of their first color, in files."""
    folder = tmp_path_factory.mktemp("colors")
    x = np.random.default_rng(1).integers(256, size=(60, 8, 8, 3)).astype(np.uint8)
    np.save(folder / "colors.npy", x)
    np.save(folder / "gray.npy", x[..., 0])
    return folder


@pytest.fixture
def color_run(make_initial_run, color_data):
    return make_initial_run(
        Experiment(data=Data(dataset=str(color_data / "colors.npy")), model=CONV, regularization=NOISE, training=ONCE)
    )


@pytest.fixture
def gray_run(make_initial_run, color_data):
    """On images (8, 8) without an axis of channels."""
    return make_initial_run(
        Experiment(data=Data(dataset=str(color_data / "gray.npy")), model=CONV, regularization=NOISE, training=ONCE)
    )


def by_hand(run, x):
    """The reconstruction of an image (H, W, C) or (H, W), in bytes, by the network built for its shape."""
    autoencoder = build_autoencoder(run.experiment, replace(run.facts, shape=x.shape))
    result = autoencoder.decode(run.params, autoencoder.encode(run.params, jnp.asarray(x, jnp.float32) / 255))
    return 255 * np.clip(np.asarray(result), float(run.splits.train.x.min()), float(run.splits.train.x.max()))


@pytest.mark.slow
def test_a_folder_of_colors(color_run, run_script, tmp_path):
    """Colors stay colors, gray stays gray, whatever the format; each is the network's reconstruction."""
    (tmp_path / "in").mkdir()
    colors = RNG.integers(256, size=(13, 10, 3)).astype(np.uint8)
    gray = colors[..., 0]
    Image.fromarray(colors).save(tmp_path / "in" / "a.png")
    Image.fromarray(colors).convert("RGBA").save(tmp_path / "in" / "b.tif")
    Image.fromarray(gray).save(tmp_path / "in" / "c.png")
    Image.fromarray(gray.astype(np.uint16) * 257).save(tmp_path / "in" / "d.png")
    result = run_script("denoise", color_run, tmp_path / "in", tmp_path / "new" / "out", "--clean", tmp_path / "in")
    assert (result.code, result.errors) == (0, "")
    of_filters = r"median filter \(.*\) 0\.\d+, .*non-local means \(.*\) 0\.\d+, autoencoder 0\."
    assert re.search(rf"a\.png: 10x13 pixels of 3 colors of 8 bits, RMSE noisy 0\.0000, {of_filters}", result.output)
    assert "c.png: 10x13 pixels of 8 bits" in result.output
    assert "4 of 4 images denoised" in result.output
    run = open_run(color_run)
    expected = by_hand(run, colors)
    assert np.ptp(expected.mean(axis=(0, 1))) > 0.1  # the channels differ
    of_gray = by_hand(run, np.repeat(gray[..., None], 3, axis=2)).mean(axis=2)
    for name, values, scale in (
        ("a.png", expected, 1),
        ("b.tif", expected, 1),
        ("c.png", of_gray, 1),
        ("d.png", of_gray, 257),
    ):
        with Image.open(tmp_path / "new" / "out" / name) as image:
            np.testing.assert_allclose(np.asarray(image), values * scale, atol=0.5 + 1e-3 * scale, err_msg=name)
    rmse = np.sqrt(np.mean((expected - colors) ** 2)) / 255
    assert f"autoencoder {rmse:.4f}; autoencoder {-20 * np.log10(rmse):.2f} dB" in result.output


@pytest.mark.slow
def test_the_test_examples_of_a_run_on_colors(color_run, run_script, tmp_path, drawn_fraction):
    result = run_script("denoise", color_run, "--test", tmp_path / "report")
    assert (result.code, result.errors) == (0, "")
    assert "12 test examples" in result.output
    assert drawn_fraction(tmp_path / "report" / "comparison.png") > 0.015


@pytest.mark.slow
def test_gray_that_is_saved_with_colors_is_measured_and_written_as_it_came(gray_run, run_script, tmp_path):
    gray = RNG.integers(256, size=(9, 14)).astype(np.uint8)
    Image.fromarray(gray).convert("RGB").save(tmp_path / "in.jpg", quality=100, subsampling=0)
    Image.fromarray(gray).save(tmp_path / "clean.png")
    arguments = (tmp_path / "in.jpg", tmp_path / "out.jpg", "--clean", tmp_path / "clean.png")
    result = run_script("denoise", gray_run, *arguments)
    assert (result.code, result.errors) == (0, "")
    assert "median filter" in result.output
    with Image.open(tmp_path / "in.jpg") as image:
        given = np.asarray(image)
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.mode == "RGB"
        np.testing.assert_allclose(np.asarray(image)[..., 0], by_hand(open_run(gray_run), given[..., 0]), atol=5)


@pytest.mark.slow
def test_examples_in_capital_letters_and_in_an_archive(make_initial_run, run_script, tmp_path):
    folder = make_initial_run(DENSE)
    x = open_run(folder).splits.test.x[:5]
    with (tmp_path / "x.NPY").open("wb") as file:
        np.save(file, x)
    np.savez(tmp_path / "x.npz", x=x)
    for name in ("x.NPY", "x.npz"):
        result = run_script("denoise", folder, tmp_path / name, tmp_path / f"{name}.out.npy")
        assert (result.code, result.errors) == (0, "")
    np.testing.assert_array_equal(np.load(tmp_path / "x.NPY.out.npy"), np.load(tmp_path / "x.npz.out.npy"))


@pytest.mark.slow
def test_a_run_on_other_numbers_than_images_hold(make_initial_run, complaint_of, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(0, 200, size=(60, 8, 8)))
    Image.new("L", (8, 8)).save(tmp_path / "page.png")
    model = Model(family="undercomplete", hidden=(), code_size=2)
    data = Data(dataset=str(tmp_path / "x.npy"))
    folder = make_initial_run(Experiment(data=data, model=model, regularization=NOISE, training=ONCE))
    said = complaint_of("denoise", folder, "page.png", "out.png")
    assert "image files are read as gray values from 0 to 1" in said


@pytest.mark.slow
def test_a_run_on_vectors_refuses_images(make_initial_run, complaint_of, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(size=(60, 8)))
    Image.new("L", (8, 8)).save(tmp_path / "page.png")
    model = Model(family="undercomplete", hidden=(), code_size=2)
    data = Data(dataset=str(tmp_path / "x.npy"))
    folder = make_initial_run(Experiment(data=data, model=model, regularization=NOISE, training=ONCE))
    assert "expects a run on images, but it was trained on examples of shape (8,)" in complaint_of(
        "denoise", folder, "page.png", "out.png"
    )


@pytest.mark.slow
def test_examples_in_an_array(make_initial_run, run_script, tmp_path):
    folder = make_initial_run(DENSE)
    run = open_run(folder)
    test = run.splits.test
    np.save(tmp_path / "clean.npy", test.x[:9])
    np.save(tmp_path / "noisy.npy", test.x[3:12])
    arguments = ("noisy.npy", "out.npy", "--clean", "clean.npy")
    result = run_script("denoise", folder, *(tmp_path / a if a.endswith("npy") else a for a in arguments))
    assert (result.code, result.errors) == (0, "")
    expected = run.reconstruct(test._replace(x=test.x[3:12], labels=None))
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-5)
    assert f"{np.sqrt(np.mean((test.x[3:12] - test.x[:9]) ** 2)):.4f}" in result.output
    assert f"{np.sqrt(np.mean((expected - test.x[:9]) ** 2)):.4f}" in result.output


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["digits", "pages"])
def test_the_runs_own_test_examples(make_initial_run, page_run, run_script, tmp_path, kind, drawn_fraction):
    folder = make_initial_run(DENSE) if kind == "digits" else page_run
    result = run_script("denoise", folder, "--test", tmp_path / "report", "--examples", "40")
    assert (result.code, result.errors) == (0, "")
    report = json.loads((tmp_path / "report" / "denoising.json").read_text())
    run = open_run(folder)
    if kind == "digits":
        assert report["examples"] == "40 test examples"
        # replaced are 10 %, half of them by 0, half by 1
        x = run.splits.test.x[:40].astype(float)
        expected = np.sqrt(0.05 * np.mean(x**2) + 0.05 * np.mean((1 - x) ** 2))
        assert report["noisy"]["rmse"] == pytest.approx(expected, rel=0.1)  # 256 replaced pixels
        pairs = 4
        noisy, clean = (tmp_path / "report" / f"{name}.npy" for name in ("noisy", "clean"))
        again = run_script("denoise", folder, noisy, tmp_path / "again.npy", "--clean", clean)
        rows = [line for line in result.output.splitlines() if "autoencoder" in line]
        assert rows == [line for line in again.output.splitlines() if "autoencoder" in line]
    else:
        test = load_page_splits(run.experiment.data).test
        assert report["examples"] == "2 test pages; 5 training pages"
        differences = np.concatenate([(page.noisy - page.clean).ravel() for page in test])
        assert report["noisy"]["rmse"] == pytest.approx(np.sqrt(np.mean(differences**2)), rel=1e-5)
        pairs = 4
    assert len(report) == 2 + pairs + 1
    assert drawn_fraction(tmp_path / "report" / "comparison.png") > 0.015


@pytest.mark.slow
def test_pages_of_other_widths_are_shown_by_pieces(make_initial_run, run_script, tmp_path, drawn_fraction):
    for side in ("noisy", "clean"):
        (tmp_path / "lines" / side).mkdir(parents=True)
        for number, width in enumerate(range(40, 60, 2)):
            line = np.where(np.random.default_rng(number).uniform(size=(20, width)) < 0.3, 20, 240).astype(np.uint8)
            Image.fromarray(line).save(tmp_path / "lines" / side / f"{number}.png")
    data = Data(dataset=str(tmp_path / "lines"), crop=16, crops_per_page=2)
    folder = make_initial_run(Experiment(data=data, model=CONV, training=ONCE))
    result = run_script("denoise", folder, "--test", tmp_path / "report")
    assert (result.code, result.errors) == (0, "")
    assert drawn_fraction(tmp_path / "report" / "comparison.png") > 0.015


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["page.png"], "give what to denoise and what to write, or --test FOLDER"),
        (["missing.png", "out.png"], "missing.png: there is no such file or folder"),
        (["page.png", "out.jpg"], "out.jpg: expected the same format as page.png"),
        (["notes.txt", "out.txt"], "notes.txt: expected a file named .npy, .npz, .png"),
        (
            ["page.pgn", "out.png"],
            "page.pgn: expected a file named .npy, .npz, .png, .jpg, .jpeg, .tif, .tiff, .webp; did you",
        ),
        (["page.png", "page.png"], "page.png: exists already"),
        (["x.npy", "out.png"], "out.png: expected the name of a .npy file"),
        (["page.png", "page.png/out.png"], "out.png: cannot be created"),
        (["page.png", "out.png", "--clean", "empty"], "--clean empty: expected a file, as page.png is a file"),
        (["page.png", "out.png", "--tile", "0"], "--tile: must be at least 1, got 0"),
        (["--test", "report", "--examples", "0"], "--examples: must be at least 1, got 0"),
        (["page.png", "out.png", "--test", "report"], "leave out files and --clean"),
        (["empty", "out"], "empty: there are no images in it"),
        (["page.png", "out.png"], "page.png: an image has shape (9, 8), but"),
        (["red.png", "out.png"], "red.png: is in color, but the image must be gray; convert it first"),
        (["x.npy", "out.npy"], "x.npy: examples have shape (5,), but"),
    ],
)
def test_mistakes(make_initial_run, complaint_of, tmp_path, arguments, complaint):
    Image.new("L", (8, 9)).save(tmp_path / "page.png")
    np.save(tmp_path / "x.npy", np.zeros((3, 5), np.float32))
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "page.pgn").touch()
    (tmp_path / "empty").mkdir()
    assert complaint in complaint_of("denoise", make_initial_run(DENSE), *arguments)


def test_a_run_that_was_not_trained_to(make_initial_run, complaint_of):
    complaint = complaint_of("denoise", make_initial_run(PLAIN), "--test", "report")
    assert "denoise expects a run that was trained to denoise" in complaint
    assert "this run is undercomplete on digits" in complaint

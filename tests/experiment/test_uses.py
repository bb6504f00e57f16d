"""What a run is used for, as in a notebook: a run and keyword arguments in, arrays and figures out, nothing printed."""

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

from aejax.experiment import compare_denoising, compress, denoise, detect, encode, evaluate, export, generate, generated
from aejax.experiment.configuration import Experiment, Model, Regularization, Training
from aejax.experiment.trained import open_run

SHORT = Training(epochs=1, patience=None)
VARIATIONAL = Experiment(model=Model(hidden=(16,), code_size=2), training=SHORT)
DENOISING = Experiment(
    model=Model(family="undercomplete", network="conv", hidden=(3, 2), code_size=None),
    regularization=Regularization(corruption="gaussian_noise", corruption_level=0.2),
    training=SHORT,
)


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: Optax mixes integer counts with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def run(make_run):
    return open_run(make_run(VARIATIONAL))


@pytest.fixture(autouse=True)
def printed_nothing(capfd, run):
    """Nothing reaches the terminal, but for what making the run prints."""
    capfd.readouterr()
    yield
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_page(run):
    page = evaluate.report_page(run)
    assert page.html.startswith("<!doctype html>")
    assert page.missing == ()


@pytest.mark.slow
def test_generated_examples(run):
    made = generate.manifold(run, side=3)
    assert made.examples.shape == (3, 3, 8, 8, 1)
    assert isinstance(generated.draw(run, made), Figure)
    path = generate.interpolations(run, (0, 1), columns=3, geodesic_steps=2, frames=4)
    arc = generated.animate(run, path, frames_per_second=20)["arc"]
    assert [len(arc.images), len(arc.durations), arc.images[0].size] == [6, 6, (768, 304)]


@pytest.mark.slow
def test_detected_anomalies(run):
    x = run.splits.test.x[:20].copy()
    x[:5] = 1 - x[:5]
    found = detect.detect(run, run.splits.test._replace(x=x, labels=None), np.arange(20) < 5, samples=2)
    assert found.scores.shape == (20,)
    assert found.detection.auroc.value > 0.8
    assert isinstance(detect.draw_scores(found), Figure)


@pytest.mark.slow
def test_rates_of_codes(run):
    rates = compress.compress(run, bits=(2,), examples=20)
    assert set(rates.methods) >= {"autoencoder", "PCA"}
    assert isinstance(compress.draw_rate_distortion(rates), Figure)


@pytest.mark.slow
def test_codes_compared_with_pca(run):
    comparison = encode.compare_with_pca(run)
    assert comparison.measured["PCA"].squared_error < 0.1
    assert isinstance(encode.draw_reconstructions(run, comparison), Figure)


@pytest.mark.slow
def test_exported_functions(run):
    x = run.splits.test.x[:3]
    codes = export.export_run(run)["encode"].call(x)
    np.testing.assert_allclose(codes, run.encode(run.splits.test)[:3], atol=1e-5)


@pytest.mark.slow
def test_denoised_images(make_run, capfd):
    run = open_run(make_run(DENOISING))
    capfd.readouterr()
    image = np.random.default_rng(0).uniform(size=(12, 9)).astype(np.float32)
    assert denoise.make_denoise(run)(image).shape == (12, 9)
    comparison = compare_denoising.compare_denoising(run, examples=5)
    assert {"noisy", "autoencoder"} < set(comparison.measured)
    assert isinstance(compare_denoising.draw_comparison(comparison), Figure)

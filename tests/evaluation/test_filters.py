"""Filters of known effect, and that the best of their settings is chosen."""

import numpy as np
from scipy import ndimage
from skimage.restoration import denoise_nl_means

from aejax.evaluation import filters

RNG = np.random.default_rng(0)
CLEAN = [np.kron(RNG.integers(2, size=(4, 5)), np.ones((12, 12))) for _ in range(3)]  # squares of 12x12


def test_the_median_filter_of_the_best_size():
    noisy = [np.where(RNG.uniform(size=x.shape) < 0.6, RNG.integers(2, size=x.shape), x) for x in CLEAN]
    chosen = filters.median(noisy, CLEAN)
    errors = {
        size: sum(np.sum((ndimage.median_filter(x, size) - y) ** 2) for x, y in zip(noisy, CLEAN, strict=True))
        for size in filters.MEDIAN_SIZES
    }
    best = min(errors, key=errors.get)
    assert chosen.settings == f"{best}x{best}"
    assert best > 3  # nine pixels are too few where 60 % are drawn anew
    np.testing.assert_array_equal(chosen.denoise(noisy[0]), ndimage.median_filter(noisy[0], best))
    few = [np.where(RNG.uniform(size=x.shape) < 0.02, 1 - x, x) for x in CLEAN]
    assert filters.median(few, CLEAN).settings == "3x3"


def test_a_median_of_salt_and_pepper_alone_keeps_the_rest():
    gray = [0.2 + 0.6 * x for x in CLEAN]
    drawn = [RNG.uniform(size=x.shape) for x in gray]
    noisy = [np.select([d < 0.05, d > 0.95], [0.1, 0.9], x) for d, x in zip(drawn, gray, strict=True)]
    chosen = filters.switching_median(noisy, gray, pepper=0.1, salt=0.9)
    result = chosen.denoise(noisy[0])
    kept = np.isin(noisy[0], gray[0])
    np.testing.assert_array_equal(result[kept], gray[0][kept])
    size = int(chosen.settings[0])
    np.testing.assert_array_equal(result[~kept], ndimage.median_filter(noisy[0], size)[~kept])
    error, plain = (np.sum((of.denoise(noisy[0]) - gray[0]) ** 2) for of in (chosen, filters.median(noisy, gray)))
    assert error < 0.3 * plain


def test_non_local_means_of_the_best_strength():
    noisy = [x + RNG.normal(0, 0.25, x.shape) for x in CLEAN]
    chosen = filters.non_local_means(noisy, CLEAN)
    errors = {
        h: sum(
            np.sum((denoise_nl_means(x, patch_size=5, patch_distance=6, h=h, fast_mode=True) - y) ** 2)
            for x, y in zip(noisy, CLEAN, strict=True)
        )
        for h in filters.STRENGTHS
    }
    best = min(errors, key=errors.get)
    assert chosen.settings == f"strength {best}"
    assert errors[best] < 0.5 * sum(np.sum((x - y) ** 2) for x, y in zip(noisy, CLEAN, strict=True))


def test_division_finds_the_stretch_of_a_stained_page():
    """Text of one gray on a background that varies slowly: what is left is text on white, all errors but edges'."""
    text = np.ones((60, 80))
    text[10:50:6, 8:72:5] = 0
    background = 0.6 + 0.3 * np.add.outer(np.linspace(0, 0.5, 60), np.linspace(0, 0.5, 80))
    page = background * (0.3 + 0.65 * text)
    chosen = filters.background_division([page], [text])
    assert np.sqrt(np.mean((page - text) ** 2)) > 0.2
    assert np.sqrt(np.mean((chosen.denoise(page) - text) ** 2)) < 0.02


def test_stretch_by_hand():
    result = filters.stretch(np.array([0.1, 0.2, 0.5, 0.8, 0.9]), black=0.2, white=0.8)
    np.testing.assert_allclose(result, [0, 0, 0.5, 1, 1], atol=1e-12)


def test_scikit_image_is_found_where_it_is(monkeypatch):
    assert filters.has_non_local_means()
    monkeypatch.setattr(filters, "find_spec", lambda name: None)
    assert not filters.has_non_local_means()


def test_pages_whose_ink_is_darker_are_stretched_less():
    paper = np.ones((40, 40))
    paper[5:35:6, 5:35:5] = 0
    settings = {
        black: filters.background_division([black + (0.9 - black) * paper], [paper]).settings for black in (0.0, 0.36)
    }
    assert "black 0," in settings[0.0]
    assert "black 0.4," in settings[0.36]

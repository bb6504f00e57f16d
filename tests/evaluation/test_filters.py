"""Filters with known effects, and the choice of the best setting."""

import numpy as np
import pytest
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


def test_a_switching_median_changes_only_salt_and_pepper():
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


def test_colors_are_filtered_each_alone_by_medians_and_together_by_non_local_means():
    clean = [np.stack([x, 1 - x, 0.5 * x], axis=-1) for x in CLEAN]
    rng = np.random.default_rng(1)
    noisy = [x + rng.normal(0, 0.3, x.shape) for x in clean]
    image = noisy[0]
    chosen = filters.median(noisy, clean)
    planes = [ndimage.median_filter(image[..., c], int(chosen.settings[0])) for c in range(3)]
    np.testing.assert_array_equal(chosen.denoise(image), np.stack(planes, axis=-1))
    switching = filters.switching_median([np.round(x) for x in noisy], clean, pepper=0, salt=1)
    assert switching.denoise(image).shape == image.shape
    together = filters.non_local_means(noisy, clean)
    strength = float(together.settings.removeprefix("strength "))
    knobs = {"patch_size": 5, "patch_distance": 6, "fast_mode": True}
    alone = np.stack([denoise_nl_means(image[..., c], h=strength, **knobs) for c in range(3)], axis=-1)
    error, apart = (np.mean((result - clean[0]) ** 2) for result in (together.denoise(image), alone))
    assert error < apart  # the colors have the same edges


def test_division_finds_the_stretch_of_a_stained_page():
    """Text of one gray value on a slowly varying background becomes text on white, except at edges."""
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


def test_scikit_image_is_found_if_installed(monkeypatch):
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


CHOOSE = {
    "median": filters.median,
    "switching median": lambda *pairs: filters.switching_median(*pairs, pepper=0.0, salt=255.0),
    "non-local means": filters.non_local_means,
    "background": filters.background_division,
}


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16])
@pytest.mark.parametrize("name", CHOOSE)
def test_images_of_any_type_choose_and_are_filtered_as_their_numbers(name, dtype):
    """As bytes, the difference of 0 and 1 would wrap to 255, and the worst filter would seem the best."""
    clean = [(100 + 100 * x).astype(dtype) for x in CLEAN[:1]]
    noisy = [np.where(RNG.uniform(size=x.shape) < 0.2, RNG.choice([0, 255], x.shape), x).astype(dtype) for x in clean]
    narrow, wide = (
        CHOOSE[name]([x.astype(d) for x in noisy], [x.astype(d) for x in clean]) for d in (dtype, np.float64)
    )
    assert narrow.settings == wide.settings
    np.testing.assert_array_equal(narrow.denoise(noisy[0]), wide.denoise(noisy[0].astype(np.float64)))


def test_pepper_of_double_precision_is_found_in_images_of_single_precision():
    """0.1 in single precision is not 0.1 in double."""
    noisy = [np.where(RNG.uniform(size=x.shape) < 0.1, 0.1, 0.3 + 0.5 * x).astype(np.float32) for x in CLEAN]
    clean = [(0.3 + 0.5 * x).astype(np.float32) for x in CLEAN]
    chosen = filters.switching_median(noisy, clean, pepper=np.float64(0.1), salt=np.float64(0.9))
    assert not np.isin(np.float32(0.1), chosen.denoise(noisy[0]))
    assert chosen.denoise(noisy[0]).dtype == np.float32


def test_settings_do_not_change_the_precision():
    page = np.full((20, 20), 0.7, np.float32)
    assert filters.stretch(page, black=np.float64(0.1), white=np.float64(0.9)).dtype == np.float32
    assert filters.background_division([page], [page]).denoise(page).dtype == np.float32


@pytest.mark.parametrize("name", CHOOSE)
def test_pairs_that_do_not_fit_are_refused(name):
    x = np.zeros((40, 40))
    for noisy, clean, complaint in (
        ([], [], "got 0 and 0"),
        ([x], [x, x], "got 1 and 2"),
        ([x], [x[:1]], "shapes must be equal"),
        ([np.full((40, 40), np.nan)], [x], "must be finite"),
    ):
        with pytest.raises(ValueError, match=complaint):
            CHOOSE[name](noisy, clean)
    with pytest.raises(ValueError, match="white must be above black"):
        filters.stretch(x, black=0.5, white=0.5)

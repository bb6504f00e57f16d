"""Patches of natural images: the whitening filter, patches without means, no image in two splits."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from aejax.datasets.natural_patches import CUTOFF, whiten
from aejax.errors import UserError
from aejax.experiment.configuration import Data
from aejax.experiment.loading import load_splits

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("cycles", [(3, 0), (0, 20), (12, 5), (28, 30)])
def test_a_wave_is_multiplied_by_the_response_at_its_frequency(cycles):
    """A sum of cosines that is symmetric about the border of a 64x64 image is also one of the mirrored image."""
    size = 64
    waves = [np.cos(np.pi * n * (np.arange(size) + 0.5) / size) for n in cycles]  # n half periods
    image = np.outer(*waves)
    frequency = np.hypot(*cycles) / (2 * size)
    expected = image * frequency * np.exp(-((frequency / CUTOFF) ** 4))
    inner = slice(12, -12)  # the ends of the padding, 16 pixels beyond the border, are not periodic
    error = np.abs(whiten(image) - expected)[inner, inner].max()
    assert error < 0.02 * np.abs(expected).max() + 2e-3


def test_amplitudes_that_fall_as_1_over_f_become_flat():
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256))
    amplitude = np.where(frequency > 0, 1 / np.where(frequency > 0, frequency, 1), 0)
    image = np.fft.ifft2(amplitude * np.fft.fft2(RNG.normal(size=(256, 256)))).real
    power = np.abs(np.fft.fft2(whiten(image))) ** 2
    bands = [power[(frequency > low) & (frequency < low + 0.02)].mean() for low in (0.05, 0.1, 0.15, 0.2)]
    assert max(bands) < 1.3 * min(bands)
    assert power[frequency > 0.55].mean() < 0.02 * min(bands)


def write_images(folder, count=6):
    (folder / "natural_images_bsd68" / "BSD68").mkdir(parents=True)
    for number in range(count):
        pixels = RNG.integers(0, 256, (24, 20), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "natural_images_bsd68" / "BSD68" / f"{number}.png")
    return Data(dataset="natural_patches", data_dir=str(folder), crop=8, crops_per_page=50)


def test_patches_have_no_mean_one_scale_and_their_own_images(tmp_path):
    splits = load_splits(write_images(tmp_path))
    assert [split.x.shape for split in splits] == [(200, 8, 8, 1), (9, 8, 8, 1), (9, 8, 8, 1)]
    for split in splits:
        np.testing.assert_allclose(split.x.mean(axis=(1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(splits.train.x.std(), 1, rtol=1e-5)
    # a patch of an image of its own correlates with none of another: no pair of splits shares a patch
    flat = [split.x.reshape(len(split.x), -1) for split in splits]
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in flat]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert (unit[first] @ unit[second].T).max() < 0.9


def test_a_patch_that_exceeds_the_images_and_a_missing_folder_are_refused(tmp_path):
    data = write_images(tmp_path / "images")
    with pytest.raises(UserError, match=r"crop: .*\.png is smaller than 21 pixels"):
        load_splits(replace(data, crop=21))
    with pytest.raises(UserError, match="natural_images_bsd68/BSD68: fetch the folder BSD68"):
        load_splits(Data(dataset="natural_patches", data_dir=str(tmp_path / "none")))

"""Frames of animations of paths between two examples, which stand unchanged at either side."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from aejax.host.escaping import printable

_SIDE, _GAP, _LINE, _LETTER = 240, 12, 20, 16  # pixels: of an image's longer side, between images, of a caption
_MAX_CAPTION = 40  # characters


def frames_of_images(
    images: np.ndarray,
    *,
    start: np.ndarray,
    end: np.ndarray,
    limits: tuple[float, float],
    captions: tuple[str, str, str],
) -> list[Image.Image]:
    """Returns the frames of an animation: the start at the left, the moving image in the middle, the end at the right.

    Images are enlarged without interpolation.

    Args:
      images: (F, H, W), (F, H, W, 1) or (F, H, W, 3) images, one per frame.
      start: an image of the same shape.
      end: an image of the same shape.
      limits: the smallest and largest value, black and white.
      captions: the text below the three images; line breaks are kept.
    """
    font = ImageFont.load_default(_LETTER)
    texts = ["\n".join(printable(line)[:_MAX_CAPTION] for line in text.split("\n")) for text in captions]
    factor = max(1, math.ceil(_SIDE / max(images.shape[1:3])))
    height, width = factor * images.shape[1], factor * images.shape[2]
    size = (3 * width + 4 * _GAP, height + 2 * _GAP + _LINE * (1 + max(text.count("\n") for text in texts)))
    background = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(background)
    lefts = [_GAP + place * (width + _GAP) for place in range(3)]
    for left, text in zip(lefts, texts, strict=True):
        middle = (left + width / 2, height + 1.5 * _GAP)
        draw.multiline_text(middle, text, fill="black", font=font, anchor="ma", align="center")
        draw.rectangle((left - 1, _GAP - 1, left + width, _GAP + height), outline="gray")
    for left, image in ((lefts[0], start), (lefts[2], end)):
        background.paste(_enlarged(image, limits, factor), (left, _GAP))
    frames = []
    for image in images:
        frame = background.copy()
        frame.paste(_enlarged(image, limits, factor), (lefts[1], _GAP))
        frames.append(frame)
    return frames


def _enlarged(image: np.ndarray, limits: tuple[float, float], factor: int) -> Image.Image:
    low, high = map(float, limits)
    scaled = np.clip((np.asarray(image, np.float64) - low) / ((high - low) or 1.0), 0, 1)
    scaled = np.where(np.isnan(scaled), 1.0, scaled)  # nothing is drawn after a sequence's end
    pixels = np.round(255 * scaled).astype(np.uint8)
    pixels = pixels[..., 0] if pixels.shape[2:] == (1,) else pixels
    return Image.fromarray(pixels.repeat(factor, axis=0).repeat(factor, axis=1))

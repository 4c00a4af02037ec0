"""Grids of images."""

import math
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from tfp_priors.files import written_atomically


def image_grid(images, columns: int | None = None, padding: int = 2) -> np.ndarray:
    """Tiles images row by row over a white ground.

    Args:
      images: float array `[n, height, width, channels]` in [0, 1], 1 or 3 channels.
      columns: images per row; by default the grid is about square.
      padding: white pixels between images.

    Returns:
      uint8 array `[grid_height, grid_width, channels]`.
    """
    images = np.asarray(images)
    n, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    shape = (
        rows * (height + padding) - padding,
        columns * (width + padding) - padding,
        channels,
    )
    grid = np.full(shape, 255, np.uint8)
    pixels = np.round(np.clip(images, 0.0, 1.0) * 255).astype(np.uint8)
    for i, image in enumerate(pixels):
        top = (i // columns) * (height + padding)
        left = (i % columns) * (width + padding)
        grid[top : top + height, left : left + width] = image
    return grid


def save_image(pixels: np.ndarray, path: str | Path) -> None:
    """Writes a uint8 array `[height, width, 1 or 3]` as PNG."""
    with written_atomically(path) as temporary:
        _picture(pixels).save(temporary, format="PNG")


def save_labelled_rows(rows: dict[str, np.ndarray], path: str | Path) -> None:
    """Writes a row of images per label, with the label on its left, as PNG.

    Args:
      rows: float arrays `[n, height, width, channels]` in [0, 1] by label.
      path: PNG file to write.
    """
    font = ImageFont.load_default(size=13)
    strips = {
        label: _picture(image_grid(images, columns=len(images))).convert("RGB")
        for label, images in rows.items()
    }
    margin = 10 + int(max(font.getlength(label) for label in strips))
    width = margin + max(strip.width for strip in strips.values())
    heights = [strip.height + 4 for strip in strips.values()]
    picture = Image.new("RGB", (width, sum(heights)), "white")
    draw = ImageDraw.Draw(picture)
    top = 0
    for (label, strip), height in zip(strips.items(), heights, strict=True):
        draw.text((4, top + strip.height // 2), label, "black", font, anchor="lm")
        picture.paste(strip, (margin, top))
        top += height
    with written_atomically(path) as temporary:
        picture.save(temporary, format="PNG")


def _picture(pixels):
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)

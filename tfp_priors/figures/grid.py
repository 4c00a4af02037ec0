"""Grids of images."""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

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
    pixels = np.round(np.clip(images, 0.0, 1.0) * 255).astype(np.uint8)
    white = [(0, rows * columns - n), (0, padding), (0, padding), (0, 0)]
    tiles = np.pad(pixels, white, constant_values=255)
    tiles = tiles.reshape(rows, columns, *tiles.shape[1:]).swapaxes(1, 2)
    grid = tiles.reshape(rows * (height + padding), -1, channels)
    return grid[: len(grid) - padding, : grid.shape[1] - padding]


def png(pixels: np.ndarray) -> bytes:
    """A uint8 array `[height, width, 1 or 3]` as a PNG file."""
    file = io.BytesIO()
    grey = pixels.shape[-1] == 1
    Image.fromarray(pixels[..., 0] if grey else pixels).save(file, format="PNG")
    return file.getvalue()


def save_image(pixels: np.ndarray, path: str | Path) -> None:
    """Writes `png` of the pixels."""
    with written_atomically(path) as temporary:
        temporary.write_bytes(png(pixels))

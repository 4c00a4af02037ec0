"""Images for the input pipelines, the same on both sides."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

BATCH_SIZE = 64
CROP = 128
_PICTURES = 2000
# CelebA's.
WIDTH, HEIGHT = 178, 218


def arrays(size: int = 60_000) -> np.ndarray:
    """uint8 images `[size, 28, 28]`."""
    return np.random.RandomState(0).randint(0, 256, (size, 28, 28), np.uint8)


def write(folder: Path) -> None:
    """Writes JPEGs of CelebA's size and about its bytes."""
    folder.mkdir()
    random = np.random.RandomState(0)
    for i in range(_PICTURES):
        coarse = random.randint(0, 256, (14, 11, 3), np.uint8)
        image = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.BICUBIC)
        noise = random.randint(-8, 9, (HEIGHT, WIDTH, 3))
        noisy = np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
        with io.BytesIO() as buffer:
            Image.fromarray(noisy).save(buffer, "JPEG", quality=75)
            (folder / f"{i:06d}.jpg").write_bytes(buffer.getvalue())

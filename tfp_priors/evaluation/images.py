"""Images to be measured: uint8, in numbered chunks, with a name for their contents."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tfp_priors.data import ImageDataset
from tfp_priors.data import shuffled_indices
from tfp_priors.data.pictures import find_pictures
from tfp_priors.data.pictures import read_image
from tfp_priors.errors import UserError

#: Images per chunk. Samples are drawn chunk by chunk, so it is part of the protocol.
CHUNK = 1000


def quantized(images) -> np.ndarray:
    """Images as the uint8 that a file would hold.

    Args:
      images: `[n, height, width, channels]`, floats in [0, 1] or uint8.

    Raises:
      UserError: if they have another shape, are not finite or out of range.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise UserError(
            "Expected images [n, height, width, channels] with 1 or 3 channels, "
            f"received an array of shape {images.shape}."
        )
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise UserError(
            f"Expected images as uint8 or as floats in [0, 1], received {images.dtype}."
        )
    low, high = images.min(initial=0.0), images.max(initial=0.0)
    if not np.isfinite([low, high]).all():
        bad = int((~np.isfinite(images)).any(axis=(1, 2, 3)).sum())
        raise UserError(
            f"{bad} of {len(images)} images hold NaN or infinity: the model that made "
            "them has diverged, or the file is damaged."
        )
    # Rounding may leave a float image just outside.
    if low < -1e-3 or high > 1 + 1e-3:
        raise UserError(
            f"Expected float images in [0, 1], received [{low:.3g}, {high:.3g}]: "
            "divide by 255, or map [-1, 1] by (x + 1) / 2."
        )
    return np.rint(np.clip(images, 0.0, 1.0) * 255).astype(np.uint8)


class Images:
    """A sequence of images that is read chunk by chunk.

    Args:
      size: number of images.
      read: maps `(start, stop)` to the images of one chunk, `[stop - start, height,
        width, channels]`, floats in [0, 1] or uint8.
      identity: a text that changes whenever the images do; None: a hash of them.
      condition: array with a row per image, what a conditional model needs to know of
        it, or None.

    Attributes:
      read: that function; of draws of a prior alone these are codes.
    """

    def __init__(
        self,
        size: int,
        read: Callable,
        identity: str | None = None,
        condition: np.ndarray | None = None,
    ):
        self.size = size
        self.condition = condition
        self.read = read
        self._identity = identity

    def spans(self) -> list[tuple[int, int]]:
        """`(start, stop)` of each chunk."""
        return [
            (start, min(start + CHUNK, self.size))
            for start in range(0, self.size, CHUNK)
        ]

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """The images of one chunk, uint8."""
        return quantized(self.read(start, stop))

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.chunk(*span) for span in self.spans())

    @property
    def identity(self) -> str:
        """A text that names the contents."""
        if self._identity is None:
            digest = hashlib.sha256()
            for chunk in self:
                digest.update(repr(chunk.shape).encode())
                digest.update(np.ascontiguousarray(chunk))
            self._identity = digest.hexdigest()
        return self._identity

    def floats(self) -> np.ndarray:
        """All images in [0, 1], float32 `[n, height, width, channels]`."""
        return np.concatenate(list(self)).astype(np.float32) / 255

    def given(self, start: int, stop: int) -> tuple:
        """The conditions of one chunk, if there are any, as the only item."""
        return () if self.condition is None else (self.condition[start:stop],)

    def map(self, function: Callable, name: str) -> "Images":
        """The images under a function of uint8 chunks and, if any, their conditions.

        `name` is the function's identity.
        """
        return Images(
            self.size,
            lambda start, stop: function(
                self.chunk(start, stop), *self.given(start, stop)
            ),
            f"{name}({self.identity})",
            self.condition,
        )


def in_chunks(function: Callable, *columns: np.ndarray) -> np.ndarray:
    """The values of a function of many rows, for which it may need much memory.

    With a mixture below a flow log p(z) takes components * latent_size numbers a code.
    """
    parts = [
        np.asarray(function(*(column[i : i + CHUNK] for column in columns)))
        for i in range(0, len(columns[0]), CHUNK)
    ]
    return np.concatenate(parts)


def from_array(images) -> Images:
    """Images of an array `[n, height, width, channels]`; see `quantized`."""
    images = quantized(images)
    return Images(len(images), lambda start, stop: images[start:stop])


def from_dataset(dataset: ImageDataset, n: int, condition: str | None = None) -> Images:
    """At most n images of a data set: the same ones, in the same random order.

    Args:
      dataset: the data set.
      n: number of images.
      condition: the feature that is their condition, or None.
    """
    n = min(n, dataset.size)
    if not n:
        raise UserError("The data set has no images.")
    order = next(iter(shuffled_indices(dataset.size, n, seed=0))).numpy()
    return Images(
        n,
        lambda start, stop: dataset.gather(order[start:stop])["image"],
        condition=condition and np.asarray(dataset.features[condition])[order],
    )


def from_sampler(
    sample: Callable,
    n: int,
    seed: int,
    identity: str,
    condition: np.ndarray | None = None,
) -> Images:
    """n draws of a model.

    Args:
      sample: maps `(n, seed)` to images; given conditions, `(n, seed, conditions)`.
      n: number of images.
      seed: each chunk has a seed of its own that depends on it.
      identity: names the model and its weights.
      condition: of each image, or None.
    """
    name = f"samples({identity}, seed={seed})"
    if condition is not None:
        name += f" given {hashlib.sha256(condition.tobytes()).hexdigest()}"

    def read(start, stop):
        given = images.given(start, stop)
        return sample(stop - start, chunk_seed(seed, start), *given)

    images = Images(n, read, name, condition)
    return images


def chunk_seed(seed: int, *numbers: int) -> int:
    """The int32 seed of the chunk that begins at the first number.

    A second number is for another noise than that of draws, which a code must not
    share.
    """
    state = np.random.SeedSequence([seed, *numbers]).generate_state(1)[0]
    return int(state >> 1)


def from_folder(
    folder: str | Path, image_shape, read_picture: Callable | None = None
) -> Images:
    """The pictures in a folder and its subfolders, in an order that is always the same.

    It is a random one: by their names, those of a class would come together, and the
    first n be of few classes. They are read as `bin/prepare_data` reads them.

    Args:
      folder: with image files; see `tfp_priors.data.pictures`.
      image_shape: `(height, width, channels)` that they must have; pictures are
        turned into gray or RGB ones as `channels` says.
      read_picture: maps the path of one and its number to its pixels, such as
        `ImageDataset.read_picture`; None: those of another size are refused.

    Raises:
      UserError: if there are none; on reading, if a picture is damaged or has another
        size.
    """
    folder = Path(folder)
    if not folder.is_dir():
        state = "no folder" if folder.exists() else "not there"
        raise UserError(f"Expected a folder of pictures: {folder} is {state}.")
    paths, _ = find_pictures(folder)
    if not paths:
        raise UserError(
            f"There are no pictures (PNG, JPEG, WebP, TIFF, BMP or GIF) in {folder}."
        )
    order = np.random.RandomState(0).permutation(len(paths))
    paths = [paths[i] for i in order]
    *size, channels = image_shape

    def as_it_is(path, number):
        del number
        return read_image(path, tuple(size), channels, scale=False)

    read_one = read_picture or as_it_is

    def read(start, stop):
        return np.stack([read_one(paths[i], i) for i in range(start, stop)])

    return Images(len(paths), read)

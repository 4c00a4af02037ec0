"""One split of a data set, as deterministic batches."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tensorflow as tf

from tfp_priors.core.order import held_out_rows
from tfp_priors.core.order import shuffled_indices
from tfp_priors.data.pictures import read_image
from tfp_priors.data.pictures import size_and_channels
from tfp_priors.errors import UserError
from tfp_priors.errors import check_within
from tfp_priors.errors import raised_in_graph

# Batches that wait for the model, beside those in work.
_PREFETCHED = 2


class ImageDataset:
    """One split of a data set, in memory.

    Args:
      images: uint8 array or tensor `[size, height, width, channels]`, or encoded
        images, strings `[size]`, with `decode`.
      features: arrays of length `size` by name, such as {"label": ...}.
      image_shape: `(height, width, channels)`.
      decode: maps a batch of `images` to uint8 tensors of `image_shape`.

    Raises:
      UserError: if the images have another type or shape, or a feature another length.

    >>> images = np.zeros((100, 28, 28, 1), np.uint8)
    >>> dataset = ImageDataset(images, {"label": np.arange(100) % 10}, (28, 28, 1))
    >>> learned, held_out = dataset.split(0.05, seed=0)
    >>> learned.size, held_out.size
    (95, 5)
    >>> next(iter(learned.training_batches(32, seed=0)))["image"].shape
    TensorShape([32, 28, 28, 1])
    """

    #: Columns of the feature "attributes" that are one factor in one-hot code, by its
    #: name; for sets whose factors are known to be independent and uniform.
    factors: Mapping[str, slice] = {}

    #: `(height, width)` in which images are stored, None where they differ, and what
    #: crops or scales one of them; for sets that are not stored as they are read.
    stored: tuple[tuple, Callable] | None = None

    def __init__(self, images, features, image_shape, decode=None):
        with tf.device("CPU"):
            self._images = tf.constant(images)
            self._columns = {k: tf.constant(v) for k, v in features.items()}
        if decode is None:
            _check_bytes(self._images, image_shape)
        for name, column in self._columns.items():
            if column.shape[:1] != self._images.shape[:1]:
                raise UserError(
                    f"Expected the feature {name!r} to have a row for each of the "
                    f"{self.size} images, received shape {tuple(column.shape)}: give "
                    "those of the same images."
                )
        # Of a column of pandas, rows go by its index.
        self.features = {name: np.asarray(v) for name, v in features.items()}
        self.image_shape = tuple(image_shape)
        self._decode = decode

    @property
    def size(self) -> int:
        """Number of images."""
        return self._images.shape[0]

    def training_batches(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        worker: int = 0,
        workers: int = 1,
    ) -> tf.data.Dataset:
        """Endless shuffled batches, the same for the same seed and step.

        Their images are uint8, a quarter of the memory of float32 on the way to the
        device; models scale them there.

        Args:
          batch_size: images per batch, over all workers.
          seed: of the order, see `shuffled_indices`.
          start_step: batches to leave out; costs nothing.
          worker: see `shuffled_indices`.
          workers: see `shuffled_indices`.

        Returns:
          Dicts of "image", uint8 `[batch_size / workers, height, width, channels]`,
          and the features.

        Raises:
          UserError: as `shuffled_indices`.
        """
        return self._gather(
            shuffled_indices(self.size, batch_size, seed, start_step, worker, workers)
        )

    def batches(self, batch_size: int) -> tf.data.Dataset:
        """All examples in their stored order; the last batch may be smaller.

        Returns:
          Dicts of "image", float32 `[batch, height, width, channels]` in [0, 1], and
          the features.
        """
        indices = tf.data.Dataset.range(self.size).batch(batch_size)
        return self._gather(indices, scaled=True)

    def map(self, function: Callable, batch_size: int = 500) -> np.ndarray:
        """The values of a function of images, for all images in their stored order.

        Args:
          function: maps images, float32 `[batch, height, width, channels]` in
            [0, 1], to a tensor `[batch, ...]`.
          batch_size: images per call.

        Returns:
          An array `[size, ...]`.

        Raises:
          UserError: if a file is missing or damaged.
        """
        compiled = tf.function(function, reduce_retracing=True, autograph=False)
        batches = self.batches(batch_size)
        with raised_in_graph():
            return np.concatenate([compiled(batch["image"]) for batch in batches])

    def gather(self, indices) -> dict[str, np.ndarray]:
        """The examples with these numbers, as one batch of arrays, as in `batches`.

        Raises:
          UserError: if a file is missing or damaged.
        """
        indices = tf.data.Dataset.from_tensors(np.asarray(indices, np.int64))
        with raised_in_graph():
            return next(self._gather(indices, scaled=True).as_numpy_iterator())

    def take(self, n: int) -> dict[str, np.ndarray]:
        """The first n examples (all, if there are fewer) as one batch of arrays.

        Raises:
          UserError: if a file is missing or damaged.
        """
        return self.gather(np.arange(min(n, self.size)))

    def read_picture(
        self, path: Path | BinaryIO, number: int = 0, scale: bool = True
    ) -> np.ndarray:
        """A picture as one of the data set, uint8 of `image_shape`.

        One of that size is taken as it is, any other is scaled to the size in which
        the data set is stored, then cropped and scaled as its images are.

        Args:
          path: see `read_image`.
          number: that it has among pictures, for sets that draw pixels.
          scale: whether it may have another size.

        Raises:
          UserError: if it cannot be read, or has another size and may not.
        """
        *size, channels = self.image_shape
        if self.stored is None or not scale:
            return read_image(path, tuple(size), channels, scale)
        own, _ = size_and_channels(path)
        if own == tuple(size):
            return read_image(path, own, channels)
        stored, transform = self.stored
        picture = read_image(path, own if None in stored else stored, channels)
        with raised_in_graph():
            return np.asarray(transform(picture))

    def split(self, share: float, seed: int) -> tuple["ImageDataset", "ImageDataset"]:
        """All images but a share, and this share; nothing is copied.

        Args:
          share: part of the images in (0, 1) that is held out, rounded; at least one
            image is in each. A single image is in both.
          seed: of the choice.

        Raises:
          UserError: if it is no share.
        """
        check_within("split", "(0, 1)", share=share)
        if self.size == 1:
            return _Part(self, np.arange(1)), _Part(self, np.arange(1))
        learned, held_out = held_out_rows(self.size, share, seed)
        return _Part(self, learned), _Part(self, held_out)

    def _gather(self, indices, scaled=False):
        """The examples of each batch of indices; float32 images if `scaled`."""

        def batch(index):
            examples = self._read(index)
            image = tf.ensure_shape(
                examples.pop("image"), [*index.shape, *self.image_shape]
            )
            if scaled:
                image = tf.cast(image, tf.float32) / 255.0
            return {"image": image, **examples}

        dataset = indices.map(
            batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        return dataset.prefetch(_PREFETCHED)

    def _read(self, index):
        """The examples of a batch of numbers: uint8 images and the features."""
        image = tf.gather(self._images, index)
        if self._decode is not None:
            image = self._decode(image)
        features = {name: tf.gather(x, index) for name, x in self._columns.items()}
        return {"image": image, **features}


def _check_bytes(images, image_shape):
    if images.dtype == tf.uint8 and images.shape[1:] == tuple(image_shape):
        return
    received = f"{images.dtype.name} {tuple(images.shape)}"
    if images.dtype.is_floating and tf.size(images):
        low, high = float(tf.reduce_min(images)), float(tf.reduce_max(images))
        received += f" in [{low:.4g}, {high:.4g}]"
    raise UserError(
        f"Expected images as uint8 of shape {('size', *image_shape)}, received "
        f"{received}: floats in [0, 1] become uint8 by "
        "np.rint(255 * x).astype('uint8')."
    )


class _Part(ImageDataset):
    """Some of the images of a data set, in its order: those of the numbers `rows`."""

    def __init__(self, whole, rows):
        self._whole = whole
        with tf.device("CPU"):
            self.rows = tf.constant(rows, tf.int64)
        self.features = LazyFeatures(
            whole.features, lambda name: whole.features[name][rows]
        )
        self.factors = whole.factors
        self.stored = whole.stored
        self.image_shape = whole.image_shape

    @property
    def size(self) -> int:
        return self.rows.shape[0]

    def _read(self, index):
        return self._whole._read(tf.gather(self.rows, index))


class LazyFeatures(Mapping):
    """Features by name, read once one of them is asked for.

    Args:
      names: of the features.
      read: maps a name to the array of that feature.
    """

    def __init__(self, names: Iterable[str], read: Callable[[str], np.ndarray]):
        self._names = tuple(names)
        self._read = read

    def __getitem__(self, name):
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __contains__(self, name):
        return name in self._names

    def __iter__(self):
        return iter(self._names)

    def __len__(self):
        return len(self._names)

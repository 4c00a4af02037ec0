"""Prepared data sets in memory, and their order as a function of (seed, step)."""

import functools
import sys
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

from tfp_priors.data.builders.embedded_digits import EmbeddedDigits
from tfp_priors.data.builders.procedural_faces import ProceduralFaces
from tfp_priors.errors import UserError
from tfp_priors.files import is_disk_full

#: Builders of sets that are made without any file, by name.
BUILT_IN = {builder.name: builder for builder in (EmbeddedDigits, ProceduralFaces)}

# Larger sets stay JPEG or PNG in memory and are decoded batch by batch.
_MAX_DECODED_BYTES = 4 * 2**30

# Of the cipher behind the permutation. The op's default of 4 leaves half of 100
# examples in their places; from 8 on, permutations pass for random ones.
_ROUNDS = 16


def shuffled_indices(
    size: int, batch_size: int, seed: int, start_step: int = 0
) -> tf.data.Dataset:
    """Endless batches of indices into `size` examples, a function of seed and step.

    Index i of the stream is index `i % size` of the permutation number `i // size`, so
    every example comes once before any comes again.

    Args:
      size: number of examples.
      batch_size: indices per batch.
      seed: of the permutations.
      start_step: batches to leave out; costs nothing.

    Returns:
      int64 tensors `[batch_size]`.
    """
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1, received {batch_size}.")
    size = tf.constant(size, tf.int64)

    def indices(step):
        position = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        epoch = position // size
        seeds = tf.stack(
            [tf.fill([batch_size], tf.constant(seed, tf.int64)), epoch, 0 * epoch],
            axis=1,
        )
        # The op itself: its wrapper, tf.random.experimental.index_shuffle, takes
        # one seed for all indices, and a batch may span two permutations.
        return tf.raw_ops.RandomIndexShuffle(
            index=position % size, seed=seeds, max_index=size - 1, rounds=_ROUNDS
        )

    steps = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
    return steps.map(indices)


class ImageDataset:
    """One split of a data set, in memory.

    Args:
      images: uint8 array `[size, height, width, channels]`, or encoded images, a
        string array `[size]`, with `decode`.
      features: arrays of length `size` by name, such as {"label": ...}.
      image_shape: `(height, width, channels)`.
      decode: maps a batch of `images` to uint8 tensors of `image_shape`.
    """

    def __init__(self, images, features, image_shape, decode=None):
        with tf.device("CPU"):
            self._images = tf.constant(images)
        self.features = features
        self.image_shape = tuple(image_shape)
        self._decode = decode

    @property
    def size(self) -> int:
        """Number of images."""
        return self._images.shape[0]

    def training_batches(
        self, batch_size: int, seed: int, start_step: int = 0
    ) -> tf.data.Dataset:
        """Endless shuffled batches, the same for the same seed and step.

        Args:
          batch_size: images per batch.
          seed: of the order, see `shuffled_indices`.
          start_step: batches to leave out; costs nothing.

        Returns:
          Dicts of "image", float32 `[batch_size, height, width, channels]` in
          [0, 1], and the features.
        """
        return self._gather(shuffled_indices(self.size, batch_size, seed, start_step))

    def batches(self, batch_size: int) -> tf.data.Dataset:
        """All examples in their stored order; the last batch may be smaller."""
        indices = tf.data.Dataset.range(self.size).batch(batch_size)
        return self._gather(indices)

    def map(self, function: Callable, batch_size: int = 500) -> np.ndarray:
        """The values of a function of images, for all images in their stored order.

        Args:
          function: maps images `[batch, height, width, channels]` in [0, 1] to a
            tensor `[batch, ...]`.
          batch_size: images per call.

        Returns:
          An array `[size, ...]`.
        """
        compiled = tf.function(function, reduce_retracing=True)
        batches = self.batches(batch_size)
        return np.concatenate([compiled(batch["image"]).numpy() for batch in batches])

    def gather(self, indices) -> dict[str, np.ndarray]:
        """The examples with these numbers, as one batch of arrays."""
        dataset = self._gather(tf.data.Dataset.from_tensors(np.asarray(indices)))
        return next(dataset.as_numpy_iterator())

    def take(self, n: int) -> dict[str, np.ndarray]:
        """The first n examples (all, if there are fewer) as one batch of arrays."""
        return next(self.batches(min(n, self.size)).as_numpy_iterator())

    def _gather(self, indices):
        features = {name: tf.constant(value) for name, value in self.features.items()}

        def batch(index):
            image = tf.gather(self._images, index)
            if self._decode is not None:
                image = self._decode(image)
            image = tf.ensure_shape(image, [None, *self.image_shape])
            gathered = {name: tf.gather(x, index) for name, x in features.items()}
            return {"image": tf.cast(image, tf.float32) / 255.0, **gathered}

        dataset = indices.map(batch, num_parallel_calls=tf.data.AUTOTUNE)
        return dataset.prefetch(tf.data.AUTOTUNE)


def load_dataset(
    name: str,
    split: str = "train",
    data_dir: str | None = None,
    crop_size: int | Sequence[int] | None = None,
    image_size: int | Sequence[int] | None = None,
) -> ImageDataset:
    """Loads one split of a data set, preparing it first if that needs no archive.

    Args:
      name: a TFDS name such as "mnist", one of `BUILT_IN`, or "image_folder/NAME" for
        a folder prepared under that name.
      split: TFDS split, such as "train" or "test[:1000]".
      data_dir: where TFDS keeps prepared data; None: TFDS's default.
      crop_size: side or `(height, width)` of a centre crop in pixels, or None.
      image_size: side or `(height, width)` to scale to after the crop, or None.

    Raises:
      UserError: if the data is unknown, unprepared and unreachable, or smaller than
        the crop.
    """
    builder = _prepared_builder(name, data_dir)
    if "image" not in builder.info.features:
        raise UserError(f"Data set {name} has no feature 'image'.")
    try:
        examples = builder.info.splits[split].num_examples
    except (KeyError, ValueError) as error:
        known = ", ".join(builder.info.splits)
        raise UserError(
            f"Data set {name} has no split {split}; it has {known}."
        ) from error
    stored_shape = builder.info.features["image"].shape
    transform, image_shape = _transform(name, stored_shape, crop_size, image_size)
    encoded = examples * np.prod(image_shape) > _MAX_DECODED_BYTES
    arrays = _read(builder, split, None if encoded else transform)
    images = arrays.pop("image")
    if not encoded:
        return ImageDataset(images, arrays, image_shape)
    feature = builder.info.features["image"]

    def decode(batch):
        return tf.map_fn(
            lambda data: transform(feature.decode_example(data)),
            batch,
            fn_output_signature=tf.uint8,
        )

    return ImageDataset(images, arrays, image_shape, decode)


def _read(builder, split, transform):
    """The split's columns by name; images as they are stored without `transform`."""
    decoders = None if transform else {"image": tfds.decode.SkipDecoding()}
    dataset = builder.as_dataset(
        split=split, decoders=decoders, read_config=tfds.ReadConfig(try_autocache=False)
    )
    select = _feature_selector(builder.info.features)

    def read(example):
        image = example["image"]
        return {"image": transform(image) if transform else image, **select(example)}

    columns: dict[str, list] = {}
    chunks = dataset.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(1024)
    for chunk in chunks.as_numpy_iterator():
        for key, value in chunk.items():
            columns.setdefault(key, []).append(value)
    return {key: np.concatenate(values) for key, values in columns.items()}


def _prepared_builder(name, data_dir):
    """The TFDS builder of a data set whose files are there."""
    if name.startswith("image_folder/"):
        try:
            return tfds.core.read_only_builder.builder_from_files(
                name, data_dir=data_dir or tfds.core.constants.DATA_DIR
            )
        except tfds.core.DatasetNotFoundError as error:
            label = name.removeprefix("image_folder/")
            raise UserError(
                f"{name} is not prepared: run bin/prepare_data --dataset={name} "
                f"--source=FOLDER, with FOLDER the images of {label}."
            ) from error
    try:
        make = BUILT_IN.get(name) or functools.partial(tfds.builder, name)
        builder = make(data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise UserError(
            f"Unknown data set {name!r}: expected {', '.join(BUILT_IN)}, "
            "image_folder/NAME or a name of TFDS, such as mnist, fashion_mnist, "
            "cifar10 or celeb_a."
        ) from error
    if not builder.is_prepared():
        try:
            download_and_prepare(builder)
        except Exception as error:
            # TFDS lets errors of several HTTP libraries through.
            if isinstance(error, OSError) and (error.filename or is_disk_full(error)):
                raise
            raise UserError(
                f"Could not download {name} ({type(error).__name__}). Without a "
                f"connection, prepare it from local files: bin/prepare_data "
                f"--dataset={name} --source=FOLDER."
            ) from error
    return builder


def download_and_prepare(builder: tfds.core.DatasetBuilder) -> None:
    """Runs TFDS's preparation; its progress bars are for terminals."""
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    # TFDS's 10 retries, each after twice the wait, take 200 s without a connection.
    downloader.MAX_RETRIES = min(downloader.MAX_RETRIES, 5)
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    builder.download_and_prepare(download_config=config)


def _pair(size):
    return (size, size) if isinstance(size, int) else tuple(size)


def _transform(name, stored_shape, crop_size, image_size):
    """A function of one uint8 image, and the shape that it returns."""
    if crop_size is None and image_size is None and None in stored_shape:
        raise UserError(
            f"The images of {name} differ in size: set load_dataset.crop_size or "
            "load_dataset.image_size."
        )
    *size, channels = stored_shape
    if crop_size is not None:
        crop = _pair(crop_size)
        if None not in size and (size[0] < crop[0] or size[1] < crop[1]):
            raise UserError(
                f"Cannot crop the {size[0]}x{size[1]} images of {name} to "
                f"{crop[0]}x{crop[1]} pixels: choose a smaller crop_size."
            )
        size = crop
    if image_size is not None:
        size = _pair(image_size)

    def transform(image):
        if crop_size is not None:
            shape = tf.shape(image)
            top = (shape[0] - crop[0]) // 2
            left = (shape[1] - crop[1]) // 2
            image = tf.image.crop_to_bounding_box(image, top, left, *crop)
        if image_size is not None:
            image = tf.image.resize(image, size, antialias=True)
            image = tf.cast(tf.round(tf.clip_by_value(image, 0, 255)), tf.uint8)
        return image

    return transform, (*size, channels)


def _feature_selector(features):
    """Keeps the label and, for CelebA, the binary attributes as one vector."""

    def select(example):
        selected = {}
        if "label" in features:
            selected["label"] = example["label"]
        if "attributes" in features:
            names = sorted(features["attributes"])
            selected["attributes"] = tf.stack([example["attributes"][n] for n in names])
        return selected

    return select

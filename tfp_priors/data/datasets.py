"""Prepared data sets, and their order as a function of (seed, step)."""

import functools
import math
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

from tfp_priors import joints
from tfp_priors.data import tfrecords
from tfp_priors.data.builders.deepfashion import DeepFashion
from tfp_priors.data.builders.embedded_digits import EmbeddedDigits
from tfp_priors.data.builders.procedural_faces import ProceduralFaces
from tfp_priors.data.builders.procedural_people import ProceduralPeople
from tfp_priors.errors import UserError
from tfp_priors.errors import raised_in_graph
from tfp_priors.files import disk_error
from tfp_priors.files import disk_errors_named
from tfp_priors.files import exclusive
from tfp_priors.files import remove

#: Builders of sets that are made without any file, by name.
BUILT_IN = {
    builder.name: builder
    for builder in (EmbeddedDigits, ProceduralFaces, ProceduralPeople)
}

# Batches that wait for the model, beside those in work.
_PREFETCHED = 2

# Records that are parsed at a time when a split is read whole.
_CHUNK = 64

# Of the cipher behind the permutation. The op's default of 4 leaves half of 100
# examples in their places; from 8 on, permutations pass for random ones.
_ROUNDS = 16


def shuffled_indices(
    size: int,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    worker: int = 0,
    workers: int = 1,
) -> tf.data.Dataset:
    """Endless batches of indices into `size` examples, a function of seed and step.

    Index i of the stream is index `i % size` of the permutation number `i // size`, so
    every example comes once before any comes again.

    Args:
      size: number of examples.
      batch_size: indices per batch, over all workers.
      seed: of the permutations.
      start_step: batches to leave out; costs nothing.
      worker: number of the process, from 0: it gets the rows from
        `worker * batch_size / workers` of each batch.
      workers: number of processes that share the batches.

    Returns:
      int64 tensors `[batch_size / workers]`.

    Raises:
      UserError: if there is no such batch or share of it.
    """
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1, received {batch_size}.")
    if not 0 <= worker < workers:
        raise UserError(
            f"worker must be at least 0 and less than workers = {workers}, received "
            f"{worker}."
        )
    if batch_size % workers:
        raise UserError(
            f"batch_size = {batch_size} does not divide by the {workers} workers."
        )
    share = batch_size // workers
    size = tf.constant(size, tf.int64)

    def indices(step):
        first = step * batch_size + worker * share
        position = first + tf.range(share, dtype=tf.int64)
        epoch = position // size
        seeds = tf.stack(
            [tf.fill([share], tf.constant(seed, tf.int64)), epoch, 0 * epoch], axis=1
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
      images: uint8 array or tensor `[size, height, width, channels]`, or encoded
        images, strings `[size]`, with `decode`.
      features: arrays of length `size` by name, such as {"label": ...}.
      image_shape: `(height, width, channels)`.
      decode: maps a batch of `images` to uint8 tensors of `image_shape`.

    Raises:
      UserError: if the images have another type or shape.
    """

    #: Columns of the feature "attributes" that are one factor in one-hot code, by its
    #: name; for sets whose factors are known to be independent and uniform.
    factors: Mapping[str, slice] = {}

    def __init__(self, images, features, image_shape, decode=None):
        with tf.device("CPU"):
            self._images = tf.constant(images)
            self._columns = {k: tf.constant(v) for k, v in features.items()}
        if decode is None:
            _check_bytes(self._images, image_shape)
        self.features = features
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

    def split(self, share: float, seed: int) -> tuple["ImageDataset", "ImageDataset"]:
        """All images but a share, and this share; nothing is copied.

        Args:
          share: part of the images in (0, 1) that is held out, rounded; at least one
            image is in each. A single image is in both.
          seed: of the choice.

        Raises:
          UserError: if it is no share.
        """
        if not 0 < share < 1:
            raise UserError(f"Expected a share of images in (0, 1), received {share}.")
        order = np.random.RandomState(seed).permutation(self.size)
        if self.size == 1:
            return _Part(self, order), _Part(self, order)
        held = min(self.size - 1, max(1, round(share * self.size)))
        return _Part(self, np.sort(order[held:])), _Part(self, np.sort(order[:held]))

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


class StreamedDataset(ImageDataset):
    """One split of a data set, read from its files batch by batch.

    In memory are the place of each record, 25 bytes, and the features once `features`
    is asked for one: this reads all files once. Batches take theirs from the records.

    Args:
      shards: TFDS file instructions of the split.
      parse: maps records, strings `[batch]`, to columns by name: "image", the encoded
        images, and the features.
      decode: maps a batch of encoded images to uint8 tensors of `image_shape`.
      image_shape: `(height, width, channels)`.

    Raises:
      UserError: if a file is missing or damaged.
    """

    def __init__(self, shards, parse, decode, image_shape):
        self._records = tfrecords.Records(shards)
        self._parse = parse
        self._decode = decode
        self.features = _Features(shards, parse)
        self.image_shape = tuple(image_shape)

    @property
    def size(self) -> int:
        return self._records.size

    def _read(self, index):
        records = tf.numpy_function(
            self._records.read, [index], tf.string, stateful=False
        )
        columns = self._parse(tf.ensure_shape(records, index.shape))
        return columns | {"image": self._decode(columns["image"])}


class _Part(ImageDataset):
    """Some of the images of a data set, in its order."""

    def __init__(self, whole, rows):
        self._whole = whole
        with tf.device("CPU"):
            self._rows = tf.constant(rows, tf.int64)
        self.features = _FeaturesOfPart(whole.features, rows)
        self.factors = whole.factors
        self.image_shape = whole.image_shape

    @property
    def size(self) -> int:
        return self._rows.shape[0]

    def _read(self, index):
        return self._whole._read(tf.gather(self._rows, index))


class _FeaturesOfPart(Mapping):
    """Rows of features, taken once one of them is asked for."""

    def __init__(self, features, rows):
        self._features = features
        self._rows = rows

    def __getitem__(self, name):
        return self._features[name][self._rows]

    def __iter__(self):
        return iter(self._features)

    def __len__(self):
        return len(self._features)


class _Features(Mapping):
    """Features by name, read from the files once one of them is asked for."""

    def __init__(self, shards, parse):
        self._shards = shards
        self._parse = parse
        signature = tf.function(parse).get_concrete_function(
            tf.TensorSpec([None], tf.string)
        )
        self._names = [n for n in signature.structured_outputs if n != "image"]

    @functools.cached_property
    def _columns(self):
        def parse(records):
            columns = self._parse(records)
            return {name: columns[name] for name in self._names}

        return _arrays(_read(self._shards, parse))

    def __getitem__(self, name):
        if name not in self._names:
            raise KeyError(name)
        return self._columns[name]

    def __contains__(self, name):
        return name in self._names

    def __iter__(self):
        return iter(self._names)

    def __len__(self):
        return len(self._names)


def load_dataset(
    name: str,
    split: str = "train",
    data_dir: str | None = None,
    crop_size: int | Sequence[int] | None = None,
    image_size: int | Sequence[int] | None = None,
    memory_limit: int = 4 * 2**30,
) -> ImageDataset:
    """Loads one split of a data set, preparing it first if that needs no archive.

    Args:
      name: a TFDS name such as "mnist", one of `BUILT_IN`, or "deepfashion" or
        "image_folder/NAME" for a folder prepared under that name.
      split: TFDS split, such as "train" or "test[:1000]".
      data_dir: where TFDS keeps prepared data; None: TFDS's default.
      crop_size: side or `(height, width)` of a centre crop in pixels, or None.
      image_size: side or `(height, width)` to scale to after the crop, or None.
      memory_limit: bytes that the images may take in memory. If their pixels take
        more they stay encoded, as PNG or JPEG; if that takes more too they are read
        from the files batch by batch. The batches are the same.

    Raises:
      UserError: if the data is unknown, unprepared and unreachable, damaged, smaller
        than the crop, or has keypoints, which a crop would move.
    """
    if data_dir is not None and Path(data_dir).is_file():
        raise UserError(f"Expected a folder of data sets, but {data_dir} is a file.")
    if memory_limit < 0:
        raise UserError(f"Expected a memory_limit >= 0, received {memory_limit}.")
    builder = _prepared_builder(name, data_dir)
    if "image" not in builder.info.features:
        raise UserError(f"Data set {name} has no feature 'image'.")
    try:
        shards = builder.info.splits[split].file_instructions
    except (KeyError, ValueError) as error:
        known = ", ".join(builder.info.splits)
        raise UserError(
            f"Data set {name} has no split {split}; it has {known}."
        ) from error
    tfrecords.check_format(name, builder.info.file_format.value)
    size = sum(shard.take for shard in shards)
    if not size:
        raise UserError(f"The split {split} of data set {name} has no examples.")
    features = builder.info.features
    if crop_size is not None and _has_keypoints(features):
        raise UserError(
            f"Cannot crop the images of {name}, whose keypoints would not move with "
            "them: leave load_dataset.crop_size unset, load_dataset.image_size scales "
            "both."
        )
    transform, image_shape = _transform(
        name, features["image"].shape, crop_size, image_size
    )
    dataset = _held(shards, features, transform, image_shape, memory_limit)
    dataset.factors = getattr(builder, "factors", {})
    return dataset


def _held(shards, features, transform, image_shape, memory_limit):
    """The records as pixels, as encoded images or by their places, as they fit."""

    def decode(images):
        return tf.map_fn(
            lambda image: transform(features["image"].decode_example(image)),
            images,
            fn_output_signature=tf.uint8,
        )

    parse = functools.partial(_parse, features)

    def parse_and_decode(records):
        columns = parse(records)
        return columns | {"image": decode(columns["image"])}

    size = sum(shard.take for shard in shards)
    if size * math.prod(image_shape) <= memory_limit:
        columns = _read(shards, parse_and_decode)
        images = columns.pop("image")
        return ImageDataset(images, _arrays(columns), image_shape)
    if tfrecords.stored_bytes(shards) <= memory_limit:
        columns = _read(shards, parse)
        images = columns.pop("image")
        return ImageDataset(images, _arrays(columns), image_shape, decode)
    return StreamedDataset(shards, parse, decode, image_shape)


def _read(shards, parse):
    """Columns by name, tensors: what `parse` makes of all records, in their order."""
    size = sum(shard.take for shard in shards)
    columns = (
        tfrecords.stream(shards)
        .batch(_CHUNK)
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    )
    try:
        # TensorFlow puts the chunks together: NumPy would need twice the memory.
        columns = columns.rebatch(size).get_single_element()
    except tf.errors.OpError as error:
        # Without the names of TensorFlow's own functions.
        message = re.sub(r"{{.*?}}|\[\[.*|\[Op:.*", "", error.message.splitlines()[0])
        raise _unreadable(shards, message.strip()) from error
    received = min(len(values) for values in columns.values())
    if received != size:
        raise _unreadable(shards, f"expected {size} records, received {received}")
    return columns


def _arrays(columns):
    return {name: values.numpy() for name, values in columns.items()}


def _unreadable(shards, what):
    folder = Path(shards[0].filename).parent
    return tfrecords.find_damage(shards) or UserError(
        f"Cannot read the data in {folder}: {what}. Delete the folder and prepare the "
        "data set again."
    )


def _prepared_builder(name, data_dir):
    """The TFDS builder of a data set whose files are there."""
    if name == DeepFashion.name or name.startswith("image_folder/"):
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
        builder = made(lambda: make(data_dir=data_dir))
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise UserError(
            f"Unknown data set {name!r}: expected {', '.join(BUILT_IN)}, "
            "deepfashion, image_folder/NAME or a name of TFDS, such as mnist, "
            "fashion_mnist, cifar10 or celeb_a."
        ) from error
    if not builder.is_prepared():
        try:
            builder = download_and_prepare(lambda: make(data_dir=data_dir))
        except Exception as error:
            # TFDS lets errors of several HTTP libraries through.
            if disk_error(error) or (isinstance(error, OSError) and error.filename):
                raise
            raise UserError(
                f"Could not download {name} ({type(error).__name__}). Without a "
                f"connection, prepare it from local files: bin/prepare_data "
                f"--dataset={name} --source=FOLDER."
            ) from error
    return builder


def download_and_prepare(
    make_builder: Callable[[], tfds.core.DatasetBuilder],
) -> tfds.core.DatasetBuilder:
    """Runs TFDS's preparation, unless another process has done so meanwhile.

    Args:
      make_builder: makes the builder; called once no other process prepares the set,
        since builders look at the disk when they are made.

    Returns:
      The builder of the prepared data.
    """
    folder = Path(made(make_builder).data_dir)
    with exclusive(folder.parent.parent / f".{folder.parent.name}.lock"):
        for left in folder.parent.glob(f"incomplete.*_{folder.name}"):
            remove(left)  # By a process that was killed.
        builder = made(make_builder)
        if not builder.is_prepared():
            with disk_errors_named(folder):
                _download_and_prepare(builder)
    return builder


def made(make_builder):
    """The builder, without the empty temporary folder that TFDS leaves for each."""
    with tempfile.TemporaryDirectory() as folder:
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            return make_builder()
        finally:
            tempfile.tempdir = before


def _download_and_prepare(builder):
    # TFDS's progress bars are for terminals.
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


def _has_keypoints(features):
    """Whether a data set has the keypoints of `joints`."""
    shape = (len(joints.JOINTS), 2)
    return "keypoints" in features and features["keypoints"].shape == shape


def _parse(features, records):
    """Columns by name of a batch of records, with the images still encoded.

    Besides the images these are the labels, the keypoints and, as one vector, the
    attributes.
    """
    spec = features.tf_example_spec
    attributes = sorted(name for name in spec if name.startswith("attributes/"))
    wanted = [name for name in ("image", "label") if name in spec] + attributes
    if _has_keypoints(features):
        wanted.append("keypoints")
    columns = tf.io.parse_example(records, {name: spec[name] for name in wanted})
    parsed = {"image": columns["image"]}
    if "label" in columns:
        parsed["label"] = tf.cast(columns["label"], features["label"].tf_dtype)
    if attributes:
        values = tf.stack([columns[name] for name in attributes], axis=1)
        (dtype,) = set(tf.nest.flatten(features["attributes"].tf_dtype))
        parsed["attributes"] = tf.cast(values, dtype)
    if "keypoints" in columns:
        parsed["keypoints"] = tf.cast(columns["keypoints"], tf.float32)
    return parsed

"""Data sets by name, through TensorFlow Datasets."""

import functools
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

from tfp_priors import remote
from tfp_priors.core import joints
from tfp_priors.data import builders
from tfp_priors.data import tfrecords
from tfp_priors.data.binarized import BinarizedDataset
from tfp_priors.data.builders.deepfashion import DeepFashion
from tfp_priors.data.builders.image_folder import label_of
from tfp_priors.data.codes import CodeDataset
from tfp_priors.data.codes import load_codes
from tfp_priors.data.image_dataset import ImageDataset
from tfp_priors.data.streamed import StreamedDataset
from tfp_priors.data.streamed import arrays
from tfp_priors.data.streamed import read_columns
from tfp_priors.errors import UserError
from tfp_priors.files import disk_error
from tfp_priors.files import disk_errors_named
from tfp_priors.files import exclusive
from tfp_priors.files import remove

# Its bucket is closed, and asking it leaves an empty temporary folder per builder.
tfds.core.DatasetInfo.initialize_from_bucket = lambda self: None

#: The name of codes in files.
CODES = "codes"

#: Builders of sets that are made without any file, by name.
BUILT_IN = builders.built_in()


def load_dataset(
    name: str,
    split: str = "train",
    data_dir: str | None = None,
    crop_size: int | Sequence[int] | None = None,
    image_size: int | Sequence[int] | None = None,
    binarize: bool = False,
    memory_limit: int = 4 * 2**30,
    codes: str | None = None,
    context: str | None = None,
    fingerprint: str | None = None,
) -> ImageDataset | CodeDataset:
    """Loads one split of a data set, preparing it first if that needs no archive.

    Args:
      name: a TFDS name such as "mnist", one of `BUILT_IN`, or "deepfashion" or
        "image_folder/NAME" for a folder prepared under that name, or "codes".
      split: TFDS split, such as "train" or "test[:1000]".
      data_dir: where TFDS keeps prepared data, also on a store, see `remote.cached`;
        None: TFDS's default.
      crop_size: side or `(height, width)` of a centre crop in pixels, or None.
      image_size: side or `(height, width)` to scale to after the crop, or None.
      binarize: whether pixels are black or white; see `BinarizedDataset`.
      memory_limit: bytes that the images may take in memory. If their pixels take
        more they stay encoded, as PNG or JPEG; if that takes more too they are read
        from the files batch by batch. The batches are the same.
      codes: of "codes", see `load_codes`.
      context: of "codes", see `load_codes`.
      fingerprint: of "codes", see `load_codes`.

    Raises:
      UserError: if the data is unknown, unprepared and unreachable, damaged, not of
        uint8, smaller than the crop, or has keypoints, which a crop would move.
    """
    if name == CODES:
        _refuse(name, crop_size=crop_size, image_size=image_size, binarize=binarize)
        if codes is None:
            raise UserError("The data set codes needs load_dataset.codes, a path.")
        return load_codes(codes, context, split, fingerprint)
    _refuse(name, codes=codes, context=context, fingerprint=fingerprint)
    if data_dir is not None:
        data_dir = str(remote.cached(data_dir, name.partition(":")[0]))
    if data_dir is not None and Path(data_dir).is_file():
        raise UserError(f"Expected a folder of data sets, but {data_dir} is a file.")
    if memory_limit < 0:
        raise UserError(f"Expected a memory_limit >= 0, received {memory_limit}.")
    builder = _prepared_builder(name, data_dir)
    features = builder.info.features
    if "image" not in features:
        raise UserError(f"Data set {name} has no feature 'image'.")
    _check_image(name, features["image"])
    shards = _shards_of(name, builder.info, split)
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
    if crop_size is not None or image_size is not None:
        dataset.stored = features["image"].shape[:2], transform
    return BinarizedDataset(dataset) if binarize else dataset


def _shards_of(name, info, split):
    """What is read of which files for a split."""
    try:
        shards = info.splits[split].file_instructions
    except (KeyError, ValueError) as error:
        known = ", ".join(info.splits)
        raise UserError(
            f"Data set {name} has no split {split}; it has {known}."
        ) from error
    tfrecords.check_format(name, info.file_format.value)
    if not sum(shard.take for shard in shards):
        raise UserError(f"The split {split} of data set {name} has no examples.")
    return shards


def _refuse(name, **arguments):
    """Raises: UserError: if what the data set of that name has no use for is given."""
    for argument, value in arguments.items():
        if value not in (None, False):
            raise UserError(
                f"{name} has no use for load_dataset.{argument}: leave it out."
            )


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
        columns = read_columns(shards, parse_and_decode)
        images = columns.pop("image")
        return ImageDataset(images, arrays(columns), image_shape)
    if tfrecords.stored_bytes(shards) <= memory_limit:
        columns = read_columns(shards, parse)
        images = columns.pop("image")
        return ImageDataset(images, arrays(columns), image_shape, decode)
    return StreamedDataset(shards, parse, decode, image_shape)


def _prepared_builder(name, data_dir):
    """The TFDS builder of a data set whose files are there."""
    label = name
    if name.startswith("image_folder/"):
        label = label_of(name.partition(":")[0])
    if name == DeepFashion.name or label != name:
        try:
            return tfds.core.read_only_builder.builder_from_files(
                name, data_dir=data_dir or tfds.core.constants.DATA_DIR
            )
        except tfds.core.DatasetNotFoundError as error:
            where = f" --data_dir={data_dir}" if data_dir else ""
            raise UserError(
                f"{name} is not prepared: run bin/prepare_data --dataset={name} "
                f"--source=FOLDER{where}, with FOLDER the images of {label}."
            ) from error
    try:
        make = BUILT_IN.get(name) or functools.partial(tfds.builder, name)
        builder = make(data_dir=data_dir)
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
    folder = Path(make_builder().data_dir)
    with exclusive(folder.parent.parent / f".{folder.parent.name}.lock"):
        for left in folder.parent.glob(f"incomplete.*_{folder.name}"):
            remove(left)  # By a process that was killed.
        builder = make_builder()
        if not builder.is_prepared():
            with disk_errors_named(folder):
                _download_and_prepare(builder)
    return builder


def _download_and_prepare(builder):
    # TFDS's progress bars are for terminals.
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    # TFDS's 10 retries, each after twice the wait, take 200 s without a connection.
    downloader.MAX_RETRIES = min(downloader.MAX_RETRIES, 5)
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    builder.download_and_prepare(download_config=config)


def _pair(name, size):
    """A side, or `(height, width)`, as the latter."""
    pair = (size, size) if isinstance(size, int) else size
    if not (
        isinstance(pair, (list, tuple))
        and len(pair) == 2
        and all(isinstance(n, int) and n >= 1 for n in pair)
    ):
        raise UserError(
            f"Expected load_dataset.{name} to be a side or (height, width) in pixels, "
            f"received {size!r}."
        )
    return tuple(pair)


def _check_image(name, feature):
    """Raises: UserError: if it is no image of uint8, `[height, width, channels]`."""
    shape, dtype = feature.shape, feature.tf_dtype
    if dtype == tf.uint8 and len(shape) == 3 and shape[-1]:
        return
    raise UserError(
        f"Expected the feature 'image' of {name} to be uint8 of shape (height, width, "
        f"channels), received {getattr(dtype, 'name', dtype)} {shape}: prepare it "
        "as tfds.features.Image(shape=(height, width, channels))."
    )


def _transform(name, stored_shape, crop_size, image_size):
    """A function of one uint8 image, and the shape that it returns."""
    if crop_size is None and image_size is None and None in stored_shape:
        raise UserError(
            f"The images of {name} differ in size: set load_dataset.crop_size or "
            "load_dataset.image_size."
        )
    *size, channels = stored_shape
    if crop_size is not None:
        crop = _pair("crop_size", crop_size)
        if None not in size and (size[0] < crop[0] or size[1] < crop[1]):
            raise UserError(
                f"Cannot crop the {size[0]}x{size[1]} images of {name} to "
                f"{crop[0]}x{crop[1]} pixels: choose a smaller crop_size."
            )
        size = crop
        too_small = UserError(
            f"An image of {name} is smaller than the crop of {crop[0]}x{crop[1]} "
            "pixels: choose a smaller load_dataset.crop_size."
        )
    if image_size is not None:
        size = _pair("image_size", image_size)

    def transform(image):
        if crop_size is not None:
            shape = tf.shape(image)
            tf.debugging.assert_greater_equal(shape[:2], crop, too_small.in_graph)
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

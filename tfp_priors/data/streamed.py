"""A split that stays in its files, and how records are read."""

import functools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfp_priors.data import tfrecords
from tfp_priors.data.image_dataset import ImageDataset
from tfp_priors.data.image_dataset import LazyFeatures
from tfp_priors.errors import UserError
from tfp_priors.errors import raised_in_graph

# Records that are parsed at a time when a split is read whole.
_CHUNK = 64


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
        self.features = _features(shards, parse)
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


def _features(shards, parse):
    """Features of all records, read from the files once one is asked for."""
    signature = tf.function(parse).get_concrete_function(
        tf.TensorSpec([None], tf.string)
    )
    names = [name for name in signature.structured_outputs if name != "image"]

    @functools.cache
    def columns():
        def of_features(records):
            columns = parse(records)
            return {name: columns[name] for name in names}

        return arrays(read_columns(shards, of_features))

    return LazyFeatures(names, lambda name: columns()[name])


def read_columns(shards, parse: Callable) -> dict[str, tf.Tensor]:
    """What `parse` makes of all records, by name, in their order.

    Raises:
      UserError: if a file is missing or damaged.
    """
    size = sum(shard.take for shard in shards)
    columns = (
        tfrecords.stream(shards)
        .batch(_CHUNK)
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    )
    try:
        # TensorFlow puts the chunks together: NumPy would need twice the memory.
        with raised_in_graph():
            columns = columns.rebatch(size).get_single_element()
    except tf.errors.OpError as error:
        # Without the names of TensorFlow's own functions.
        message = re.sub(r"{{.*?}}|\[\[.*|\[Op:.*", "", error.message.splitlines()[0])
        raise _unreadable(shards, message.strip()) from error
    received = min(len(values) for values in columns.values())
    if received != size:
        raise _unreadable(shards, f"expected {size} records, received {received}")
    return columns


def arrays(columns: dict[str, tf.Tensor]) -> dict[str, np.ndarray]:
    """Columns as NumPy arrays."""
    return {name: values.numpy() for name, values in columns.items()}


def _unreadable(shards, what):
    folder = Path(shards[0].filename).parent
    return tfrecords.find_damage(shards) or UserError(
        f"Cannot read the data in {folder}: {what}. Delete the folder and prepare the "
        "data set again."
    )

"""Records by their number, against TensorFlow's writer."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_datasets.core.utils.shard_utils import FileInstruction

from tfp_priors.data import tfrecords
from tfp_priors.errors import UserError


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("length", [4, 5, 1023, 1024, 1025, 1027, 1028, 5000])
def test_checksums_are_tensorflows(tmp_path, length):
    path = tmp_path / "records"
    random = np.random.RandomState(length)
    written = [random.bytes(length), b"\0" * length, random.bytes(length - 1) + b"\0"]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in written:
            writer.write(record)
    records = tfrecords.Records([FileInstruction(str(path), 0, 3, 3)])
    assert list(records.read(np.array([2, 0, 1]))) == [written[i] for i in (2, 0, 1)]
    # Every byte counts.
    for position in (12, 12 + length // 2, 11 + length):
        flip(path, position)
        with pytest.raises(UserError, match="at byte 0 is not whole"):
            tfrecords.Records([FileInstruction(str(path), 0, 3, 3)]).read(np.array([0]))
        flip(path, position)

"""Random access to TFRecord files, whose records are checked as they are read."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import google_crc32c
import numpy as np
import tensorflow as tf

from tfp_priors.errors import UserError

# A record is: length, uint64; checksum of these 8 bytes, uint32; the data; checksum
# of the data, uint32. All little-endian.
_HEADER = 12
_FOOTER = 4

# Shards that are indexed at the same time: this waits for the disk.
_THREADS = 16

# The index reads shards of this format only.
_FORMAT = "tfrecord"


class Records:
    """The records of a split, by their number.

    An index of where each record lies is made at the start; it takes the lengths of
    the records from their headers and reads nothing else.

    Args:
      shards: TFDS file instructions; the records keep their order.

    Raises:
      UserError: if a file is missing, truncated or damaged.
    """

    def __init__(self, shards: Sequence):
        with ThreadPoolExecutor(_THREADS) as pool:
            bounds = list(pool.map(_bounds, shards))
        self._paths = [shard.filename for shard in shards]
        self._shard = np.repeat(np.arange(len(shards)), [len(b) for b in bounds])
        self._offset, self._length = np.concatenate(bounds).T
        self._checked = np.zeros(self.size, bool)

    @property
    def size(self) -> int:
        """Number of records."""
        return len(self._shard)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """The records with these numbers, an object array of bytes `[len(indices)]`.

        A record's checksum is compared the first time that it is read.

        Raises:
          UserError: if a file is missing, truncated or damaged.
        """
        records = np.empty(len(indices), object)
        with contextlib.ExitStack() as stack:
            files = {
                shard: stack.enter_context(_opened(self._paths[shard]))
                for shard in np.unique(self._shard[indices])
            }
            if hasattr(os, "posix_fadvise"):
                # The disk may look for all of them at once.
                for i in indices:
                    file, start, length = files[self._shard[i]], *self._place(i)
                    os.posix_fadvise(file, start, length, os.POSIX_FADV_WILLNEED)
            for row, i in enumerate(indices):
                records[row] = self._record(i, files[self._shard[i]])
        return records

    def _place(self, i):
        """Where a record's data and its checksum start, and how long both are."""
        return self._offset[i] + _HEADER, self._length[i] + _FOOTER

    def _record(self, i, file):
        path = self._paths[self._shard[i]]
        start, length = self._place(i)
        data = _pread(path, file, length, start)
        record, checksum = data[:-_FOOTER], data[-_FOOTER:]
        good = self._checked[i] or _checksum(record) == checksum
        if len(data) < length or not good:
            raise _damaged(path, f"the record at byte {start - _HEADER} is not whole")
        self._checked[i] = True
        return record


def check_format(name: str, file_format: str) -> None:
    """Raises: UserError: unless prepared files of this format can be read."""
    if file_format != _FORMAT:
        raise UserError(
            f"The files of {name} have the format {file_format}: expected {_FORMAT}. "
            "Prepare it again, with file_format='tfrecord'."
        )


def stored_bytes(shards: Sequence) -> int:
    """Bytes of the shards' files, in proportion to the examples asked for.

    Raises:
      UserError: if a file is missing.
    """
    return sum(
        _file_size(shard.filename) * shard.take // max(shard.examples_in_shard, 1)
        for shard in shards
    )


def stream(shards: Sequence) -> tf.data.Dataset:
    """All records, one by one, in the order of `Records`."""
    files = tf.data.Dataset.from_tensor_slices(
        (
            [shard.filename for shard in shards],
            np.array([shard.skip for shard in shards], np.int64),
            np.array([shard.take for shard in shards], np.int64),
        )
    )
    return files.flat_map(
        lambda path, skip, take: tf.data.TFRecordDataset(path).skip(skip).take(take)
    )


def find_damage(shards: Sequence) -> UserError | None:
    """Reads all shards, after an error; the error of the first damaged one."""
    for shard in shards:
        whole = dataclasses.replace(shard, skip=0, take=shard.examples_in_shard)
        try:
            records = Records([whole])
            for i in range(records.size):
                records.read(np.array([i]))
        except UserError as error:
            return error
    return None


def _file_size(path):
    with _opened(path) as file:
        return os.fstat(file).st_size


def _damaged(path, what):
    return UserError(
        f"{path} is damaged: {what}. Delete {Path(path).parent} and prepare the data "
        "set again."
    )


def _missing(path):
    return UserError(
        f"There is no file {path}: delete {Path(path).parent} and prepare the data set "
        "again."
    )


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    """The descriptor of a file, to read from."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        yield file
    finally:
        os.close(file)


def _pread(path, file, length, position):
    try:
        return os.pread(file, length, position)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path, error):
    return UserError(f"Cannot read {path}: {error.strerror}.")


def _bounds(shard) -> np.ndarray:
    """Offset and length of each record asked for, int64 `[records, 2]`."""
    bounds = []
    offset = 0
    with _opened(shard.filename) as file:
        size = os.fstat(file).st_size
        while offset < size:
            header = _pread(shard.filename, file, 8, offset)
            length = int.from_bytes(header, "little")
            bounds.append((offset, length))
            offset += _HEADER + length + _FOOTER
    if offset != size:
        raise _damaged(
            shard.filename, f"a record ends at byte {offset}, the file at byte {size}"
        )
    if len(bounds) != shard.examples_in_shard:
        raise _damaged(
            shard.filename,
            f"expected {shard.examples_in_shard} records, received {len(bounds)}",
        )
    chosen = bounds[shard.skip : shard.skip + shard.take]
    return np.array(chosen, np.int64).reshape(-1, 2)


def _checksum(record: bytes) -> bytes:
    """A record's checksum as it is stored: rotated, and a constant added."""
    crc = google_crc32c.value(record)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return ((rotated + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")

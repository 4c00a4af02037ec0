"""Scalars that trainings write for TensorBoard, read without TensorFlow."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path


class Scalars:
    """The scalars in a folder of TensorBoard events, as they are written.

    Args:
      folder: of the events; it may not be there yet.
      prefix: that their tags begin with.
    """

    def __init__(self, folder: str | Path, prefix: str = ""):
        self._folder = Path(folder)
        self._prefix = prefix
        self._read: dict[Path, int] = {}

    def new(self) -> Iterator[tuple[str, int, float]]:
        """Tags, steps and values since the last call, as they were written."""
        from tensorboard.util import tensor_util

        for event in self._events():
            for value in event.summary.value:
                if value.tag.startswith(self._prefix) and _is_scalar(value):
                    number = float(tensor_util.make_ndarray(value.tensor))
                    yield value.tag, event.step, number

    def _events(self):
        from tensorboard.compat.proto import event_pb2

        for path in sorted(self._folder.glob("events.out.tfevents.*"), key=_order):
            with open(path, "rb") as file:
                file.seek(self._read.get(path, 0))
                # Length, its checksum, the event and its checksum.
                while len(head := file.read(12)) == 12:
                    (length,) = struct.unpack("<Q", head[:8])
                    data = file.read(length)
                    if len(file.read(4)) < 4:
                        break  # The rest is still being written.
                    self._read[path] = file.tell()
                    yield event_pb2.Event.FromString(data)


def _order(path):
    """By the time of the start, then by the number of the process and of its writer."""
    return [int(number) for number in re.findall(r"\d+", path.name)]


def _is_scalar(value):
    from tensorboard.compat.proto import types_pb2

    tensor = value.tensor
    return tensor.dtype == types_pb2.DT_FLOAT and not tensor.tensor_shape.dim

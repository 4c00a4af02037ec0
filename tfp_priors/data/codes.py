"""Codes in files of NumPy, as a data set: of any autoencoder, or of any table."""

import bisect
import hashlib
import lzma
import math
import re
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from tfp_priors import remote
from tfp_priors.core.order import held_out_rows
from tfp_priors.core.rows import checked_context
from tfp_priors.core.rows import checked_rows
from tfp_priors.core.rows import some_rows
from tfp_priors.errors import UserError
from tfp_priors.files import is_hidden

_SUFFIXES = (".npy", ".npz")

# What NumPy raises at a file that is none, or is damaged.
_DAMAGED = (
    ValueError,
    TypeError,
    OverflowError,
    RuntimeError,  # An encrypted member, or an unknown compression.
    EOFError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)

# Words of NumPy's, and plainer ones.
_REASONS = {
    "mmap length": "it ends too early",
    "Python objects": "it holds Python objects",
    "pickled": "it holds Python objects, or no arrays",
}


class CodeDataset:
    """Codes and, if a prior is to be conditional, a context for each.

    Args:
      codes: finite numbers `[size, ...]`, an array or what is indexed as one.
      context: `[size, width]`, or integers `[size]`, which become one-hot vectors.

    Raises:
      UserError: if they are not.
    """

    #: See `ImageDataset`.
    factors = {}

    def __init__(self, codes, context=None):
        self.rows, shape = checked_rows("codes", codes)
        self.image_shape = shape or (1,)
        self.features = {}
        if context is not None:
            self.features["context"] = checked_context(context, None, len(self.rows))

    @classmethod
    def _of(cls, rows, features, shape):
        part = cls.__new__(cls)
        part.rows, part.features, part.image_shape = rows, features, shape
        return part

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.rows)

    @property
    def context(self) -> np.ndarray | None:
        """`[size, width]`, or None."""
        return self.features.get("context")

    @property
    def fingerprint(self) -> str:
        """A text that changes with the codes: their shape and up to 1,000 of them."""
        some = np.linspace(0, self.size - 1, min(self.size, 1000)).astype(int)
        digest = hashlib.sha256(np.ascontiguousarray(self.rows[some]))
        if self.context is not None:
            digest.update(np.ascontiguousarray(self.context[some]))
        return f"{self.size}x{self.rows.shape[1]}-{digest.hexdigest()[:12]}"

    def gather(self, numbers) -> dict[str, np.ndarray]:
        """The codes with these numbers, as "posterior", and their features."""
        features = {name: values[numbers] for name, values in self.features.items()}
        return {"posterior": self.rows[numbers], **features}

    def take(self, n: int) -> dict[str, np.ndarray]:
        """The first n codes, or all if there are fewer; see `gather`."""
        return self.gather(slice(0, n))

    def split(self, share: float, seed: int) -> tuple["CodeDataset", "CodeDataset"]:
        """All codes but a share, and this share; see `ImageDataset.split`."""
        return tuple(
            self._of(
                some_rows(self.rows, part),
                {name: values[part] for name, values in self.features.items()},
                self.image_shape,
            )
            for part in held_out_rows(self.size, share, seed)
        )


def load_codes(
    codes: str | Path,
    context: str | Path | None = None,
    split: str = "train",
    fingerprint: str | None = None,
) -> CodeDataset:
    """Codes of a file, or of the files of a folder, as they are; see `open_array`.

    Args:
      codes: path of the codes.
      context: path of their context, or None.
      split: "train", which is all; a run holds some of them out.
      fingerprint: that they must have, or None.

    Raises:
      UserError: if they cannot be read or are others, or there is no such split.
    """
    if split != "train":
        raise UserError(
            f"Codes of files have no split {split}: take held_out, the share that the "
            "run has not learned from."
        )
    dataset = CodeDataset(
        open_array(codes), None if context is None else open_array(context)[:]
    )
    if fingerprint is not None and dataset.fingerprint != fingerprint:
        raise UserError(
            f"{codes} has other codes than the run learned from "
            f"({dataset.fingerprint}, not {fingerprint}): put these back, or fit a "
            "prior in another --run_dir."
        )
    return dataset


def open_array(path: str | Path):
    """An array of a .npy file or of a .npz file's only array, or "codes" among several;
    or the arrays of all such files of a folder, one after the other, in the order of
    their names, part2 before part10.

    What is in .npy files is read as it is needed, which costs no memory.

    Raises:
      UserError: if there is none, or it holds Python objects.
    """
    path = remote.cached(path).expanduser()
    if path.is_dir():
        seen = [p for p in path.iterdir() if not is_hidden(p.name)]
        within = [p.name for p in seen if p.is_dir()]
        if within:
            raise UserError(
                f"Expected a folder of files, received {path}, with a folder "
                f"{within[0]} in it: name one of them."
            )
        paths = [p for p in seen if p.suffix.lower() in _SUFFIXES]
        paths.sort(key=_with_numbers)
        if not paths:
            raise UserError(f"There are no .npy or .npz files in {path}.")
        return _Joined([open_array(p) for p in paths], paths)
    if not path.is_file():
        raise UserError(f"There is no file or folder {path}.")
    if path.suffix.lower() not in _SUFFIXES:
        raise UserError(
            f"Expected a .npy or .npz file, or a folder of them, received {path}."
        )
    try:
        with np.errstate(over="ignore"):  # NumPy multiplies what a damaged shape says.
            is_npy = path.suffix.lower() == ".npy"
            return _of_npy(path) if is_npy else _of_archive(path)
    except UserError:
        raise
    except _DAMAGED as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        for words, plain in _REASONS.items():
            reason = plain if words in reason else reason
        raise UserError(
            f"{path} is no array of numbers that NumPy can read ({reason}): write it "
            "with numpy.save or savez."
        ) from error


def _with_numbers(path):
    """A key by which numbers in names are compared as numbers."""
    texts = re.split(r"(\d+)", path.name)
    return [int(t) if t.isdecimal() else t for t in texts], path.name


def _of_archive(path):
    with np.load(path, allow_pickle=False) as archive:
        names = archive.files
        if len(names) != 1 and "codes" not in names:
            raise UserError(
                f"Expected one array in {path}, or one that is named codes, received "
                f"{', '.join(names) or 'none'}."
            )
        array = archive["codes" if "codes" in names else names[0]]
    if not isinstance(array, np.ndarray):
        raise ValueError("its member is no array")
    return array


def _of_npy(path):
    array = np.lib.format.open_memmap(path, mode="r")
    # Of columns one after the other a row is everywhere.
    return _NpyFile(path, array) if array.flags.c_contiguous else np.array(array)


class _Rows:
    """What is indexed as an array, by slices and by numbers."""

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                return self._between(start, max(start, stop))
            index = np.arange(start, stop, step)
        return self._at(np.asarray(index))

    def _empty(self, size):
        return np.empty((size, *self.shape[1:]), self.dtype)


class _NpyFile(_Rows):
    """The array of a .npy file, of which no more is read than was asked for.

    Rows of a memory map would bring along what lies around them on the disk. The file
    is open while it is read alone: a folder may have more of them than may be open.
    """

    def __init__(self, path, array):
        self.shape, self.dtype = array.shape, array.dtype
        self._offset = array.offset
        self._row = math.prod(self.shape[1:]) * self.dtype.itemsize
        self._path = path

    def _between(self, start, stop):
        rows = self._empty(stop - start)
        with self._opened() as file:
            self._read(file, rows, start)
        return rows

    def _at(self, index):
        rows = self._empty(len(index))
        with self._opened() as file:
            for i, row in enumerate(index):
                self._read(file, rows[i : i + 1], int(row))
        return rows

    def _opened(self):
        try:
            return open(self._path, "rb")
        except OSError as error:
            raise UserError(
                f"Cannot read {self._path} any more ({error.strerror}): put it back, "
                "and begin again."
            ) from error

    def _read(self, file, rows, start):
        """Fills an array with rows from `start` on."""
        file.seek(self._offset + start * self._row)
        if file.readinto(rows.reshape(-1).view(np.uint8)) < rows.nbytes:
            raise UserError(f"{self._path} ends too early: it was cut off.")


class _Joined(_Rows):
    """Arrays one after the other."""

    def __init__(self, arrays, paths):
        for array, path in zip(arrays, paths, strict=True):
            if array.dtype.kind not in "fiub":
                raise UserError(
                    f"Expected codes of numbers, received {array.dtype} in {path}."
                )
            if array.shape[1:] != arrays[0].shape[1:] or not array.shape:
                raise UserError(
                    f"Expected rows of shape {arrays[0].shape[1:]} as in {paths[0]}, "
                    f"received {array.shape[1:]} in {path}: a folder of codes has "
                    "nothing else in it."
                )
        self._arrays = arrays
        self.dtype = np.result_type(*(array.dtype for array in arrays))
        self._ends = list(np.cumsum([array.shape[0] for array in arrays]))
        self.shape = (int(self._ends[-1]), *arrays[0].shape[1:])

    def _at(self, index):
        which = np.searchsorted(self._ends, index, side="right")
        rows = self._empty(len(index))
        for i in np.unique(which):
            mine = which == i
            rows[mine] = self._arrays[i][index[mine] - self._start(i)]
        return rows

    def _start(self, i):
        return self._ends[i - 1] if i else 0

    def _between(self, start, stop):
        parts = []
        i = bisect.bisect_right(self._ends, start)
        while start < stop:
            end = min(stop, self._ends[i])
            first = self._start(i)
            parts.append(self._arrays[i][int(start - first) : int(end - first)])
            start, i = end, i + 1
        return np.concatenate(parts) if parts else self._empty(0)

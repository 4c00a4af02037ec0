"""Archives from elsewhere: no member leaves its folder, none fills the disk."""

import contextlib
import gzip
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from pathlib import PurePosixPath
from typing import NamedTuple

from tfp_priors.errors import UserError

_GZIP_START = b"\x1f\x8b"


class Limits(NamedTuple):
    """What an archive may hold at most; more than the data set's own files have.

    Attributes:
      members: their number.
      member_bytes: of one, unpacked.
      total_bytes: of all, unpacked, with the archive's own headers.
    """

    members: int
    member_bytes: int
    total_bytes: int


def gunzip(path: Path, target: Path, limit: int) -> None:
    """Unpacks a gzip file of at most `limit` bytes.

    Raises:
      UserError: if it is damaged or holds more, of which no more is written.
    """
    too_large = UserError(
        f"{path} unpacks to more than the {limit} bytes of the data set's file: it is "
        "another one. Download it again."
    )
    with damage_named(path), gzip.open(path) as packed, target.open("wb") as unpacked:
        shutil.copyfileobj(_Limited(packed, limit, too_large), unpacked)


def untar(path: Path, folder: Path, limits: Limits) -> None:
    """Unpacks a tar archive, gzipped or not, into a folder.

    Raises:
      UserError: if it is damaged or larger than the limits, or a member is no plain
        file or folder below `folder`; it is named. Members before it are written.
    """
    with damage_named(path), path.open("rb") as file:
        packed = file.peek(2)[:2] == _GZIP_START
        stream = gzip.open(file) if packed else file
        too_large = _too_large(path, limits.total_bytes)
        stream = _Limited(stream, limits.total_bytes, too_large)
        # As a stream, since the list of members alone may be a bomb.
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for number, member in enumerate(archive, start=1):
                if not (member.isreg() or member.isdir()):
                    raise _refused(path, member.name, "is a link or a device")
                _check(path, member.name, member.size, number, limits)
                archive.extract(member, folder, filter="data")


def zip_members(
    path: Path, archive: zipfile.ZipFile, limits: Limits
) -> Iterator[zipfile.ZipInfo]:
    """The files of a zip archive.

    Args:
      path: of the archive, for messages.
      archive: the same, open.
      limits: which the archive must keep.

    Raises:
      UserError: once it comes to a member that is larger than the limits or no plain
        file or folder below the archive's own; it is named.
    """
    total = 0
    for number, member in enumerate(archive.infolist(), start=1):
        kind = stat.S_IFMT(member.external_attr >> 16)
        # 0 in archives that were not made on Unix.
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(path, member.filename, "is a link or a device")
        _check(path, member.filename, member.file_size, number, limits)
        total += member.file_size
        if total > limits.total_bytes:
            raise _too_large(path, limits.total_bytes)
        if not member.is_dir():
            yield member


def zip_content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The content of a member, of which no more is unpacked than its `file_size`.

    Raises:
      BadZipFile: if the content is another one.
    """
    with archive.open(member) as file:
        # Without a number all is unpacked, and then cut.
        return file.read(member.file_size)


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turns what reading a damaged archive raises into one line.

    Raises:
      UserError: if the archive is damaged.
    """
    try:
        yield
    except UserError:
        raise
    except (
        gzip.BadGzipFile,
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        RuntimeError,  # An encrypted member, or an unknown compression.
    ) as error:
        raise UserError(f"{path} is damaged ({error}): download it again.") from error


def _check(path, name, size, number, limits):
    """Raises UserError unless a member may be unpacked."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise _refused(path, name, "lies outside of the archive's own folder")
    if size > limits.member_bytes:
        what = f"has {size} bytes, more than the {limits.member_bytes} of any file"
        raise _refused(path, name, f"{what} of the data set")
    if number > limits.members:
        raise UserError(
            f"{path} has more than {limits.members} members: it is not the data set's "
            "archive. Download it again."
        )


def _refused(path, name, what):
    return UserError(
        f"The member {name!r} of {path} {what}: nothing of it is unpacked. Download "
        "the archive again, from its own page."
    )


def _too_large(path, limit):
    return UserError(
        f"{path} unpacks to more than {limit} bytes: it is not the data set's archive. "
        "Download it again."
    )


class _Limited:
    """A file of which no more than `limit` bytes can be read, or else an error."""

    def __init__(self, file, limit, too_large):
        self._file = file
        self._left = limit
        self._too_large = too_large

    def read(self, size):
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise self._too_large
        return data

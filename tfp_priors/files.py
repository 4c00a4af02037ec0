"""Files that are there whole or not at all."""

import contextlib
import errno
import fcntl
import glob
import hashlib
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from tfp_priors.errors import UserError

# What the error of a disk says that is full, and of one that refuses.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSES = (errno.EACCES, errno.EPERM, errno.EROFS)

# Of macOS's archives, network drives, Windows and Linux.
_OF_SYSTEMS = (
    *("__macosx", "@eadir", "#recycle", "@recycle", "@recently-snapshot"),
    *("$recycle.bin", "system volume information", "lost+found"),
)

# The temporary files of this process.
_WRITTEN: set[Path] = set()


def is_hidden(name: str) -> bool:
    """Whether a file or folder is its system's, or a program's, and not its user's."""
    return name.startswith((".", "~$")) or name.lower() in _OF_SYSTEMS


@contextlib.contextmanager
def written_atomically(path: str | Path) -> Iterator[Path]:
    """Yields a path of the same name that becomes `path` if the block succeeds.

    The contents are on the disk before the name is; on an error nothing is left.
    """
    with temporary_beside(path) as folder:
        folder.mkdir()
        temporary = folder / Path(path).name
        with disk_errors_named(path, temporary):
            yield temporary
            sync(temporary)
            temporary.replace(path)


@contextlib.contextmanager
def folder_written(path: str | Path) -> Iterator[Path]:
    """Yields an empty folder, whose content is in `path` if the block succeeds.

    A folder that is there stays the one that it is, with its owner and its mount.
    """
    path = Path(path)
    with temporary_beside(path / "content" if path.is_dir() else path) as temporary:
        temporary.mkdir()
        yield temporary
        if not path.is_dir():
            temporary.rename(path)
            return
        for written in sorted(temporary.iterdir()):
            written.rename(path / written.name)


@contextlib.contextmanager
def temporary_beside(path: str | Path) -> Iterator[Path]:
    """Yields a name beside `path` for a file or folder, which goes at the end.

    What processes of this machine left there for `path` when they were killed goes
    first.

    Raises:
      UserError: if `path` is a device or the like, which a file must not replace.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UserError(f"{path} is no regular file: choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f".{path.name}.{platform.node()}."
    for left in path.parent.glob(f"{glob.escape(start)}*.tmp"):
        number = left.name.removeprefix(start).partition(".")[0]
        if number.isdecimal() and not _is_written(left, int(number)):
            remove(left)
    # Threads share a process.
    temporary = path.with_name(f"{start}{os.getpid()}.{secrets.token_hex(4)}.tmp")
    _WRITTEN.add(temporary)
    try:
        with disk_errors_named(path, temporary):
            yield temporary
    finally:
        remove(temporary)
        _WRITTEN.discard(temporary)


def _is_written(temporary, process_id):
    """Whether the process that began a temporary file is still at it."""
    if process_id == os.getpid():
        return temporary in _WRITTEN
    return is_running(process_id)


def is_running(process_id: int) -> bool:
    """Whether there is a process of this id on this machine."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # Somebody else's.
    return True


def remove(path: Path) -> None:
    """Removes a file or a folder with all in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def exclusive(path: str | Path) -> Iterator[None]:
    """Within the block, no other process is in a block of the same path; waits for it.

    The kernel lets the path go when the process ends, however it ends. The empty file
    stays, since another process may be waiting at it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cache_dir() -> Path:
    """What can be made again is kept here: ~/.cache/tfp_priors, or as XDG says."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(cache).expanduser() / "tfp_priors"


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file atomically."""
    with written_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def saved_model_sha256(folder: str | Path) -> str:
    """A SHA-256 of the graph and the variables of a SavedModel, in hexadecimal."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        if path.name == "saved_model.pb" or path.parent.name == "variables":
            digest.update(f"{path.name}{sha256(path)}".encode())
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Flushes a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def disk_errors_named(
    path: str | Path, temporary: str | Path | None = None
) -> Iterator[None]:
    """Within it, the error of a disk that is full or refuses names what was written.

    Args:
      path: the name, if the error has none, or that of `temporary`.
      temporary: what is written before it becomes `path`.

    Raises:
      OSError: in place of the errors that `disk_error` knows.
    """
    try:
        yield
    except Exception as error:
        found = disk_error(error)
        lacks = isinstance(error, FileNotFoundError) and temporary is not None
        if found is None and lacks and error.filename == str(temporary):
            # A folder that takes no files, such as /proc.
            found = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        if found is None:
            raise
        if found.filename in (None, str(temporary)):
            found.filename = str(path)
        raise found from (None if found is error else error)


def disk_error(error: Exception) -> OSError | None:
    """The error of a disk that is full or refuses to be written to, if it is one.

    TensorFlow has errors of its own that end with "PATH; REASON", TFDS has one that
    says so in words; Gin passes on the message of an error, without its number.
    """
    for number in (*_FULL, *_REFUSES):
        if isinstance(error, OSError) and error.errno == number:
            return error
        reason, text = os.strerror(number), str(error)
        if f"[Errno {number}]" in text or f"; {reason}" in text:
            path = re.search(rf"{reason}: '(.*?)'", text)
            return OSError(number, reason, path and path.group(1))
    if "Not enough disk space" in str(error):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return None


def is_disk_full(error: OSError) -> bool:
    """Whether a write failed for want of space, quota or allowed file size."""
    found = disk_error(error)
    return found is not None and found.errno in _FULL

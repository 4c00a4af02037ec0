"""Files that are there whole or not at all."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_atomically(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path that becomes `path` if the block succeeds.

    The contents are on the disk before the name is; on an error nothing is left.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file atomically."""
    with written_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Flushes a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_disk_full(error: OSError) -> bool:
    """Whether a write failed for want of space, quota or allowed file size."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    # Gin passes the error on with its message, but without its number.
    return error.errno in full or any(f"[Errno {n}]" in str(error) for n in full)

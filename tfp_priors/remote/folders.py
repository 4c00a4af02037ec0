"""Temporary folders for copies of what is on stores."""

import atexit
import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from tfp_priors.files import remove

# Names of the folders, and of a file by which they are known for ours.
_PREFIX = "tfp_priors_copy-"
_MARK = ".tfp_priors_copy"

#: What copies are copies of.
NAMES: dict[Path, str] = {}

# Folders of copies, with the descriptors by which they are locked.
_folders: dict[Path, int] = {}


@atexit.register
def remove_copies() -> None:
    """Removes all folders that `new_folder` has made."""
    while _folders:
        _remove(*_folders.popitem())


def remove_copy(copy: Path) -> None:
    """Removes a copy with its folder, and forgets what it is a copy of."""
    NAMES.pop(copy, None)
    _remove(copy.parent, _folders.pop(copy.parent))


def _remove(folder, descriptor):
    remove(folder)
    os.close(descriptor)


def new_folder() -> Path:
    """A temporary folder; those of processes that were killed go.

    A lock on the folder tells that its process lives; what cleans temporary folders
    respects it too.
    """
    for mark in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_MARK}"):
        left = mark.parent
        with contextlib.suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(left)
            finally:
                os.close(descriptor)
    # By a name that nobody looks for, until it is locked.
    made = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}")).resolve()
    (made / _MARK).touch()
    descriptor = os.open(made, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    folder = made.rename(made.with_name(made.name.removeprefix(".")))
    _folders[folder] = descriptor
    return folder


def keep(folder: Path) -> Path:
    """Keeps a folder of a copy, by a name that nobody removes; returns it."""
    descriptor = _folders.pop(folder)
    kept = folder.rename(folder.with_name(f"kept_{folder.name}"))
    os.close(descriptor)
    return kept


def named(text: str | Path) -> str:
    """A text with the places on stores in place of their copies."""
    text = str(text)
    for folder, url in list(NAMES.items()):  # Other threads add to them.
        text = text.replace(str(folder), url)
    return text

"""Stores of files, such as S3, by fsspec."""

import contextlib
import os
import re
from pathlib import Path

from tfp_priors.errors import StoreError
from tfp_priors.errors import UserError
from tfp_priors.files import disk_error
from tfp_priors.files import remove

# Stores whose folders are but parts of names.
_FLAT = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oci", "oss"}

# Of what a store says of a file, what tells its contents from others.
_VERSION = ("size", "ETag", "etag", "md5Hash", "generation", "LastModified", "mtime")

_INSTALL = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


def is_remote(path: str | Path | None) -> bool:
    """Whether a path names a place on a store, such as s3://bucket/runs."""
    return re.match(r"[a-z][a-z0-9+.-]*://", str(path)) is not None


def check_place(path: str) -> None:
    """Raises: UserError: if a path looks like a place on a store, and is none."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", path) and not is_remote(path):
        kind, _, rest = path.partition(":")
        raise UserError(
            f"{path} is no place on a store: expected "
            f"{kind.lower()}://{rest.lstrip('/')}, or ./{path} for a path."
        )


class Store:
    """A folder or file of a store.

    Args:
      url: of it, such as s3://bucket/runs/mnist.

    Raises:
      UserError: if there is no such kind of store, or its package is not installed.
      StoreError: from all methods, if the store does not do what it is asked for.
    """

    def __init__(self, url: str | Path):
        import fsspec

        kind, _, rest = str(url).partition("://")
        self.url = str(url).rstrip("/")
        if not rest.strip("/"):
            raise UserError(f"{url} names no place: expected {kind}://BUCKET/FOLDER.")
        try:
            with self._told("open"):
                self._files, self._path = fsspec.url_to_fs(self.url)
        except StoreError as error:
            cause = error.__cause__
            if isinstance(cause, ImportError):
                extra = _INSTALL.get(kind)
                package = f'"tfp-priors[{extra}]"' if extra else "fsspec's package"
                raise UserError(
                    f"{kind}:// needs a package that is not installed: pip install "
                    f"{package} ({cause})."
                ) from cause
            if isinstance(cause, ValueError):
                raise UserError(f"{self.url}: {cause}.") from cause
            raise
        self._is_flat = kind in _FLAT

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.url.rpartition("/")[2]

    def below(self, part: str) -> "Store":
        """A folder or file in it; itself without a part."""
        return Store(f"{self.url}/{part}") if part else self

    def versions(self) -> dict[str, str]:
        """What is in it: what tells the contents of each file from others, by path.

        The path of a file below it; "" if it is a file itself.
        """
        with self._told("read"):
            self._files.invalidate_cache()
            try:
                found = self._files.find(self._path, detail=True)
            except FileNotFoundError as error:
                # Of a bucket alone; what else is not there has no files.
                raise UserError(
                    f"{self.url}: {error}. Expected one that is there: make it, or "
                    "correct the name."
                ) from error
        versions = {}
        for path, info in found.items():
            is_below = path.startswith(f"{self._path}/") or path == self._path
            if is_below and info["type"] == "file":
                inside = path.removeprefix(self._path).strip("/")
                if ".." in inside.split("/"):
                    raise UserError(
                        f"{self.url} holds {inside!r}, a name with .. in it."
                    )
                versions[inside] = " ".join(str(info.get(key)) for key in _VERSION)
        return versions

    def get(self, inside: str, path: Path) -> None:
        """Fetches a file, whole or not at all; nobody else may fetch to its path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        # What a process that was killed has left is overwritten.
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            with self._told("read"):
                self._files.get_file(self._at(inside), str(temporary))
            temporary.replace(path)
        finally:
            remove(temporary)

    def put(self, path: Path, inside: str) -> None:
        """Sends a file."""
        self._make_parent(inside)
        with self._told("write to"):
            self._files.put_file(str(path), self._at(inside))

    def remove(self, inside: str) -> None:
        """Removes a file, if it is there."""
        with self._told("write to"), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._at(inside))

    def read(self, inside: str) -> bytes | None:
        """The contents of a small file; None if it is not there."""
        with self._told("read"), contextlib.suppress(FileNotFoundError):
            self._files.invalidate_cache()
            return self._files.cat_file(self._at(inside))
        return None

    def write(self, inside: str, contents: bytes, is_new: bool = False) -> bool:
        """Writes a small file.

        Args:
          inside: its path.
          contents: of it.
          is_new: write it only if it is not there; S3 and GCS do so in one step.

        Returns:
          Whether it was written.
        """
        self._make_parent(inside)
        mode = "create" if is_new else "overwrite"
        with self._told("write to"):
            try:
                self._files.pipe_file(self._at(inside), contents, mode=mode)
            except FileExistsError:
                return False
            except OSError as error:
                # S3 says so of a condition that does not hold.
                if is_new and "precondition" in str(error).lower():
                    return False
                raise
        return True

    def _at(self, inside):
        return f"{self._path}/{inside}" if inside else self._path

    def _make_parent(self, inside):
        if not self._is_flat:
            with self._told("write to"):
                parent = self._at(inside).rpartition("/")[0]
                self._files.makedirs(parent, exist_ok=True)

    @contextlib.contextmanager
    def _told(self, what):
        """Turns whatever a store's package raises into one line."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            is_local = os.path.exists(getattr(error, "filename", None) or "")
            if is_local and disk_error(error):
                raise
            reason = next(iter(str(error).splitlines()), "")
            raise StoreError(
                f"cannot {what} {self.url} ({type(error).__name__}: {reason}): check "
                "the address, the credentials and the connection."
            ) from error

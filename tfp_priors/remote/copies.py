"""Copies on this disk of what a command names on stores."""

import contextlib
import hashlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path

from tfp_priors.errors import StoreError
from tfp_priors.errors import UserError
from tfp_priors.files import cache_dir
from tfp_priors.files import exclusive
from tfp_priors.files import write_text
from tfp_priors.remote import folders
from tfp_priors.remote.mirror import Mirror
from tfp_priors.remote.mirror import fetched
from tfp_priors.remote.mirror import patiently
from tfp_priors.remote.store import Store
from tfp_priors.remote.store import is_remote

_mirrors: list[Mirror] = []


def cached(path: str | Path, part: str = "", without: Collection[str] = ()) -> Path:
    """A folder or file that is only read, on this disk.

    Args:
      path: of it; one that is not remote is returned as it is.
      part: path below it, if that alone is needed.
      without: names of folders in it that are not.

    Returns:
      What is to be used in place of `path`. The copy is kept in ~/.cache/tfp_priors,
      and what differs on the store is fetched again.
    """
    if not is_remote(path):
        return Path(path)
    store = Store(path)
    key = " ".join([store.url, *sorted(without)])
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    folder = cache_dir() / "stores" / name
    root = folder / store.name
    record = folder / "versions" / f"{part.replace('/', '__') or 'all'}.json"
    with exclusive(folder / "lock"):
        known = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(record.read_text(encoding="utf-8"))
        changes = dict(fetched(store.below(part), root / part, known, without))
        now = {k: v for k, v in (known | changes).items() if v is not None}
        write_text(record, json.dumps(now))
    folders.NAMES[root] = store.url
    return root


def local(path: str | Path) -> Path:
    """The copy of a place that this process has, or else `cached`."""
    known = list(folders.NAMES.items())
    return next((copy for copy, url in known if url == path), None) or cached(path)


def mirrored(url: str, part: str = "", without: Collection[str] = ()) -> Path:
    """A copy of a folder or file whose changes are sent to the store until `close`.

    Args:
      url: see `Mirror`.
      part: see `Mirror`.
      without: see `Mirror`.

    Returns:
      The copy; of `url`, of which it has `part` alone.
    """
    mirror = Mirror(url, part, without)
    _mirrors.append(mirror)
    return mirror.root


def mirror_of(path: str | Path) -> Mirror | None:
    """The mirror whose copy a path is, or None."""
    return next((m for m in _mirrors if m.copy == Path(path)), None)


@contextlib.contextmanager
def sent(path: str | Path) -> Iterator[Path]:
    """Yields what to write to in place of a path, which is there afterwards."""
    if not is_remote(path):
        yield Path(path)
        return
    with contextlib.closing(Mirror(str(path))) as mirror:
        yield mirror.copy
    folders.remove_copy(mirror.root)


def refreshed(path: str | Path, copy: Path, without: Collection[str] = ()) -> Path:
    """A folder or file as it is now.

    Args:
      path: of it.
      copy: of it, if it is remote, in the process that mirrors it.
      without: see `cached`.

    Returns:
      What is to be used in place of `path` in this process.

    Raises:
      StoreError: if its store is away for a minute.
    """
    if not is_remote(path):
        return Path(path)
    for mirror in _mirrors:
        if copy.is_relative_to(mirror.copy):
            part = str(copy.relative_to(mirror.copy)).removeprefix(".")
            patiently(lambda: mirror.fetch(part))
            return copy
    return patiently(lambda: cached(path, without=without))


def close() -> None:
    """Sends what is left to all stores.

    Raises:
      StoreError: if one cannot be reached; then its copy is kept, and named.
    """
    errors = []
    while _mirrors:
        try:
            _mirrors.pop().close()
        except (OSError, UserError) as error:
            errors.append(str(error))
    folders.remove_copies()
    if errors:
        raise StoreError(" ".join(errors))


def settle() -> None:
    """Sends what has changed by now.

    Raises:
      StoreError: as `close`.
    """
    for mirror in _mirrors:
        mirror.settle()

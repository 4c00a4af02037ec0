"""Folders of stores and their copies on this disk, kept alike."""

import contextlib
import os
import re
import secrets
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TypeVar

from tfp_priors.errors import StoreError
from tfp_priors.errors import UserError
from tfp_priors.files import remove
from tfp_priors.remote import folders
from tfp_priors.remote.lock import LOCK
from tfp_priors.remote.lock import LostError
from tfp_priors.remote.lock import StoreLock
from tfp_priors.remote.lock import warn
from tfp_priors.remote.store import Store

_T = TypeVar("_T")

# Beats between two times that a file which grows all the time is sent.
_BEATS_OF_EVENTS = 6

# Seconds for which what may not fail is tried again.
_PATIENCE = 60

# How often lines are added to a file that others add to, and seconds between.
_MERGES = 5
_MERGE_SECONDS = 0.2

# What makes the files beside it count, so that it is sent last and removed first.
_RECORDS = ("checkpoint.json", "finished.json", "saved_model.pb", "dataset_info.json")

# Folders, by their names, that are not there before their record is.
_WHOLE = {r"step_\d+": "checkpoint.json", r"\d+\.\d+\.\d+": "dataset_info.json"}

# What nothing can be written to that is there afterwards.
_READ_ONLY = {"memory", "http", "https", "data", "github"}


class CopyLostError(LostError):
    """Another process has removed a copy."""


class Mirror:
    """A folder or file of a store and its copy on this disk, kept alike.

    What has changed in the copy is sent every 10 seconds, `TFP_PRIORS_SYNC_SECONDS`,
    and by `close`: first files, then the records by which they count; then what is gone
    is removed. So whoever reads the store finds a checkpoint whole or not at all,
    whenever this process dies. Lines that others have added to a .jsonl file are kept.

    Args:
      url: of the folder or file, which need not be there.
      part: path below it, if that alone is needed.
      without: names of folders in it that are not fetched.

    Attributes:
      root: the copy of `url`.
      copy: of `part` in it.
    """

    def __init__(self, url: str, part: str = "", without: Collection[str] = ()):
        self._store = Store(url).below(part)
        kind = self._store.url.partition("://")[0]
        if kind in _READ_ONLY:
            raise UserError(
                f"{url} keeps nothing that is written: expected a path, or a place on "
                "a store such as s3://BUCKET/FOLDER."
            )
        self.root = folders.new_folder() / Store(url).name
        self.copy = self.root / part if part else self.root
        self._without = without
        self._beat = _beat()
        folders.NAMES[self.root] = Store(url).url
        self._versions = {}
        self._sent = {}
        self._lock = None
        self._mutex = threading.Lock()
        self._ended = threading.Event()
        self.fetch()
        self._thread = threading.Thread(target=self._keep_sending, daemon=True)
        self._thread.start()

    def fetch(self, part: str = "") -> None:
        """Makes the copy, or what is below it, what is on the store."""
        start, place = (f"{part}/", self.copy / part) if part else ("", self.copy)
        with self._mutex:
            known = {
                name.removeprefix(start): version
                for name, version in self._versions.items()
                if name.startswith(start)
            }
            # One by one: what came before a failure was not changed here.
            for name, version in fetched(
                self._store.below(part), place, known, self._without
            ):
                if version is None:
                    self._versions.pop(start + name, None)
                    self._sent.pop(start + name, None)
                else:
                    self._versions[start + name] = version
                    path = place / name if name else place
                    self._sent[start + name] = self._state(path)

    def send(self, with_events: bool = True) -> None:
        """Makes the store what the copy is, but for what others have added.

        Args:
          with_events: TensorBoard's files too, of which each time all is sent.
        """
        with self._mutex:
            if self._lock is not None:
                self._lock.check()
            if self._sent and not self.copy.exists():
                raise CopyLostError(
                    f"{self.copy}, the copy of {self._store.url}, was removed by "
                    "another process: nothing more is sent."
                )
            local = self._local()
            changed = [
                name
                for name, state in local.items()
                if state != self._sent.get(name)
                and (with_events or not Path(name).name.startswith("events."))
            ]
            for name in sorted(changed, key=_order):
                path = self.copy / name if name else self.copy
                try:
                    if path.suffix == ".jsonl":
                        self._merge(name, path)
                    else:
                        self._store.put(path, name)
                    self._sent[name] = local[name]
                except (FileNotFoundError, StoreError):
                    if path.exists():
                        raise
            gone = (name for name in self._sent.keys() - local if _may_go(name))
            for name in sorted(gone, key=_order, reverse=True):
                self._store.remove(name)
                del self._sent[name]

    def _merge(self, name, path):
        """Adds the lines that the copy alone has to those of the store."""
        ours = path.read_bytes().splitlines(keepends=True)
        for _ in range(_MERGES):
            theirs = (self._store.read(name) or b"").splitlines(keepends=True)
            known = set(theirs)
            added = [line for line in ours if line not in known]
            if not added:
                return
            # Another process may do so at the same time: it is looked at once more.
            self._store.write(name, b"".join(theirs + added))
            time.sleep(_MERGE_SECONDS * secrets.SystemRandom().random())
        raise StoreError(f"Others write to {self._store.url}/{name} all the time.")

    def _local(self):
        """What tells the files of the copy from what they were, by their paths."""
        if self.copy.is_file():
            return {"": self._state(self.copy)}
        states = {}
        for path in self.copy.rglob("*"):
            name = str(path.relative_to(self.copy))
            if not _is_private(name):
                with contextlib.suppress(FileNotFoundError):
                    if path.is_file():
                        states[name] = self._state(path)
        return states

    @staticmethod
    def _state(path):
        stat = path.stat()
        return stat.st_size, stat.st_mtime_ns, stat.st_ino

    def _keep_sending(self):
        number, is_reached = 0, True
        while not self._ended.wait(self._beat):
            number += 1
            try:
                self.send(with_events=number % _BEATS_OF_EVENTS == 0)
                is_reached = True
            except LostError:
                # As if it were told to end: it saves, and sends nothing more.
                if not self._ended.is_set():
                    os.kill(os.getpid(), signal.SIGTERM)
                return
            except OSError as error:
                if is_reached:
                    warn(f"{error} It is tried again every {self._beat:g} seconds.")
                is_reached = False

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Within it, no other process is within it; the copy is what is on the store.

        The lock is a file on the store, renewed with every beat. A process that is not
        heard of for a minute, 6 beats, counts as dead. One that was only halted as
        long finds out before it sends the next file, but for the moment between its
        look and its writing, against which a store has no means.

        Raises:
          UserError: if another process holds it.
        """
        lock = StoreLock(self._store, self._beat)
        lock.take()
        try:
            self.fetch()
            self._lock = lock
            try:
                yield
            finally:
                self.settle()
        finally:
            with self._mutex:  # Else what is sent meanwhile would find it lost.
                if not lock.is_lost:
                    self._lock = None
            lock.release()

    def settle(self) -> None:
        """Sends what has changed by now.

        Raises:
          StoreError: if the store cannot be reached for a minute.
        """
        patiently(self.send)

    def close(self) -> None:
        """Sends what is left, and ends.

        Raises:
          StoreError: as `settle`; the copy is kept, and named.
        """
        self._ended.set()
        self._thread.join()
        try:
            self.settle()
        except CopyLostError:
            raise
        except (OSError, UserError) as error:
            folders.NAMES.pop(self.root, None)
            kept = folders.keep(self.root.parent) / self.copy.relative_to(
                self.root.parent
            )
            raise StoreError(f"{error} What was not sent is kept in {kept}.") from error


def patiently(work: Callable[[], _T]) -> _T:
    """What `work` returns, which is tried again for a minute while a store is away.

    Raises:
      StoreError: if the store is away for longer.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return work()
        except StoreError as error:
            if time.monotonic() > end or isinstance(error, LostError):
                raise
            time.sleep(min(_beat(), 5))


def fetched(
    store: Store, copy: Path, known: dict[str, str], without: Collection[str]
) -> Iterator[tuple[str, str | None]]:
    """Makes a copy what is on the store, file by file.

    Args:
      store: the folder or file.
      copy: of it.
      known: versions of the files that the copy has, by their paths.
      without: names of folders that are left out.

    Yields:
      The path of each file that has changed, once it has, and its version; None: it
      is gone.
    """
    versions = store.versions()
    names = {name for name in versions if not _is_private(name)}
    names = {n for n in names if not _lacks_record(n, names)}
    names = {n for n in names if not {*Path(n).parts} & {*without}}
    for name in names:
        path = copy / name if name else copy
        if known.get(name) != versions[name] or not path.is_file():
            store.get(name, path)
            yield name, versions[name]
    for name in known.keys() - names:
        remove(copy / name if name else copy)
        yield name, None


def _lacks_record(name, names):
    """Whether a file is part of what was being sent when its process died."""
    folder = Path(name).parent
    return any(
        re.fullmatch(pattern, folder.name) and str(folder / record) not in names
        for pattern, record in _WHOLE.items()
    )


def _is_private(name):
    """Whether a file is one of a process alone, as a lock or what becomes another."""
    parts = Path(name).parts
    return parts[-1:] == (LOCK,) or any(
        part.startswith((".", "incomplete.")) for part in parts
    )


def _order(name):
    """Files before the records that make them count, oldest names first."""
    return Path(name).name in _RECORDS, name


def _may_go(name):
    """Whether a file that is gone from a copy was removed by this program.

    What cleans temporary folders may have removed others.
    """
    path = Path(name)
    is_part = any(re.fullmatch(pattern, path.parent.name) for pattern in _WHOLE)
    return is_part or path.name in _RECORDS or path.suffix == ".hparams"


def _beat():
    """Seconds between two looks at what is to be sent, and renewals of a lock."""
    text = os.environ.get("TFP_PRIORS_SYNC_SECONDS", "10")
    with contextlib.suppress(ValueError):
        if 0 < (seconds := float(text)) <= threading.TIMEOUT_MAX:
            return seconds
    raise UserError(f"Expected TFP_PRIORS_SYNC_SECONDS > 0, received {text!r}.")

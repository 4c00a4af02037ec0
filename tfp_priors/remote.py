"""Folders and files on object stores, worked on in copies on this disk.

A store has no renames, no appends and no locks that the kernel drops. So what reads and
writes files does so in a copy: fetched first, sent while it grows and at the end. The
store is what counts; a copy is thrown away. Any store that fsspec has will do.
"""

import atexit
import contextlib
import fcntl
import functools
import hashlib
import json
import os
import platform
import re
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from tfp_priors.errors import StoreError
from tfp_priors.errors import UserError
from tfp_priors.files import cache_dir
from tfp_priors.files import disk_error
from tfp_priors.files import exclusive
from tfp_priors.files import is_running
from tfp_priors.files import remove
from tfp_priors.files import write_text

# Beats without a renewal after which a lock is that of a process that died.
_BEATS_OF_THE_DEAD = 6

# Beats between two times that a file which grows all the time is sent.
_BEATS_OF_EVENTS = 6

# Seconds for which the last files are tried to be sent.
_PATIENCE = 60

# How often lines are added to a file that others add to, and seconds between.
_MERGES = 5
_MERGE_SECONDS = 0.2

_LOCK = "lock"

# What makes the files beside it count, so that it is sent last and removed first.
_RECORDS = ("checkpoint.json", "finished.json", "saved_model.pb", "dataset_info.json")

# Folders, by their names, that are not there before their record is.
_WHOLE = {r"step_\d+": "checkpoint.json", r"\d+\.\d+\.\d+": "dataset_info.json"}

# Stores whose folders are but parts of names.
_FLAT = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oci", "oss"}

# Of what a store says of a file, what tells its contents from others.
_VERSION = ("size", "ETag", "etag", "md5Hash", "generation", "LastModified", "mtime")

# What nothing can be written to that is there afterwards.
_READ_ONLY = {"memory", "http", "https", "data", "github"}

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
        known, _ = _fetch(store.below(part), root / part, known, without)
        write_text(record, json.dumps(known))
    _names[root] = store.url
    return root


def named(text: str | Path) -> str:
    """A text with the places on stores in place of their copies."""
    text = str(text)
    for folder, url in _names.items():
        text = text.replace(str(folder), url)
    return text


def local(path: str | Path) -> Path:
    """The copy of a place that this process has, or else `cached`."""
    return next((copy for copy, url in _names.items() if url == path), None) or (
        cached(path)
    )


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


def mirror_of(path: str | Path) -> "Mirror | None":
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


def refreshed(path: str | Path, copy: Path, without: Collection[str] = ()) -> Path:
    """A folder or file as it is now.

    Args:
      path: of it.
      copy: of it, if it is remote, in the process that mirrors it.
      without: see `cached`.

    Returns:
      What is to be used in place of `path` in this process.
    """
    if not is_remote(path):
        return Path(path)
    for mirror in _mirrors:
        if copy.is_relative_to(mirror.copy):
            mirror.fetch(str(copy.relative_to(mirror.copy)).removeprefix("."))
            return copy
    return cached(path, without=without)


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
    atexit.unregister(_remove_copies)
    _remove_copies()
    if errors:
        raise StoreError(" ".join(errors))


def settle() -> None:
    """Sends what has changed by now.

    Raises:
      StoreError: as `close`.
    """
    for mirror in _mirrors:
        mirror.settle()


def _beat():
    """Seconds between two looks at what is to be sent, and renewals of a lock."""
    text = os.environ.get("TFP_PRIORS_SYNC_SECONDS", "10")
    with contextlib.suppress(ValueError):
        if (seconds := float(text)) > 0:
            return seconds
    raise UserError(f"Expected TFP_PRIORS_SYNC_SECONDS > 0, received {text!r}.")


# What copies are copies of.
_names: dict[Path, str] = {}
_mirrors: list["Mirror"] = []

# Folders of copies, with the descriptors by which they are locked.
_folders: dict[Path, int] = {}


def _remove_copies():
    while _folders:
        folder, descriptor = _folders.popitem()
        remove(folder)
        os.close(descriptor)


def _new_folder():
    """A temporary folder; those of processes that were killed go.

    Their locks tell, which what cleans temporary folders obeys too.
    """
    for left in Path(tempfile.gettempdir()).glob("tfp_priors-*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(left)
            finally:
                os.close(descriptor)
    if not _folders:
        atexit.register(_remove_copies)
    # By a name that nobody looks for, until it is locked.
    made = Path(tempfile.mkdtemp(prefix=".tfp_priors-")).resolve()
    descriptor = os.open(made, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    folder = made.rename(made.with_name(made.name.removeprefix(".")))
    _folders[folder] = descriptor
    return folder


def _keep(folder):
    """Keeps a folder of a copy, by a name that nobody removes; returns it."""
    descriptor = _folders.pop(folder)
    kept = folder.rename(folder.with_name(f"kept_{folder.name}"))
    os.close(descriptor)
    return kept


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
        """Fetches a file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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


def _fetch(store, copy, known, without):
    """Makes a copy what is on the store.

    Args:
      store: the folder or file.
      copy: of it.
      known: versions of the files that the copy has, by their paths.
      without: names of folders that are left out.

    Returns:
      The new versions, and the paths of what has changed.
    """
    versions = store.versions()
    names = {name for name in versions if not _is_private(name)}
    names = {n for n in names if not _lacks_record(n, names)}
    names = {n for n in names if not {*Path(n).parts} & {*without}}
    changed = set()
    for name in names:
        path = copy / name if name else copy
        if known.get(name) != versions[name] or not path.is_file():
            store.get(name, path)
            changed.add(name)
    for name in known.keys() - names:
        remove(copy / name if name else copy)
        changed.add(name)
    return {name: versions[name] for name in names}, changed


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
    return parts[-1:] == (_LOCK,) or any(
        part.startswith((".", "incomplete.")) for part in parts
    )


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
        self.root = _new_folder() / Store(url).name
        self.copy = self.root / part if part else self.root
        self._without = without
        self._beat = _beat()
        _names[self.root] = Store(url).url
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
            versions, changed = _fetch(
                self._store.below(part), place, known, self._without
            )
            for name in changed:
                path = place / name if name else place
                self._versions.pop(start + name, None)
                self._sent.pop(start + name, None)
                if name in versions:
                    self._versions[start + name] = versions[name]
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
            added = [line for line in ours if line not in theirs]
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
            except _LostError:
                # As if it were told to end: it saves, and sends nothing more.
                if not self._ended.is_set():
                    os.kill(os.getpid(), signal.SIGTERM)
                return
            except OSError as error:
                if is_reached:
                    _warn(f"{error} It is tried again every {self._beat:g} seconds.")
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
        lock = _StoreLock(self._store, self._beat)
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
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                self.send()
                return
            except StoreError as error:
                if time.monotonic() > end or isinstance(error, _LostError):
                    raise
                time.sleep(min(self._beat, 5))

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
            _names.pop(self.root, None)
            kept = _keep(self.root.parent) / self.copy.relative_to(self.root.parent)
            raise StoreError(f"{error} What was not sent is kept in {kept}.") from error


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


class _LostError(StoreError):
    """What time does not mend."""


class LockLostError(_LostError):
    """Another process has taken a lock that this one held."""


class CopyLostError(_LostError):
    """Another process has removed a copy."""


class _StoreLock:
    """A file on a store that says which process writes there; see `Mirror.locked`."""

    def __init__(self, store, beat):
        self._store = store
        self._beat = beat
        self._id = secrets.token_hex(8)
        self._number = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self.is_lost = False

    def take(self):
        while not self._write(is_new=True):
            held = self._read()
            if held is None:
                continue  # Let go meanwhile.
            if not self._is_dead(held):
                raise UserError(
                    f"{self._store.url} is in use by process {held['process']} on "
                    f"{held['host']}: wait for it, or choose another folder."
                )
            if self._read() == held:
                self._store.remove(_LOCK)
        self.check()
        self._thread.start()

    def _is_dead(self, held):
        if held["machine"] == _machine():
            return not is_running(held["process"])
        _warn(
            f"{self._store.url} has the lock of process {held['process']} on "
            f"{held['host']}; whether it lives is seen in "
            f"{_BEATS_OF_THE_DEAD * self._beat:g} seconds."
        )
        for _ in range(_BEATS_OF_THE_DEAD):
            time.sleep(self._beat)
            if self._read() != held:
                return False
        return True

    def _keep(self):
        # Beside what is sent, of which one file may take longer than a lock is good.
        while not self._ended.wait(self._beat):
            with contextlib.suppress(StoreError):
                self.check()
                self._write()

    def check(self):
        held = None if self.is_lost else self._read()
        if held is None or held["id"] != self._id:
            self.is_lost = True
            by = "" if held is None else f" ({held['process']} on {held['host']})"
            raise LockLostError(
                f"{self._store.url} was taken over by another process{by} while this "
                "one was not heard of."
            )

    def release(self):
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(StoreError):
            self.check()
            self._store.remove(_LOCK)

    def _write(self, is_new=False):
        self._number += 1
        record = {
            "id": self._id,
            "process": os.getpid(),
            "host": platform.node(),
            "machine": _machine(),
            "number": self._number,
        }
        return self._store.write(_LOCK, json.dumps(record).encode(), is_new)

    def _read(self):
        contents = self._store.read(_LOCK)
        if contents is None:
            return None
        with contextlib.suppress(ValueError):
            held = json.loads(contents)
            if isinstance(held, dict) and held.keys() >= {"id", "process", "host"}:
                return {"machine": None} | held
        # Part of one, or none of this program's.
        unknown = {"process": "unknown", "host": "an unknown machine", "machine": None}
        return unknown | {"id": repr(contents)}


@functools.cache
def _machine():
    """What tells this machine's process ids, or this container's, from others'."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"


def _warn(message):
    print(f"{Path(sys.argv[0]).name}: warning: {message}", file=sys.stderr, flush=True)

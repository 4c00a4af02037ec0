"""Locks on stores, which have none that end with a process."""

import contextlib
import functools
import json
import os
import platform
import secrets
import sys
import threading
import time
from pathlib import Path

from tfp_priors.errors import StoreError
from tfp_priors.errors import UserError
from tfp_priors.files import is_running

#: Its name in the folder.
LOCK = "lock"

# Beats without a renewal after which a lock is that of a process that died.
_BEATS_OF_THE_DEAD = 6


class LostError(StoreError):
    """An error that trying again does not mend."""


class LockLostError(LostError):
    """Another process has taken a lock that this one held."""


class StoreLock:
    """A file on a store that says which process writes there; see `Mirror.locked`.

    Args:
      store: the folder.
      beat: seconds between renewals.

    Attributes:
      is_lost: whether another process has taken it.
    """

    def __init__(self, store, beat):
        self._store = store
        self._beat = beat
        self._id = secrets.token_hex(8)
        self._number = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self.is_lost = False

    def take(self) -> None:
        """Waits for the lock of a dead process; raises if it is a living one's."""
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
                self._store.remove(LOCK)
        self.check()
        self._thread.start()

    def _is_dead(self, held):
        if held["machine"] == _machine():
            return not is_running(held["process"])
        warn(
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

    def check(self) -> None:
        """Raises: LockLostError: if another process has taken it."""
        held = None if self.is_lost else self._read()
        if held is None or held["id"] != self._id:
            self.is_lost = True
            by = "" if held is None else f" ({held['process']} on {held['host']})"
            raise LockLostError(
                f"{self._store.url} was taken over by another process{by} while this "
                "one was not heard of."
            )

    def release(self) -> None:
        """Lets it go."""
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(StoreError):
            self.check()
            self._store.remove(LOCK)

    def _write(self, is_new=False):
        self._number += 1
        record = {
            "id": self._id,
            "process": os.getpid(),
            "host": platform.node(),
            "machine": _machine(),
            "number": self._number,
        }
        return self._store.write(LOCK, json.dumps(record).encode(), is_new)

    def _read(self):
        contents = self._store.read(LOCK)
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


def warn(message: object) -> None:
    """Tells the user something on stderr."""
    print(f"{Path(sys.argv[0]).name}: warning: {message}", file=sys.stderr, flush=True)

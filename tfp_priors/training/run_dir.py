"""The folder of a run: who may write to it, and what it was made with."""

import datetime
import fcntl
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

import tensorflow as tf

from tfp_priors import __version__
from tfp_priors.commit import commit
from tfp_priors.errors import UserError

_PACKAGES = (
    "tensorflow",
    "keras",
    "tensorflow-probability",
    "tensorflow-datasets",
    "gin-config",
    "numpy",
)


class RunLock:
    """A lock on a run_dir, held while its process lives.

    Used as a context manager. The kernel drops the lock when the process ends,
    however it ends.

    Raises:
      UserError: on entry, if another process holds it; its id is named.
    """

    def __init__(self, run_dir: str | Path):
        self._path = Path(run_dir) / "lock"
        self._file = None

    def __enter__(self):
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            raise UserError(
                f"{self._path.parent} is in use by process {owner}: wait for it, or "
                "choose another --run_dir."
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()
        return self

    def __exit__(self, *exc_info):
        self._file.truncate(0)
        if os.listdir(self._path.parent) == [self._path.name]:
            # A run that could not start leaves nothing behind.
            self._path.unlink()
            self._path.parent.rmdir()
        self._file.close()


def record_environment(run_dir: str | Path, seed: int, devices: list[str]) -> None:
    """Adds a line to `environment.jsonl`: versions, commit, devices, command."""
    record = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "commit": commit(),
        "seed": seed,
        "devices": devices,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "tfp_priors": __version__,
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    with open(Path(run_dir) / "environment.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def visible_devices() -> list[str]:
    """Names of the devices that TensorFlow sees."""
    return [device.name for device in tf.config.list_logical_devices()]

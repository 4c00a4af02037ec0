"""The folder of a run: who may write to it, what it was made with, what it holds."""

import contextlib
import datetime
import fcntl
import importlib.metadata
import json
import math
import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfp_priors import __version__
from tfp_priors import remote
from tfp_priors.errors import UserError
from tfp_priors.files import disk_errors_named
from tfp_priors.files import write_text
from tfp_priors.runs.commit import commit

_PACKAGES = (
    "tensorflow",
    "keras",
    "tensorflow-probability",
    "tensorflow-datasets",
    "gin-config",
    "numpy",
)

#: What a run's files are called and hold; 1 if a run does not say. A checkpoint has a
#: format of its own.
FORMAT = 1

#: The file of a run that makes its model again.
CONFIG = "config.gin"

#: The file of a run with the defaults that took effect beside these.
OPERATIVE_CONFIG = "operative_config.gin"

#: Folders of a run that no model is loaded from, and those that hold no records.
UNREAD = ("evaluation", "samples", "tensorboard")
LARGE = ("checkpoints", *UNREAD)

_ENVIRONMENT = "environment.jsonl"
_FINISHED = "finished.json"
_METRICS = "metrics.jsonl"
_ROLLBACKS = "rollbacks.jsonl"


def bindings(config: str) -> dict[str, str]:
    """The bindings of a text that gin has written, by name, each on one line."""
    # Long values go on, indented, on the next lines.
    pattern = re.compile(r"^([\w./]+) =((?:.*\n)(?: .*\n)*)", re.MULTILINE)
    return {
        name: " ".join(value.replace("\\\n", "").split())
        for name, value in pattern.findall(f"{config}\n")
    }


def checkpoints_in(folder: str | Path) -> dict[int, Path]:
    """The checkpoints in a folder by their steps, damaged ones too, ascending."""
    paths = Path(folder).glob("step_*")
    numbers = ((path.name.removeprefix("step_"), path) for path in paths)
    # A copy that a user has put beside them is none.
    return dict(sorted((int(n), path) for n, path in numbers if n.isdecimal()))


class RunLock:
    """A lock on a run_dir, or another folder, held while its process lives.

    Used as a context manager. The kernel drops the lock when the process ends,
    however it ends. A copy of a folder on a store is that store's too.

    Raises:
      UserError: on entry, if another process holds it; its id is named.
    """

    def __init__(self, run_dir: str | Path):
        self._path = Path(run_dir) / "lock"

    def __enter__(self):
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "ab+", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            owner = self._file.read().decode().strip() or "unknown"
            self._file.close()
            raise UserError(
                f"{self._path.parent} is in use by process {owner}: wait for it, or "
                "choose another folder."
            ) from None
        with contextlib.ExitStack() as held:
            held.callback(self._let_go)
            with disk_errors_named(self._path):
                self._file.truncate(0)
                self._file.write(str(os.getpid()).encode())
            mirror = remote.mirror_of(self._path.parent)
            if mirror is not None:
                held.enter_context(mirror.locked())
            self._held = held.pop_all()
        return self

    def __exit__(self, *exc_info):
        self._held.__exit__(*exc_info)

    def _let_go(self):
        self._file.truncate(0)
        if os.listdir(self._path.parent) == [self._path.name]:
            # A run that could not start leaves nothing behind.
            self._path.unlink()
            self._path.parent.rmdir()
        self._file.close()


def record_environment(run_dir: str | Path, seed: int, devices: list[str]) -> None:
    """Adds a line to `environment.jsonl`: format, versions, devices, command."""
    _add_line(
        Path(run_dir) / _ENVIRONMENT,
        {
            "format": FORMAT,
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
        },
    )


def environments(run_dir: str | Path) -> list[dict[str, Any]]:
    """What `record_environment` has written: a record per start of the training, and
    per command that found it finished."""
    return _lines(Path(run_dir) / _ENVIRONMENT)


def check_format(run_dir: str | Path) -> None:
    """Checks that this release can read a run, or go on with it.

    Raises:
      UserError: if a newer release has written it.
    """
    for record in environments(run_dir):
        if record.get("format", 1) > FORMAT:
            raise UserError(
                f"{run_dir} was written by a newer release of tfp_priors, "
                f"{record['tfp_priors']}, in format {record['format']}; {__version__} "
                f"reads formats up to {FORMAT}: update it."
            )


def set_finished(
    run_dir: str | Path, step: int | None, best: int | None = None
) -> None:
    """Notes that all steps are done, the last being `step`; None: that some are left.

    A training that was told to stop also ends without an error; this tells the two
    apart.

    Args:
      run_dir: folder of the run.
      step: the last one.
      best: that of the weights that are read back, if it is another one.
    """
    path = Path(run_dir) / _FINISHED
    record = {"step": step} | ({} if best is None else {"best": best})
    if step is None:
        path.unlink(missing_ok=True)
    elif _finished(run_dir) != record:
        write_text(path, json.dumps(record))


def finished_step(run_dir: str | Path) -> int | None:
    """The last step of a finished training, or None."""
    return _finished(run_dir).get("step")


def kept_step(run_dir: str | Path) -> int | None:
    """The step of the weights that a finished run is read back with, or None."""
    record = _finished(run_dir)
    return record.get("best", record.get("step"))


def _finished(run_dir):
    """What `set_finished` has written; nothing if it has not."""
    try:
        return json.loads((Path(run_dir) / _FINISHED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def record_rollback(
    run_dir: str | Path, what: str, step: int, checkpoint: int, factor: float
) -> None:
    """Adds a line to `rollbacks.jsonl`.

    Args:
      run_dir: folder of the run.
      what: the terms that were not finite.
      step: at which they were not.
      checkpoint: the step from which the training goes on.
      factor: of all learning rates from there on.
    """
    _add_line(
        Path(run_dir) / _ROLLBACKS,
        {
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "what": what,
            "step": step,
            "checkpoint": checkpoint,
            "learning_rate_factor": factor,
        },
    )


def rollbacks(run_dir: str | Path) -> list[dict[str, Any]]:
    """What `record_rollback` has written."""
    return _lines(Path(run_dir) / _ROLLBACKS)


def record_metrics(run_dir: str | Path, results: list[dict[str, Any]]) -> None:
    """Adds a line to `metrics.jsonl` for each result; see `to_json`."""
    _add_line(Path(run_dir) / _METRICS, *results)


def metrics(
    run_dir: str | Path, among: Callable[[dict[str, Any]], bool] = lambda result: True
) -> list[dict[str, Any]]:
    """The results in `metrics.jsonl`, the newest of each name; None for NaN.

    Args:
      run_dir: folder of the run.
      among: which results count.
    """
    results = filter(among, _lines(Path(run_dir) / _METRICS))
    return list({result["name"]: result for result in results}.values())


def to_json(value: Any) -> str:
    """JSON on a line, with null for NaN and infinities, which JSON does not have."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _add_line(path, *records):
    path.parent.mkdir(parents=True, exist_ok=True)
    # In one piece: whoever reads meanwhile sees all of it or nothing.
    text = "".join(to_json(record) + "\n" for record in records)
    with disk_errors_named(path), open(path, "ab+") as file:
        if file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
            text = f"\n{text}"  # After part of a line; see `_lines`.
        file.write(text.encode())


def _lines(path):
    if not path.is_file():
        return []
    records = []
    for line in path.read_bytes().splitlines():
        # A process that died while it wrote, or had no room, may have left a part.
        with contextlib.suppress(ValueError):
            # Earlier releases wrote NaN.
            records.append(json.loads(line, parse_constant=lambda _: None))
    return records

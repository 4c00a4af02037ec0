"""Sweeps: a grid of gin bindings over bin/train and bin/evaluate."""

import contextlib
import csv
import ctypes
import io
import itertools
import json
import os
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tfp_priors import run_dir
from tfp_priors.errors import UserError
from tfp_priors.evaluation import protocols
from tfp_priors.files import write_text
from tfp_priors.signals import stop_handled

#: Name of the axis that is the seed of training and evaluation.
SEED = "seed"

# Flags of bin/train that say what is trained, as opposed to where.
_WHAT = ("--gin_file=", "--gin_param=", "--steps=", "--seed=", "--autoencoder=")

# Flags of bin/evaluate that name a network, by what results call it.
_NETWORKS = {
    "classifier": "classifier",
    "keypoints": "keypoint_regressor",
    "inception": "inception_dir",
    "lpips": "lpips_weights",
}

# What stands between two commas outside of brackets and quotes.
_PIECE = re.compile(
    r"""(?:[^,(\[{'"]|\([^)]*\)|\[[^]]*\]|\{[^}]*\}|'[^']*'|"[^"]*")+"""
)

_DESCRIPTION = "sweep.json"
_HPARAMS = ".hparams"

# Of a metric's record, what a table of results need not repeat.
_LEFT_OUT = (
    "metric",
    "seed",
    "of",
    "dataset",
    "extractor_identity",
    "networks",
    "tfp_priors",
)


class Axis(NamedTuple):
    """A name and the texts that it stands for in turn."""

    name: str
    values: list[str]


class Run(NamedTuple):
    """One point of the grid.

    Attributes:
      name: of its folder.
      values: by axis.
      folder: the run_dir.
      train: flags of bin/train.
      evaluate: flags of bin/evaluate.
      metrics: canonical names.
    """

    name: str
    values: dict[str, str]
    folder: Path
    train: list[str]
    evaluate: list[str]
    metrics: list[str]

    @property
    def is_trained(self) -> bool:
        """Whether bin/train has finished with these flags."""
        starts = run_dir.environments(self.folder)
        if run_dir.finished_step(self.folder) is None or not starts:
            return False
        return _what(starts[-1]["command"]) == _what(self.train)

    @property
    def is_done(self) -> bool:
        """Whether it is trained, and has all results by the networks of its flags."""
        if not self.is_trained:
            return False
        found = {r.get("metric") for r in _results(self.folder, self.measured_by)}
        return set(self.metrics) <= found

    @property
    def measured_by(self) -> dict[str, str]:
        """The seed and the networks that bin/evaluate is given, by their flags."""
        flags = dict(flag[2:].partition("=")[::2] for flag in self.evaluate)
        given = {name: flags[name] for name in _NETWORKS.values() if name in flags}
        return {SEED: flags.get(SEED, "0")} | given

    def given(self, name: str) -> list[str]:
        """The values of a flag of bin/train."""
        start = f"--{name}="
        return [f.removeprefix(start) for f in self.train if f.startswith(start)]

    def commands(self) -> Iterator[list[str]]:
        """What is left to be run."""
        if not self.is_trained:
            yield ["bin/train", *self.train]
        if not self.is_done:
            yield ["bin/evaluate", *self.evaluate]


def parse_axis(text: str) -> Axis:
    """Reads "NAME=VALUE,VALUE,..."; commas within brackets or quotes do not separate.

    Raises:
      UserError: if there is no name or no value, or one comes twice.
    """
    name, _, values = text.partition("=")
    pieces = [piece.strip() for piece in _PIECE.findall(values)]
    axis = Axis(name.strip(), [piece for piece in pieces if piece])
    if not axis.name or not axis.values or len(set(axis.values)) < len(axis.values):
        raise UserError(
            f"expected --grid=NAME=VALUE,VALUE with values that differ, received "
            f"{text!r}."
        )
    return axis


def plan(
    out: str | Path,
    axes: Sequence[Axis],
    train_flags: Sequence[str],
    evaluate_flags: Sequence[str],
    metrics: Sequence[str],
) -> list[Run]:
    """The runs of a grid, the last axis fastest.

    "{NAME}" in a flag stands for the value of the axis NAME. An axis that no flag names
    so is a gin binding "NAME = VALUE", or the seed if it is called "seed".

    Args:
      out: folder of the runs' folders.
      axes: of the grid.
      train_flags: of bin/train; those for the axes and --run_dir are added.
      evaluate_flags: of bin/evaluate; likewise.
      metrics: names for bin/evaluate.

    Raises:
      UserError: if a name comes twice, a metric does not exist, or a gin file is not
        there.
    """
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--grid has {name} twice: give all its values at once.")
    metrics = [protocols.find(name).name for name in metrics]
    _check_fixed(names, train_flags)
    flags = [*train_flags, *evaluate_flags]
    in_flags = [name for name in names if any(f"{{{name}}}" in flag for flag in flags)]
    bound = [name for name in names if name not in in_flags]
    runs = []
    for values in itertools.product(*(axis.values for axis in axes)):
        by_name = dict(zip(names, values, strict=True))
        name = _run_name(by_name, bound)
        folder = Path(out) / name
        where = f"--run_dir={folder}"
        seed = [f"--seed={by_name[SEED]}"] if SEED in bound else []
        bindings = [
            f"--gin_param={axis} = {by_name[axis]}" for axis in bound if axis != SEED
        ]
        train = [where, *_filled(train_flags, by_name), *bindings, *seed]
        evaluate = [where, *_filled(evaluate_flags, by_name), *seed]
        evaluate.append(f"--metrics={','.join(metrics)}")
        runs.append(Run(name, by_name, folder, train, evaluate, metrics))
    if len({run.name for run in runs}) < len(runs):
        raise UserError("two runs of the grid have one name: use other values.")
    _check_files(runs)
    return runs


def _check_fixed(names, train_flags):
    """Refuses axes that flags fix."""
    for name in names:
        of_its_own = f"--{name.removeprefix('train.')}="
        for flag in train_flags:
            binding = flag.removeprefix("--gin_param=").partition("=")[0].strip()
            if name == binding or (
                name.startswith("train.") and flag.startswith(of_its_own)
            ):
                raise UserError(
                    f"--grid has {name}, which {flag} fixes: leave one out."
                )
    if {SEED, "train.seed"} <= {*names}:
        raise UserError("--grid has seed and train.seed: leave train.seed out.")


def _run_name(values, bound):
    """A folder's name; the value alone of an axis that is named in a flag."""
    parts = [
        f"{axis.rsplit('.', 1)[-1]}={value}" if axis in bound else value
        for axis, value in values.items()
    ]
    return re.sub(r"[^\w.,=+-]+", "-", "_".join(parts))


def _filled(flags, values):
    for name, value in values.items():
        flags = [flag.replace(f"{{{name}}}", value) for flag in flags]
    return flags


def _check_files(runs):
    for run in runs:
        for path in run.given("gin_file"):
            if not Path(path).expanduser().is_file():
                raise UserError(
                    f"There is no gin file {path}, which the run {run.name} needs."
                )


def _what(flags):
    return sorted(flag for flag in flags if flag.startswith(_WHAT))


def command_line(run: Run) -> str:
    """What is left of a run as a line for a shell."""
    return " && ".join(shlex.join(command) for command in run.commands())


class Sweeper:
    """Carries out runs, some at a time; one that fails does not stop the others.

    SIGINT and SIGTERM are passed on, so that trainings save their state, and no further
    run is begun. If this process is killed, the kernel tells them.

    Args:
      runs: of `plan`.
      root: folder of bin/.
      logs: folder for the commands' output.
      jobs: runs at a time. They get equal shares of the processors, and of the devices
        in CUDA_VISIBLE_DEVICES if that is set.
    """

    def __init__(self, runs: Sequence[Run], root: Path, logs: Path, jobs: int = 1):
        self._runs = list(runs)
        self._root = root
        self._logs = logs
        self._jobs = min(jobs, max(1, len(self._runs)))
        self._stopping = threading.Event()
        self._processes: set[subprocess.Popen] = set()
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._ended = 0
        self._failures: dict[str, str] = {}

    def run(self) -> dict[str, str]:
        """Runs until all have ended or a signal comes.

        Returns:
          Reasons by the names of the runs that failed.
        """
        left: queue.SimpleQueue = queue.SimpleQueue()
        for run in self._runs:
            left.put(run)
        threads = [
            threading.Thread(target=self._work, args=(left, slot))
            for slot in range(self._jobs)
        ]
        with stop_handled(self._stop):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return self._failures

    @property
    def stopped(self) -> bool:
        """Whether a signal ended it."""
        return self._stopping.is_set()

    def _work(self, left, slot):
        while not self.stopped:
            try:
                run = left.get_nowait()
            except queue.Empty:
                return
            start = time.monotonic()
            problem = self._run(run, slot)
            if not self.stopped:
                self._tell(run, problem, time.monotonic() - start)

    def _run(self, run, slot):
        """Runs the commands of a run; returns what went wrong, or None."""
        log = self._logs / f"{run.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        for command in run.commands():
            with open(log, "a", encoding="utf-8") as file:
                file.write(f"$ {shlex.join(command)}\n")
                file.flush()
                code = self._call(command, slot, file)
            if self.stopped:
                return None
            if code:
                return f"{command[0]} ended with code {code}: {_last_line(log)}"
            if command[0] == "bin/train" and not run.is_trained:
                return "the training was told to stop; it goes on next time"
        return None

    def _call(self, command, slot, file):
        def set_up():
            os.sched_setaffinity(0, cpus)
            # The kernel sends SIGTERM when the sweep is gone.
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

        cpus = _share(sorted(os.sched_getaffinity(0)), slot, self._jobs)
        environment = dict(os.environ)
        devices = environment.get("CUDA_VISIBLE_DEVICES")
        if devices:
            share = _share(devices.split(","), slot, self._jobs)
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(share)
        program = [sys.executable, str(self._root / command[0]), *command[1:]]
        with self._lock:
            if self.stopped:
                return 0
            process = subprocess.Popen(
                program,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                # Ctrl-C in a terminal would reach it twice.
                start_new_session=True,
                preexec_fn=set_up,
            )
            self._processes.add(process)
        code = process.wait()
        with self._lock:
            self._processes.remove(process)
        return code

    def _tell(self, run, problem, seconds):
        with self._lock:
            self._ended += 1
            left = len(self._runs) - self._ended
            rate = (time.monotonic() - self._start) / self._ended
            what = "done" if problem is None else f"FAILED, {problem}"
            if problem is not None:
                self._failures[run.name] = problem
            print(
                f"[{self._ended}/{len(self._runs)}] {run.name}: {what} after "
                f"{_clock(seconds)}; {_clock(rate * left)} left",
                file=sys.stderr,
                flush=True,
            )

    def _stop(self):
        self._stopping.set()
        for process in tuple(self._processes):
            process.send_signal(signal.SIGTERM)


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _share(items, slot, slots):
    """The items of a slot; those of several slots if there are too few."""
    return items[slot::slots] or [items[slot % len(items)]]


def _clock(seconds):
    minutes = int(seconds) // 60
    return f"{minutes // 60}:{minutes % 60:02d}:{int(seconds) % 60:02d}"


def _last_line(path):
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


def describe(runs: Sequence[Run]) -> None:
    """Writes what `table` reads beside the results: the values of each run, and what
    measures it."""
    for run in runs:
        old = _description(run.folder)
        # A grid without a network says nothing of another's results.
        measured_by = old.get("measured_by", {}) | run.measured_by
        new = {"values": run.values, "measured_by": measured_by}
        if new != old:
            write_text(run.folder / _DESCRIPTION, json.dumps(new))


def _description(folder):
    path = Path(folder) / _DESCRIPTION
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def values_of(out: str | Path) -> dict[str, dict[str, str]]:
    """The values by axis of each run in a folder, by the run's name."""
    return {
        path.parent.name: _description(path.parent)["values"]
        for path in sorted(Path(out).glob(f"*/{_DESCRIPTION}"))
    }


def table(out: str | Path) -> list[dict]:
    """The results of all runs in a folder, also of several grids.

    Results by another seed or network than the grid's last flags name are left out, so
    that those of one metric can be compared.

    Returns:
      A row for each result: the run's values by axis, "run", "metric", "value" and
      what else the metric tells.
    """
    rows = []
    for run, values in values_of(out).items():
        folder = Path(out) / run
        for result in _results(folder, _description(folder).get("measured_by", {})):
            told = {key: result[key] for key in result if key not in _LEFT_OUT}
            rows.append(values | {"run": run, "metric": told.pop("name")} | told)
    return rows


class Layout(NamedTuple):
    """Which axis goes where in a figure of scores, as figure 3 of the paper.

    Attributes:
      x: the last axis of several numbers, other than the seed.
      line: the last of the other axes.
      panels: the rest.
    """

    x: str
    line: str | None
    panels: list[str]

    def line_of(self, values: Mapping[str, str]) -> str:
        """The name of the line that a run with these values is on."""
        return values.get(self.line, "") if self.line else "all"

    def panel_of(self, values: Mapping[str, str]) -> str:
        """The name of its panel."""
        return " ".join(values[n] for n in self.panels if n in values) or "all"


def layout(out: str | Path) -> Layout:
    """The layout of a sweep's scores.

    Raises:
      UserError: if the folder holds no sweep, or no axis has several numbers.
    """
    runs = values_of(out)
    if not runs:
        raise UserError(f"{out} is not a sweep: expected an --out of bin/sweep.")
    x = number_axis(list(runs.values()))
    names = dict.fromkeys(name for values in runs.values() for name in values)
    if x is None:
        raise UserError(
            f"the sweep {out} has no axis of numbers to draw scores over; its axes are "
            f"{', '.join(names)}. Its results.csv has all of them."
        )
    *panels, line = [None, *(name for name in names if name not in (x, SEED))]
    return Layout(x, line, [name for name in panels if name])


def first_of_each(out: str | Path) -> dict[str, dict[str, Path]]:
    """The trained runs of a sweep's lowest seed, as `layout` orders them.

    Returns:
      Folders by "LINE, X" by panel.

    Raises:
      UserError: as `layout`.
    """
    where = layout(out)
    runs = {
        Path(out) / run: values
        for run, values in values_of(out).items()
        if where.x in values and run_dir.finished_step(Path(out) / run) is not None
    }
    seeds = {values.get(SEED, "") for values in runs.values()}
    lowest = min(seeds, key=lambda seed: (len(seed), seed), default="")
    panels: dict[str, dict[str, Path]] = {}
    for folder, values in sorted(
        runs.items(),
        key=lambda item: (where.line_of(item[1]), float(item[1][where.x])),
    ):
        if values.get(SEED, "") == lowest:
            label = f"{where.line_of(values)}, {values[where.x]}"
            panels.setdefault(where.panel_of(values), {})[label] = folder
    return panels


def number_axis(runs: Sequence[Mapping[str, str]]) -> str | None:
    """The last axis of several numbers, other than the seed, or None.

    Args:
      runs: the values by axis of each; not all need to have all axes.
    """
    for name in reversed(dict.fromkeys(name for values in runs for name in values)):
        texts = {values[name] for values in runs if name in values}
        numeric = all(isinstance(_number(text), float) for text in texts)
        if name != SEED and len(texts) > 1 and numeric:
            return name
    return None


def _results(folder, measured_by):
    """The results of the finished model by a seed and networks."""
    step = run_dir.finished_step(folder)
    return [
        result
        for result in run_dir.metrics(folder)
        if result["step"] == step and _is_by(result, measured_by)
    ]


def _is_by(result, measured_by):
    """Whether a result stands on the seed and the network that flags name."""
    seed, name = str(result.get(SEED)), result.get("extractor")
    if SEED in result and measured_by.get(SEED, seed) != seed:
        return False
    if str(result.get("metric")).startswith("lpips"):
        name = "lpips"
    path = measured_by.get(_NETWORKS.get(name))
    if path is None:
        return True
    if name in ("classifier", "keypoints"):
        # It may have been trained anew in its folder, or be the same in another.
        return result["extractor_identity"] == f"{name}-{_newest_weights(path)}"
    # Earlier releases did not tell.
    return result.get("networks", measured_by).get(_NETWORKS[name]) == path


def _newest_weights(folder):
    """The checksum of a run's newest checkpoint, or None."""
    records = sorted(Path(folder).expanduser().glob("checkpoints/*/checkpoint.json"))
    with contextlib.suppress(IndexError, KeyError, OSError, ValueError):
        return json.loads(records[-1].read_text())["sha256"]
    return None


def write_table(rows: Sequence[Mapping], path: str | Path) -> None:
    """Writes rows as CSV; the columns are all keys in the order they first appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_hparams(out: str | Path) -> None:
    """Writes what TensorBoard's HParams page shows of the runs in a folder.

    The metrics are those that bin/evaluate has put into `RUN/evaluation`. Imports
    TensorFlow.
    """
    from tensorboard.plugins.hparams import api
    from tensorflow import summary

    rows, by_run = table(out), values_of(out)
    names = dict.fromkeys(name for values in by_run.values() for name in values)
    metrics = dict.fromkeys(row["metric"] for row in rows)

    def events(folder, write):
        for old in Path(folder).glob(f"*{_HPARAMS}"):
            old.unlink()
        writer = summary.create_file_writer(str(folder), filename_suffix=_HPARAMS)
        with writer.as_default(step=0):
            write()
        writer.close()

    events(
        out,
        lambda: api.hparams_config(
            hparams=[api.HParam(name) for name in names],
            metrics=[api.Metric(name, group="evaluation") for name in metrics],
        ),
    )
    for run in dict.fromkeys(row["run"] for row in rows):
        values = {name: _number(text) for name, text in by_run[run].items()}
        events(Path(out) / run, lambda values=values: api.hparams(values, trial_id=run))


def _number(text):
    try:
        return float(text)
    except ValueError:
        return text

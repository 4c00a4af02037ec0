"""The runs of a grid of gin bindings, as commands."""

import itertools
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tfp_priors import experiments
from tfp_priors.errors import UserError
from tfp_priors.evaluation.metrics import find
from tfp_priors.files import write_text
from tfp_priors.runs import run_dir
from tfp_priors.sweeps.results import DESCRIPTION
from tfp_priors.sweeps.results import NETWORKS
from tfp_priors.sweeps.results import SEED
from tfp_priors.sweeps.results import description
from tfp_priors.sweeps.results import results_of

# Flags of bin/train that say what is trained, as opposed to where.
_WHAT = ("--gin_file=", "--gin_param=", "--steps=", "--seed=", "--autoencoder=")

# What stands between two commas outside of brackets and quotes.
_PIECE = re.compile(
    r"""(?:[^,(\[{'"]|\([^)]*\)|\[[^]]*\]|\{[^}]*\}|'[^']*'|"[^"]*")+"""
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
        found = {r.get("metric") for r in results_of(self.folder, self.measured_by)}
        return set(self.metrics) <= found

    @property
    def measured_by(self) -> dict[str, str]:
        """The seed and the networks that bin/evaluate is given, by their flags."""
        flags = dict(flag[2:].partition("=")[::2] for flag in self.evaluate)
        given = {name: flags[name] for name in NETWORKS.values() if name in flags}
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
    metrics = [find(name).name for name in metrics]
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


def command_line(run: Run) -> str:
    """What is left of a run as a line for a shell."""
    return " && ".join(shlex.join(command) for command in run.commands())


def describe(runs: Sequence[Run]) -> None:
    """Writes what `results.table` reads beside results: each run's values, and what
    measures it."""
    for run in runs:
        old = description(run.folder)
        # A grid without a network says nothing of another's results.
        measured_by = old.get("measured_by", {}) | run.measured_by
        new = {"values": run.values, "measured_by": measured_by}
        if new != old:
            write_text(run.folder / DESCRIPTION, json.dumps(new))


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
            if not experiments.gin_files(path)[0].is_file():
                near = experiments.nearest(path)
                hint = f" Did you mean {near}?" if near else ""
                raise UserError(
                    f"There is no gin file {path}, which the run {run.name} "
                    f"needs.{hint}"
                )


def _what(flags):
    return sorted(flag for flag in flags if flag.startswith(_WHAT))

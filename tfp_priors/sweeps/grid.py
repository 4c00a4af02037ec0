"""The runs of a grid of gin bindings, as commands."""

import itertools
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tfp_priors import remote
from tfp_priors.errors import UserError
from tfp_priors.evaluation.metrics import NETWORKS
from tfp_priors.evaluation.metrics import find
from tfp_priors.files import write_text
from tfp_priors.runs import run_dir
from tfp_priors.sweeps.results import DESCRIPTION
from tfp_priors.sweeps.results import SEED
from tfp_priors.sweeps.results import description
from tfp_priors.sweeps.results import results_of

# Flags of bin/train that say what is trained, as opposed to where.
_WHAT = ("--gin_file=", "--gin_param=", "--steps=", "--seed=", "--autoencoder=")

# Columns of results and of figures that an axis may not be called.
_COLUMNS = ("run", "metric", "value", "panel", "line")


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
        return what(starts[-1]["command"]) == what(self.train)

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
        return {SEED: "0"} | networks(self.evaluate, SEED)

    def here(self) -> "Run":
        """The run with its records as they are now, where this process has them."""
        (place,) = self.given("run_dir")
        return self._replace(folder=remote.refreshed(place, self.folder, run_dir.LARGE))

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
      UserError: if there is no name or no value, one comes twice, or a bracket or quote
        is not closed.
    """
    name, _, values = text.partition("=")
    pieces = _pieces(values)
    if pieces is None:
        raise UserError(f"--grid={text} has a bracket or a quote that is not closed.")
    pieces = [piece.strip() for piece in pieces]
    axis = Axis(name.strip(), [piece for piece in pieces if piece])
    if not axis.name or not axis.values or len(set(axis.values)) < len(axis.values):
        raise UserError(
            f"expected --grid=NAME=VALUE,VALUE with values that differ, received "
            f"{text!r}."
        )
    return axis


def _pieces(text):
    """What stands between commas outside of brackets and quotes; None if one of these
    is not closed."""
    closing = {"(": ")", "[": "]", "{": "}"}
    pieces, quote, brackets = [""], "", []
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in closing:
            brackets.append(closing[character])
        elif character in closing.values() and brackets[-1:] == [character]:
            brackets.pop()
        elif character == "," and not brackets:
            pieces.append("")
            continue
        pieces[-1] += character
    return None if quote or brackets else pieces


class Planner:
    """Makes the runs of a sweep of given values.

    "{NAME}" in a flag stands for the value of the axis NAME. An axis that no flag of
    bin/train names so is a gin binding "NAME = VALUE", or the seed if it is called
    "seed".

    Args:
      out: folder of the runs' folders.
      names: of the axes.
      train_flags: of bin/train; those for the axes and --run_dir are added.
      evaluate_flags: of bin/evaluate; likewise.
      metrics: names for bin/evaluate.
      flag: that the user gives the axes by.

    Raises:
      UserError: if a name comes twice, a flag fixes it, or a metric does not exist.
    """

    def __init__(
        self,
        out: str | Path,
        names: Sequence[str],
        train_flags: Sequence[str],
        evaluate_flags: Sequence[str],
        metrics: Sequence[str],
        flag: str = "--grid",
    ):
        for name in names:
            if list(names).count(name) > 1:
                raise UserError(
                    f"{flag} has {name} twice: give all its values at once."
                )
            if name in _COLUMNS:
                raise UserError(
                    f"{flag} has {name}, which is a column of the results: choose "
                    "another word."
                )
        self.metrics = [find(name).name for name in metrics]
        _check_fixed(names, train_flags, flag)
        self.train_flags = list(train_flags)
        self.evaluate_flags = list(evaluate_flags)
        self._out = Path(out)
        _check_words(names, self.train_flags, self.evaluate_flags)
        self._bound = [
            name
            for name in names
            if not any(f"{{{name}}}" in flag for flag in self.train_flags)
        ]

    def run(self, values: dict[str, str]) -> Run:
        """The run of a value for each axis."""
        name = _run_name(values, self._bound)
        folder = self._out / name
        where = f"--run_dir={remote.named(folder)}"
        seed = [f"--seed={values[SEED]}"] if SEED in self._bound else []
        bindings = [
            f"--gin_param={axis} = {values[axis]}"
            for axis in self._bound
            if axis != SEED
        ]
        train = [where, *_filled(self.train_flags, values), *bindings, *seed]
        evaluate = [where, *_filled(self.evaluate_flags, values), *seed]
        evaluate.append(f"--metrics={','.join(self.metrics)}")
        return Run(name, values, folder, train, evaluate, self.metrics)


def plan(
    out: str | Path,
    axes: Sequence[Axis],
    train_flags: Sequence[str],
    evaluate_flags: Sequence[str],
    metrics: Sequence[str],
) -> list[Run]:
    """The runs of a grid, the last axis fastest; see `Planner`.

    Raises:
      UserError: as `Planner`, and if two runs would share a folder.
    """
    names = [axis.name for axis in axes]
    planner = Planner(out, names, train_flags, evaluate_flags, metrics)
    runs = [
        planner.run(dict(zip(names, values, strict=True)))
        for values in itertools.product(*(axis.values for axis in axes))
    ]
    if len({run.name for run in runs}) < len(runs):
        raise UserError("two runs of the grid have one name: use other values.")
    return runs


def check_networks(run: Run) -> None:
    """Refuses metrics whose networks are missing, before a training and not after it.

    Raises:
      UserError: if a flag that a metric needs is not given, or its folder or file is
        not there.
    """
    given = networks(run.evaluate)
    for request in map(find, run.metrics):
        flag = NETWORKS.get(request.network)
        # Inception is downloaded without one.
        if flag not in (None, NETWORKS["inception"], *given):
            raise UserError(f"{request.name} needs another network: expected --{flag}.")
    of_runs = (NETWORKS["classifier"], NETWORKS["keypoints"])
    for flag, place in given.items():
        path = Path(place).expanduser()
        wanted = path / run_dir.CONFIG if flag in of_runs else path
        if not remote.is_remote(place) and not wanted.exists():
            raise UserError(
                f"run {run.name}: --{flag}={place} is not there: expected what "
                "measures its images."
            )


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


def _check_fixed(names, train_flags, asked):
    """Refuses axes that flags fix."""
    for name in names:
        of_its_own = f"--{name.removeprefix('train.')}="
        for flag in train_flags:
            binding = flag.removeprefix("--gin_param=").partition("=")[0].strip()
            if name == binding or (
                name.startswith("train.") and flag.startswith(of_its_own)
            ):
                raise UserError(
                    f"{asked} has {name}, which {flag} fixes: leave one out."
                )
    if {SEED, "train.seed"} <= {*names}:
        raise UserError(f"{asked} has seed and train.seed: leave train.seed out.")


def _check_words(names, train_flags, evaluate_flags):
    """Refuses words that evaluation flags alone name: no training differs by them."""
    for name in names:
        # A macro, CLASS.parameter or the seed.
        is_binding = name == SEED or "." in name or name[:1].isupper()
        trains, measures = (
            any(f"{{{name}}}" in flag for flag in flags)
            for flags in (train_flags, evaluate_flags)
        )
        if measures and not trains and not is_binding:
            raise UserError(
                f"{{{name}}} stands in flags of bin/evaluate alone, which say nothing "
                "of what is trained: measure by one network at a time."
            )


def _run_name(values, bound):
    """A folder's name; the value alone of an axis that is named in a flag."""
    parts = [
        f"{axis.rsplit('.', 1)[-1]}={value}" if axis in bound else value
        for axis, value in values.items()
    ]
    return file_name("_".join(parts))


def file_name(text: str) -> str:
    """A text with what names of files should not have replaced by dashes."""
    return re.sub(r"[^\w.,=+-]+", "-", text)


def _filled(flags, values):
    for name, value in values.items():
        flags = [flag.replace(f"{{{name}}}", value) for flag in flags]
    return flags


def what(flags: Sequence[str]) -> list[str]:
    """The flags of bin/train that say what is trained."""
    return sorted(flag for flag in flags if flag.startswith(_WHAT))


def networks(flags: Sequence[str], *besides: str) -> dict[str, str]:
    """The networks that flags of bin/evaluate name, and what else is asked for."""
    values = dict(flag[2:].partition("=")[::2] for flag in flags)
    names = (*besides, *NETWORKS.values())
    return {name: values[name] for name in names if name in values}

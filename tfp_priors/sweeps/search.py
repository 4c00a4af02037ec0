"""A search for the values that are best by a metric of held-out images."""

import collections
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfp_priors.errors import UserError
from tfp_priors.errors import imported
from tfp_priors.evaluation.metrics import find
from tfp_priors.sweeps.grid import Planner
from tfp_priors.sweeps.grid import Run
from tfp_priors.sweeps.grid import describe
from tfp_priors.sweeps.grid import networks
from tfp_priors.sweeps.grid import parse_axis
from tfp_priors.sweeps.grid import what
from tfp_priors.sweeps.results import results_of
from tfp_priors.sweeps.sweeper import Source

#: Optuna's journal in the folder of a sweep.
JOURNAL = "optuna.journal"

_STUDY = "search"

_RANGE = re.compile(r"(\w+)\((.*)\)")

_EXPECTED = (
    "expected --search=NAME=SPACE with a space log(A,B), lin(A,B) or int(A,B) of "
    "numbers A < B, or a list of choices VALUE,VALUE"
)


class Space(NamedTuple):
    """What a search chooses the value of a name from.

    Attributes:
      name: as of an axis of a grid.
      kind: "log", "lin", "int" or "choice".
      values: the two ends of a range, both in it, or the choices.
      text: as the user gave it.
    """

    name: str
    kind: str
    values: list[Any]
    text: str

    def suggested(self, trial) -> float | int | str:
        """The value that a trial of Optuna takes."""
        if self.kind == "choice":
            return trial.suggest_categorical(self.name, self.values)
        if self.kind == "int":
            return trial.suggest_int(self.name, *self.values)
        return trial.suggest_float(self.name, *self.values, log=self.kind == "log")


def parse_space(text: str) -> Space:
    """Reads "NAME=log(A,B)", "NAME=lin(A,B)", "NAME=int(A,B)" or "NAME=VALUE,VALUE".

    Raises:
      UserError: if it is none of them, or no range.
    """
    problem = UserError(f"{_EXPECTED}; received {text!r}.")
    try:
        axis = parse_axis(text)
    except UserError:
        raise problem from None
    ranges = [_RANGE.fullmatch(value) for value in axis.values]
    if not any(ranges):
        return Space(axis.name, "choice", axis.values, text)
    kind, ends = ranges[0].groups() if ranges[0] else ("", "")
    number = int if kind == "int" else float
    try:
        low, high = map(number, ends.split(","))
    except ValueError:
        raise problem from None
    is_range = kind in ("log", "lin", "int") and len(axis.values) == 1
    if not is_range or not low < high < float("inf") or low == -float("inf"):
        raise problem
    if axis.name.removeprefix("train.") == "seed" and kind != "int":
        raise UserError(f"seeds are whole numbers, received {text!r}: take int(A,B).")
    if kind == "log" and low <= 0:
        raise UserError(
            f"expected a log(A,B) with A > 0, received {text!r}: lin(A,B) may begin at "
            "0 or below."
        )
    return Space(axis.name, kind, [low, high], text)


def check_metric(name: str) -> str:
    """The canonical name of a metric that choices may be made by.

    Raises:
      UserError: if there is none, or it is not measured on images that are held out.
    """
    request = find(name)
    if request.values.get("split") not in ("held_out", "validation"):
        raise UserError(
            f"--metric={name} is not measured on held-out images, and choices are "
            "never made on the test images: expected one of the split held_out, such "
            "as nll500_iw100_held_out."
        )
    if request.metric.parts:
        raise UserError(
            f"--metric={name} has several results, "
            f"{', '.join(request.metric.parts)}: a search goes by one number."
        )
    return request.name


class Search(Source):
    """A source of runs: trials of Optuna's tree-structured Parzen estimator.

    Which values were tried is in Optuna's journal in the sweep's folder, and what
    became of them in the folders of the runs. A trial without a result, because it
    failed or its process died, is carried out again by the next search in the folder.
    A trial's values depend on the ended trials and its number alone.

    Args:
      out: the sweep's folder, which nobody else writes to.
      planner: makes the runs.
      spaces: of the names.
      trials: how many there are to be in all.
      metric: see `check_metric`; one of the planner's.
      maximize: whether it is the better the higher.
      is_left: whether a run is to be carried out.

    Raises:
      UserError: if Optuna is not installed, or the folder holds another search.
    """

    def __init__(
        self,
        out: str | Path,
        planner: Planner,
        spaces: Sequence[Space],
        trials: int,
        metric: str,
        maximize: bool = False,
        is_left: Callable[[Run], bool] = lambda run: not run.is_done,
    ):
        self._optuna = imported("optuna", "search", "--search")
        self._optuna.logging.set_verbosity(self._optuna.logging.ERROR)
        self._wanted = trials
        self._planner = planner
        self._spaces = spaces
        self.metric = metric
        self._maximize = maximize
        self._is_left = is_left
        self._study = self._opened(Path(out) / JOURNAL)
        self._numbers: dict[str, list[int]] = {}
        for trial in self._trials:
            if len(trial.params) < len(spaces) and not trial.state.is_finished():
                # The process that asked for it died meanwhile.
                self._study.tell(trial.number, state=self._states.FAIL)
        asked = self._asked()
        self._open = collections.deque(
            trial
            for trial in asked
            if not trial.state.is_finished() or is_left(self._run(trial))
        )
        self.runs = [self._run(trial) for trial in asked]
        #: Runs to be carried out, as far as is known.
        self.total = max(trials - len(asked), 0) + len(self._open)

    def next(self):
        while True:
            if self._open:
                trial = self._open.popleft()
            elif len(self._asked()) < self._wanted:
                trial = self._ask()
            else:
                return None
            run = self._run(trial)
            is_at_work = run.name in self._numbers
            self._numbers.setdefault(run.name, []).append(trial.number)
            if not is_at_work:
                describe([run])
                if self._is_left(run):
                    return run
                self.ended(run)
            # Else it hears of the result of the one that is at work.
            self.total -= 1

    def ended(self, run):
        if self._is_left(run):
            return  # It failed; the next search tries it again.
        value = self._value(run) if run.is_done else None
        outcome = {"state": self._states.PRUNED} if value is None else {"values": value}
        for number in self._numbers.pop(run.name):
            # Of one that is finished the run was gone, and is there again.
            if not self._trials[number].state.is_finished():
                self._study.tell(number, **outcome)

    def best(self) -> tuple[Run, float] | None:
        """The best of the runs that are done, and its value; None without one."""
        runs = {run.name: run for run in map(self._run, self._asked())}
        values = {
            name: value
            for name, run in runs.items()
            if run.is_done and (value := self._value(run)) is not None
        }
        if not values:
            return None
        name = (max if self._maximize else min)(values, key=values.get)
        return runs[name], values[name]

    @property
    def _states(self):
        return self._optuna.trial.TrialState

    @property
    def _trials(self):
        # Without it all are copied.
        return self._study.get_trials(deepcopy=False)

    def _asked(self):
        """All trials that have values."""
        return [trial for trial in self._trials if trial.state != self._states.FAIL]

    def _ask(self):
        number = len(self._trials)
        # Of the number, so that a search that goes on asks as one that was not ended.
        self._study.sampler = self._optuna.samplers.TPESampler(seed=number)
        trial = self._study.ask()
        for space in self._spaces:
            space.suggested(trial)
        return self._trials[trial.number]

    def _run(self, trial):
        return self._planner.run(
            {space.name: _text(trial.params[space.name]) for space in self._spaces}
        )

    def _value(self, run):
        """The metric of a run that is done; None if no number came out."""
        results = results_of(run.folder, run.measured_by)
        return next((r["value"] for r in results if r["name"] == self.metric), None)

    def _opened(self, path):
        """The study in the journal, which is begun if there is none."""
        asked = {
            "--search": [space.text for space in self._spaces],
            "--metric": self.metric,
            "--maximize": self._maximize,
            "flags": what(self._planner.train_flags),
            "networks": networks(self._planner.evaluate_flags),
        }
        optuna, is_new = self._optuna, not path.exists()
        if not is_new:
            _mend(path)
        journal = optuna.storages.journal
        lock = journal.JournalFileOpenLock(str(path))
        try:
            storage = optuna.storages.JournalStorage(
                journal.JournalFileBackend(str(path), lock)
            )
            study = optuna.create_study(
                storage=storage,
                study_name=_STUDY,
                direction="maximize" if self._maximize else "minimize",
                load_if_exists=True,
            )
            known = study.user_attrs.get("asked", asked)
        except (ValueError, KeyError) as error:
            raise UserError(
                f"{path} cannot be read as Optuna's journal: move it away to begin the "
                "search anew; runs that are done are taken from their folders."
            ) from error
        for name, value in asked.items():
            if known.get(name) != value:
                raise UserError(
                    f"{path.parent} holds another search: {name} was "
                    f"{json.dumps(known.get(name))}, and is {json.dumps(value)} now. "
                    "Choose another --out, or go on with that one."
                )
        study.set_user_attr("asked", asked)
        return study


def corners(planner: Planner, spaces: Sequence[Space]) -> list[Run]:
    """Runs that between them have both ends of each range, and all choices."""
    most = max(len(space.values) for space in spaces)
    return [
        planner.run(
            {
                space.name: _text(space.values[min(i, len(space.values) - 1)])
                for space in spaces
            }
        )
        for i in range(most)
    ]


def _text(value):
    """A value as a flag and a folder's name have it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _mend(path):
    """What a process left behind that was killed while it wrote the journal."""
    Path(f"{path}.lock").unlink(missing_ok=True)
    text = path.read_bytes()
    os.truncate(path, text.rfind(b"\n") + 1)

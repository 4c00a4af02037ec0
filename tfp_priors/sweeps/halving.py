"""Runs that are stopped early: successive halving on held-out data."""

import json
from typing import Any

from tfp_priors.errors import UserError
from tfp_priors.errors import imported
from tfp_priors.files import write_text
from tfp_priors.runs.scalars import Scalars
from tfp_priors.sweeps.grid import Run
from tfp_priors.sweeps.results import STOPPED

#: What trainings write of held-out data, the lower the better, by TensorBoard's tag.
MEASURES = {"prior_nll": "held_out/prior_nll", "val_loss": "train/val_loss"}


class Halving:
    """Asynchronous successive halving (Li et al. 2020), by Optuna's pruner.

    A run that has come to step `first`, `first * factor`, `first * factor^2`, ... goes
    on if its value there is among the best 1 / factor of those that came as far, or
    the best of all. Values are read off the runs' TensorBoard events, also of former
    sweeps.

    Args:
      measure: of `MEASURES`.
      first: steps that every run takes.
      factor: see above.

    Raises:
      UserError: if there is no such measure, the numbers are too small, or Optuna is
        not installed.
    """

    def __init__(self, measure: str, first: int, factor: int = 3):
        if measure not in MEASURES:
            raise UserError(
                f"expected --halving to be one of {', '.join(MEASURES)}, which are "
                f"measured on held-out data in training, received {measure!r}."
            )
        if first < 1 or factor < 2:
            raise UserError(
                "expected --halving_from >= 1 and --halving_factor >= 2, received "
                f"{first} and {factor}."
            )
        optuna = imported("optuna", "search", "--halving")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = optuna.pruners.SuccessiveHalvingPruner(first, factor)
        self._study = optuna.create_study(pruner=pruner)
        self._measure = measure
        self._trials: dict[str, Any] = {}
        self._scalars: dict[str, Scalars] = {}
        self._newest: dict[str, tuple[int, float]] = {}

    def is_hopeless(self, run: Run) -> bool:
        """Whether what a run has written since the last call says: stop it."""
        if run.name not in self._trials:
            self._trials[run.name] = self._study.ask()
            folder = run.folder / "tensorboard"
            self._scalars[run.name] = Scalars(folder, MEASURES[self._measure])
        trial, is_hopeless = self._trials[run.name], False
        for _, step, value in self._scalars[run.name].new():
            if step <= self._newest.get(run.name, (-1,))[0]:
                continue  # A training that went on has taken it again.
            self._newest[run.name] = step, value
            trial.report(value, step)
            is_hopeless |= trial.should_prune()
        return is_hopeless

    def record_stop(self, run: Run) -> str:
        """Notes in the folder of a run that it was stopped; says so in words."""
        step, value = self._newest[run.name]
        record = {"step": step, "by": self._measure, "held_out": value}
        write_text(run.folder / STOPPED, json.dumps(record))
        return f"stopped early at step {step} by {self._measure} = {value:.6g}"

    @property
    def has_values(self) -> bool:
        """Whether any run has written what it goes by."""
        return bool(self._newest)


def forget_stop(run: Run) -> None:
    """A run that was stopped early goes on."""
    (run.folder / STOPPED).unlink(missing_ok=True)

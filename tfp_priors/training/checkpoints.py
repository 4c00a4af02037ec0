"""Checkpoints that can be trusted: complete, checked, the newest good one wins."""

import contextlib
import json
import math
import os
import shutil
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
from absl import logging

from tfp_priors.errors import UserError
from tfp_priors.files import sha256
from tfp_priors.files import sync
from tfp_priors.files import temporary_beside
from tfp_priors.models import GroupedModel
from tfp_priors.runs.run_dir import checkpoints_in

_WEIGHTS = "state.weights.h5"
_RECORD = "checkpoint.json"
_FORMAT = 1


def checkpoints_of(run_dir: str | Path) -> tuple["Checkpoints", "Checkpoints"]:
    """The checkpoints of a run: before its autoencoder rests, and from then on."""
    folder = Path(run_dir) / "checkpoints"
    return Checkpoints(folder), Checkpoints(folder / "at_rest")


class Checkpoints:
    """The checkpoints of one run.

    Each is a folder `step_00001000` with Keras' weights file (the model's weights,
    the state of its optimizers with the step, and the metrics' windows) and a record
    with its checksum. It is written under another name and renamed at the end.

    Args:
      directory: where they are kept.
      keep: how many; the oldest go once a newer one is safe, except for the best.
    """

    def __init__(self, directory: str | Path, keep: int = 2):
        self.directory = Path(directory)
        self.keep = keep
        self._checksums = {}

    def steps(self) -> list[int]:
        """Steps of the checkpoints on the disk, damaged ones included, ascending."""
        return list(checkpoints_in(self.directory))

    def checksum(self, step: int) -> str:
        """The SHA-256 of the weights file of a checkpoint that was found good."""
        return self._checksums[self._path(step)]

    def save(
        self,
        model: GroupedModel,
        step: int,
        held_out: float | None = None,
        is_borrowed: bool = False,
    ) -> None:
        """Writes the state of a model that is finite at this step.

        Args:
          model: the model.
          step: done so far.
          held_out: what the model is chosen by, the lower the better, if it is known.
          is_borrowed: whether its weights are those of another run.
        """
        target = self._path(step)
        self._clean()
        with temporary_beside(target) as temporary:
            facts = {"held_out": held_out, "is_borrowed": is_borrowed}
            self._write(model, step, facts, temporary)
            if target.exists():
                # Only a damaged one: a run goes on from the newest good one.
                self._remove(step)
            os.rename(temporary, target)
        sync(self.directory)
        for old in set(self.steps()[: -self.keep]) - {self.best()[0]}:
            self._remove(old)

    def _write(self, model, step, facts, folder):
        folder.mkdir()
        _claim_room(folder / "room", _state_bytes(model))
        model.save_weights(folder / _WEIGHTS)
        record = {
            "format": _FORMAT,
            "step": step,
            "sha256": sha256(folder / _WEIGHTS),
            **facts,
        }
        (folder / _RECORD).write_text(json.dumps(record))
        for path in (folder / _WEIGHTS, folder / _RECORD, folder):
            sync(path)

    def _remove(self, step):
        # At once: who reads meanwhile finds it whole or not at all.
        removed = self.directory / f".{self._path(step).name}.removed.tmp"
        os.rename(self._path(step), removed)
        shutil.rmtree(removed, ignore_errors=True)

    def help_to_save(self, model: GroupedModel) -> None:
        """What other workers than the chief do while it saves.

        Reading a metric adds up the replicas of all workers, so that all must read
        all of them; what the others write is removed.
        """
        with tempfile.TemporaryDirectory() as folder:
            model.save_weights(Path(folder) / _WEIGHTS)

    def load(self, model: GroupedModel, step: int) -> None:
        """Loads the checkpoint of a step, which another worker has found good.

        Raises:
          UserError: if it is not there, damaged, or belongs to another model.
        """
        problem = self._problem(self._path(step))
        if problem:
            raise UserError(
                f"The chief goes on from step {step}, which this worker cannot read "
                f"({problem}): all workers need one --run_dir on a file system that "
                "they share."
            )
        self._load(model, step)

    def best(self) -> tuple[int | None, float]:
        """The step with the lowest `held_out` and its value; (None, inf) without one.

        Of equal ones the first.
        """
        values = {step: self._record(step).get("held_out") for step in self.steps()}
        values = {step: value for step, value in values.items() if value is not None}
        step = min(values, key=values.get, default=None)
        return step, values.get(step, math.inf)

    def is_borrowed(self, step: int | None) -> bool:
        """Whether the weights of a checkpoint are those of another run."""
        return step is not None and self._record(step).get("is_borrowed", False)

    def _record(self, step):
        """What is noted of a checkpoint; nothing if it cannot be read."""
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self._path(step) / _RECORD).read_text())
        return {}

    def restore_best(self, model: GroupedModel) -> int | None:
        """As `restore`, of the `best` checkpoint if there is a good one."""
        step, _ = self.best()
        if step is None:
            return self.restore(model)
        problem = self._problem(self._path(step))
        if problem:
            path = self._path(step)
            if not path.exists():
                return self.restore_best(model)  # As below.
            logging.error("The best checkpoint %s is damaged: %s.", path, problem)
            return self.restore(model)
        try:
            self._load(model, step)
        except FileNotFoundError:
            return self.restore_best(model)  # A training has found a better one.
        return step

    def restore(self, model: GroupedModel) -> int | None:
        """Loads the newest good checkpoint, and says so if a newer one is damaged.

        Args:
          model: built, and compiled if the optimizers' state is wanted.

        Returns:
          Its step, or None if there is no checkpoint.

        Raises:
          UserError: if all checkpoints are damaged, or belong to another model.
        """
        while (step := self.newest()) is not None:
            try:
                self._load(model, step)
            except FileNotFoundError:
                continue  # A training has removed it; it has written a newer one.
            return step
        return None

    def newest(self) -> int | None:
        """The step of the newest good checkpoint, or None if there is none.

        Raises:
          UserError: if all are damaged.
        """
        steps = self.steps()
        for step in reversed(steps):
            path = self._path(step)
            problem = self._problem(path)
            if not problem:
                return step
            if not path.exists():
                return self.newest()  # As in `restore`.
            logging.error("Checkpoint %s is damaged: %s.", path, problem)
        if steps:
            raise UserError(
                f"All checkpoints in {self.directory} are damaged: remove them to "
                "start again."
            )
        return None

    def _load(self, model, step):
        path = self._path(step)
        try:
            with warnings.catch_warnings():
                # Keras would go on with a new state of the optimizer.
                warnings.filterwarnings("error", "Skipping variable loading")
                # Without a look at what else is there: other workers would wait for it.
                keras.Model.load_weights(model, path / _WEIGHTS)
        except (ValueError, UserWarning) as error:
            # After the number of parts that do not fit, what is wrong with the first.
            told = str(error).split("\n\n")[:2][-1].splitlines()[0]
            raise UserError(
                f"The checkpoint {path} belongs to another model: {told}"
            ) from error

    def _path(self, step):
        return self.directory / f"step_{step:08d}"

    def _clean(self):
        # Left behind by a process that was killed.
        for path in self.directory.glob(".step_*.tmp"):
            shutil.rmtree(path)

    def _problem(self, path):
        try:
            record = json.loads((path / _RECORD).read_text())
            checksum = sha256(path / _WEIGHTS)
        except (OSError, ValueError) as error:
            return str(error)
        if record.get("format", 0) > _FORMAT:
            raise UserError(
                f"{path} was written by a newer release of tfp_priors: update it."
            )
        if record.get("sha256") != checksum:
            return "its checksum is wrong"
        self._checksums[path] = checksum
        return None


def _state_bytes(model):
    """An upper bound of the size of a weights file."""
    variables = list(model.variables)
    for optimizer in model.optimizers.values():
        variables += optimizer.variables
    return sum(int(np.prod(v.shape)) * 4 + 8192 for v in variables)


def _claim_room(path, size):
    # A write that fails inside HDF5 ends the process with a segmentation fault; this
    # raises OSError first if the disk, a quota or a limit has no room.
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    path.unlink()

"""Keras callbacks that know how many steps were taken."""

import math
from collections.abc import Callable

import keras


class StepCallback(keras.callbacks.Callback):
    """Counts training steps across resumed runs.

    Args:
      start_step: steps done before this run.
    """

    def __init__(self, start_step: int = 0):
        super().__init__()
        self.step = start_step

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        self.on_step(self.step, logs)

    def on_step(self, step: int, logs) -> None:
        """Called after each step with the running means of the terms."""


class BestOnHeldOut(StepCallback):
    """Keeps the model whenever it is the best one so far on held-out data.

    The first look is before the first step. Ends the training after `patience` steps
    without a better model. Adds `val_loss`, what the model is chosen by, to the logs.

    Args:
      measure: a function of no arguments: what the model is chosen by, the lower the
        better.
      keep: called with the step and this value if the model is the best one.
      every: steps between two looks.
      patience: steps, which count from `patient_from` on.
      best: the best step before and its value; None and inf if there is none.
      first_step: from which on steps are counted here.
      start_step: steps done before this run.
      patient_from: a step.
    """

    def __init__(
        self,
        measure: Callable[[], float],
        keep: Callable[[int, float], None],
        every: int,
        patience: int,
        best: tuple[int | None, float] = (None, math.inf),
        first_step: int = 0,
        start_step: int = 0,
        patient_from: int = 0,
    ):
        super().__init__(start_step)
        self._measure = measure
        self._keep = keep
        self._every = every
        self._patience = patience
        self._first_step = first_step
        self._patient_from = max(first_step, patient_from)
        self._best_step, self._best = best[0] or 0, best[1]
        self._last = None
        self.is_over = self._is_over(start_step)

    def on_train_begin(self, logs=None):
        if self.step == self._first_step:
            self._look(self.step)

    def on_step(self, step, logs):
        if (step - self._first_step) % self._every == 0:
            self._last = self._look(step)
        self._tell(logs)

    def on_epoch_end(self, epoch, logs=None):
        self._tell(logs)

    def _tell(self, logs):
        if self._last is not None:
            logs["val_loss"] = self._last

    def _look(self, step):
        """The measure after a step; the model is kept if it is the best one."""
        value = self._measure()
        if value < self._best:
            self._best_step, self._best = step, value
            self._keep(step, value)
        self.is_over = self._is_over(step)
        if self.is_over:
            self.model.stop_training = True
        return value

    def _is_over(self, step):
        return step - max(self._best_step, self._patient_from) >= self._patience

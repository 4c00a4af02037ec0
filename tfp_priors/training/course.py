"""What the phases of one training share: where it writes, and its steps."""

import functools
from typing import NamedTuple

import tensorflow as tf

from tfp_priors.files import write_text
from tfp_priors.models import POSTERIOR
from tfp_priors.models import GroupedModel
from tfp_priors.runs.run_dir import record_environment
from tfp_priors.runs.run_dir import set_finished
from tfp_priors.training import callbacks
from tfp_priors.training.rates import scale_learning_rate
from tfp_priors.training.strategy import visible_devices

_HELD_OUT_ROWS = 512

#: What each rollback does to all learning rates.
ROLLBACK_FACTOR = 0.5


class TrainingResult(NamedTuple):
    """The trained model, and how far the training came.

    Attributes:
      model: the model.
      start_step: the step of the checkpoint that it started from, or 0.
      step: steps done in all.
      finished: whether these are all that were asked for.
    """

    model: GroupedModel
    start_step: int
    step: int
    finished: bool


class Course:
    """One training of a run, from its start or its last checkpoint on.

    Args:
      workers: that train.
      folder: the run_dir.
      held_out: data that nothing learns from.
      records: see `Trainer.train`.
      seed: of the run.
      rollbacks: how often it went back.
      every: steps between scalars, between pictures and between checkpoints.
    """

    def __init__(self, workers, folder, held_out, records, seed, rollbacks, every):
        self.workers = workers
        self.dir = folder
        self.held_out = held_out
        self.seed = seed
        self.is_stopped = False
        self._rollbacks = rollbacks
        self._scalars_every, self._images_every, self._checkpoint_every = every
        self._records = records

    @functools.cached_property
    def batch(self):
        """What is looked at now and then."""
        return self.held_out.take(_HELD_OUT_ROWS)

    @functools.cached_property
    def texts(self):
        """What tells of the run; written to it once they are asked for."""
        texts = self._records()
        for name, text in texts.items():
            write_text(self.dir / name, text)
        set_finished(self.dir, None)
        record_environment(self.dir, self.seed, visible_devices())
        return texts

    def writer(self, checkpoints, start=0) -> callbacks.CheckpointWriter:
        """Writes checkpoints."""
        return callbacks.CheckpointWriter(
            checkpoints, self._checkpoint_every, start, self.workers.is_chief
        )

    def summaries(self, start) -> callbacks.Summaries:
        """Writes TensorBoard events."""
        return callbacks.Summaries(
            self.dir,
            self.batch,
            self._scalars_every,
            self._images_every,
            self.texts,
            start,
        )

    def restored(self, model, checkpoints, optimizers) -> int | None:
        """The step of the newest checkpoint, which the model gets; None without one.

        Args:
          model: compiled.
          checkpoints: of its phase.
          optimizers: makes the optimizer of each group anew.
        """
        workers = self.workers
        step = checkpoints.restore(model) if workers.is_chief else None
        step = workers.chiefs(-1 if step is None else step)
        if step >= 0 and not workers.is_chief:
            checkpoints.load(model, step)
        if self._rollbacks:
            factor = ROLLBACK_FACTOR**self._rollbacks
            with model.distribute_strategy.scope():
                for name, optimizer in model.optimizers.items():
                    scale_learning_rate(optimizer, optimizers[name](), factor)
        return None if step < 0 else step

    def fit(self, model, batches, writer, start, end, best=None) -> TrainingResult:
        """Takes steps.

        Args:
          model: compiled.
          batches: endless, from step `start` on.
          writer: see `writer`.
          start: steps done.
          end: steps to be done.
          best: a `BestOnHeldOut` that may end them before, or None.
        """
        workers = self.workers
        stop = callbacks.SignalStop(workers, start)
        callback_list = [callbacks.NonFiniteGuard(self.batch, start)]
        if best is not None:
            callback_list.append(best)
        if workers.is_chief:
            rows = next(iter(tf.nest.flatten(batches.element_spec))).shape[0]
            unit = "codes" if POSTERIOR in batches.element_spec else "images"
            progress = callbacks.Progress(
                end, rows * workers.count, start, self._scalars_every, unit
            )
            callback_list += [progress, self.summaries(start)]
        callback_list += [
            writer,
            stop,
            callbacks.MetricWindows(self._scalars_every, start),
        ]
        with stop.listening():
            model.fit(
                workers.distributed(batches),
                steps_per_epoch=end - start,
                shuffle=False,
                verbose=0,
                callbacks=callback_list,
            )
        self.is_stopped = stop.ask_all()
        finished = writer.step >= end or (best is not None and best.is_over)
        return TrainingResult(model, start, writer.step, finished)

"""Keras callbacks: guard, progress, TensorBoard, checkpoints."""

import collections
import contextlib
import math
import os
import sys
import time
from pathlib import Path

import tensorflow as tf

from tfp_priors.errors import NonFiniteError
from tfp_priors.figures.grid import image_grid
from tfp_priors.figures.grid import save_image
from tfp_priors.files import disk_errors_named
from tfp_priors.learning.callbacks import StepCallback
from tfp_priors.runs.signals import stop_handled
from tfp_priors.training.checkpoints import Checkpoints
from tfp_priors.training.workers import Workers

# Over which the rate of steps is taken.
_RATE_SECONDS = 60.0


class NonFiniteGuard(StepCallback):
    """Stops the training at the first NaN or infinity among the terms.

    Args:
      batch: held-out data to describe the model's outputs on.
    """

    def __init__(self, batch, start_step: int = 0):
        super().__init__(start_step)
        self._batch = batch

    def on_step(self, step, logs):
        bad = [name for name, value in logs.items() if not math.isfinite(value)]
        if not bad:
            return
        # The loss is a sum: name the terms rather than it.
        terms = ", ".join([name for name in bad if name != "loss"] or bad)
        raise NonFiniteError(
            f"{terms} is not finite at step {step}; "
            f"{self.model.diagnosis(self._batch)}. The last checkpoint, if "
            f"any, is still good: try {', or '.join(self.model.remedies)}.",
            terms,
            step,
        )


class Progress(StepCallback):
    """One line with step, terms, images per second and time left.

    Rate and time left are by the last minute, so that a pause does not count for long.
    Rewrites the line on a terminal; elsewhere prints one every `print_every` steps.
    """

    def __init__(
        self,
        steps: int,
        batch_size: int,
        start_step: int = 0,
        print_every: int = 100,
        unit: str = "images",
    ):
        super().__init__(start_step)
        self._unit = unit
        self._steps = steps
        self._batch_size = batch_size
        self._print_every = print_every
        self._terminal = sys.stderr.isatty()
        # Times and steps of the last minute, and of one line before.
        self._marks = collections.deque()
        self._shown = 0.0

    def on_step(self, step, logs):
        now = time.monotonic()
        if not self._marks:
            # The first step traces and compiles; it would distort the rate.
            self._marks.append((now, step))
        last = step >= self._steps
        if self._terminal:
            due = now - self._shown > 0.25
        else:
            due = step % self._print_every == 0
        if not (due or last):
            return
        self._shown = now
        text = self._line(step, now, logs)
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{text}" + ("\n" if last else ""))
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def on_train_end(self, logs=None):
        if self._terminal and self.step < self._steps:
            sys.stderr.write("\n")

    def _line(self, step, now, logs):
        parts = [f"step {step}/{self._steps}"]
        while len(self._marks) > 1 and self._marks[1][0] < now - _RATE_SECONDS:
            self._marks.popleft()
        before, first = self._marks[0]
        self._marks.append((now, step))
        if step > first:
            rate = (step - first) / (now - before)
            left = int((self._steps - step) / rate)
            images = rate * self._batch_size
            digits = 0 if images >= 10 else 1
            parts.append(f"{images:.{digits}f} {self._unit}/s")
            parts.append(f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left")
        for name, value in logs.items():
            if not name.endswith(("gradient_norm", "clipped_share")):
                parts.append(f"{name} {float(value):.4g}")
        return "  ".join(parts)


class Summaries(StepCallback):
    """TensorBoard events, and PNG files, of what a model tells in `summary_of`.

    Args:
      run_dir: events go to `tensorboard/`, pictures to `samples/`.
      batch: held-out data by name, such as "image".
      scalars_every: steps between scalars, which are means over these steps.
      images_every: steps between pictures and latent statistics.
      texts: texts to show by name.
      start_step: steps done before this run.
    """

    def __init__(
        self,
        run_dir: str | Path,
        batch: dict,
        scalars_every: int = 100,
        images_every: int = 1000,
        texts: dict[str, str] | None = None,
        start_step: int = 0,
    ):
        super().__init__(start_step)
        self._run_dir = Path(run_dir)
        self._events = self._run_dir / "tensorboard"
        self._batch = {name: tf.constant(value) for name, value in batch.items()}
        self._scalars_every = scalars_every
        self._images_every = images_every
        self._texts = texts or {}
        self._writer = None

    def write_once(self, model, step: int) -> None:
        """Writes pictures and statistics of a model that was fitted without steps."""
        self.set_model(model)
        self.on_train_begin()
        self._write_pictures(step)
        self._close()

    def on_train_begin(self, logs=None):
        with disk_errors_named(self._events):
            _forget_later_steps(self._events, self.step)
            self._writer = tf.summary.create_file_writer(str(self._events))
        # Autograph would rewrite TFP as well: seconds, for nothing.
        self._summary = tf.function(
            lambda: self.model.summary_of(self._batch), autograph=False
        )
        with self._writing(self.step + 1):
            for name, text in self._texts.items():
                # Indented, it is code to TensorBoard's Markdown.
                tf.summary.text(name, "    " + text.replace("\n", "\n    "))

    def on_step(self, step, logs):
        if step % self._scalars_every == 0:
            with self._writing(step):
                for name, value in logs.items():
                    tf.summary.scalar(f"train/{name}", value)
                for name, value in self.model.schedules(step).items():
                    tf.summary.scalar(f"train/{name}", value)
        if step % self._images_every == 0:
            self._write_pictures(step)

    def on_train_end(self, logs=None):
        if self.step % self._images_every:
            self._write_pictures(self.step)
        self._close()

    def _write_pictures(self, step):
        scalars, pictures = self._summary()
        grids = {
            name: image_grid(images.numpy(), columns=10)
            for name, images in pictures.items()
        }
        with self._writing(step):
            for name, value in scalars.items():
                tf.summary.scalar(name, value)
            for name, grid in grids.items():
                tf.summary.image(name, grid[None])
        for name, grid in grids.items():
            save_image(grid, self._run_dir / "samples" / f"{name}_{step:08d}.png")

    @contextlib.contextmanager
    def _writing(self, step):
        """Within it, summaries go to the events; they are on the disk at its end."""
        with disk_errors_named(self._events), self._writer.as_default(step=step):
            yield

    def _close(self):
        with disk_errors_named(self._events):
            self._writer.close()


def _forget_later_steps(folder, step):
    """Cuts off what a killed run wrote after its last checkpoint, at `step`.

    TensorBoard would show these steps beside the same ones of this run.
    """
    for path in folder.glob("events.out.tfevents.*"):
        size = 0
        # Part of a record at the end, of a writer that was killed.
        with contextlib.suppress(tf.errors.DataLossError):
            for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                if tf.compat.v1.Event.FromString(record).step > step:
                    break
                # Length and two checksums.
                size += 16 + len(record)
        os.truncate(path, size)


class MetricWindows(StepCallback):
    """Lets the means of the terms begin anew every `every` steps; stands last."""

    def __init__(self, every: int, start_step: int = 0):
        super().__init__(start_step)
        self._every = every

    def on_step(self, step, logs):
        if step % self._every == 0:
            self.model.reset_metrics()


class CheckpointWriter(StepCallback):
    """Saves every `every` steps and at the end; all workers must have one.

    Raises:
      NonFiniteError: in place of saving weights that are not finite. The gradient of
        a finite loss may have made them so, which the next step's loss tells.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        every: int,
        start_step: int = 0,
        is_chief: bool = True,
    ):
        super().__init__(start_step)
        self._checkpoints = checkpoints
        self._every = every
        self._saved_step = start_step
        self._is_chief = is_chief

    def on_step(self, step, logs):
        if step % self._every == 0 and step > self._saved_step:
            self._save(step)

    def save_once(self, model, step: int, is_borrowed: bool = False) -> None:
        """Saves a model that was fitted without steps, or by another run."""
        self.set_model(model)
        self._save(step, is_borrowed=is_borrowed)

    def on_train_end(self, logs=None):
        if self.step > self._saved_step:
            self._save(self.step)

    def save_at(self, step: int, held_out: float) -> None:
        """Saves the model after this step, with what it is chosen by."""
        self._save(step, held_out)

    def _save(self, step, held_out=None, is_borrowed=False):
        self._check_finite(step)
        if self._is_chief:
            self._checkpoints.save(self.model, step, held_out, is_borrowed)
        else:
            self._checkpoints.help_to_save(self.model)
        self._saved_step = step

    def _check_finite(self, step):
        for weight in self.model.weights:
            if not tf.reduce_all(tf.math.is_finite(tf.cast(weight, tf.float32))):
                raise NonFiniteError(
                    f"{weight.path} is not finite after step {step}, which is not "
                    "saved. The last checkpoint, if any, is still good: try "
                    f"{', or '.join(self.model.remedies)}.",
                    weight.path,
                    step,
                )


class SignalStop(StepCallback):
    """At SIGTERM or SIGINT `fit` ends after a step; the state is saved.

    A single worker ends after the step in work. Several ask each other every
    `AGREE_EVERY` steps, and end after the same step if any was told to.

    Args:
      workers: that train together.
      start_step: steps done before this run.
    """

    #: Steps between the questions of several workers.
    AGREE_EVERY = 10

    def __init__(self, workers: Workers, start_step: int = 0):
        super().__init__(start_step)
        self._workers = workers
        self._requested = False

    def listening(self) -> contextlib.AbstractContextManager:
        """Within it, the signals ask for a stop instead of ending the process."""
        return stop_handled(self._request)

    def _request(self):
        self._requested = True

    def ask_all(self) -> bool:
        """Whether any worker was told to end.

        All workers must call it. None returns before the others have come, the chief
        with its last checkpoint written.
        """
        return self._workers.any(self._requested)

    def on_step(self, step, logs):
        if self._workers.count > 1 and step % self.AGREE_EVERY:
            return
        if self._workers.any(self._requested):
            self.model.stop_training = True

"""Trains a model in a run_dir, from the start or from its last checkpoint."""

import contextlib
import functools
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras

from tfp_priors.data import ImageDataset
from tfp_priors.errors import NonFiniteError
from tfp_priors.errors import UserError
from tfp_priors.files import write_text
from tfp_priors.models import GroupedModel
from tfp_priors.run_dir import RunLock
from tfp_priors.run_dir import record_environment
from tfp_priors.run_dir import record_rollback
from tfp_priors.run_dir import rollbacks
from tfp_priors.run_dir import set_finished
from tfp_priors.training import callbacks
from tfp_priors.training.checkpoints import Checkpoints
from tfp_priors.training.post_hoc import PostHoc
from tfp_priors.training.rates import scale_learning_rate
from tfp_priors.training.strategy import create_strategy
from tfp_priors.training.strategy import visible_devices
from tfp_priors.training.workers import Workers

_HELD_OUT_IMAGES = 512

#: How often a run goes back to its last checkpoint, and what each time does to all
#: learning rates.
ROLLBACKS = 3
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


class Trainer:
    """What is trained and how; `train` says where and on what.

    Args:
      model: called with seed=seed in the strategy's scope.
      optimizers: makes the optimizer of each group of variables, by the group's name;
        names of groups that the model lacks are ignored.
      steps: total number of steps.
      batch_size: images per step over all replicas.
      clip_norm: largest gradient norm of each variable group, or None.
      seed: of initial weights, order of images and noise.
      strategy: see `create_strategy`.
      jit_compile: see `GroupedModel.compile`.
      precision: see `GroupedModel.compile`.
      accumulation: see `GroupedModel.compile`.
      post_hoc: None: the prior learns with the autoencoder. Otherwise the model's
        autoencoder is held fixed, and another prior learns from its codes, for
        `post_hoc.steps` steps.
      scalars_every: steps between TensorBoard scalars.
      images_every: steps between pictures and latent statistics.
      checkpoint_every: steps between checkpoints.
      on_nonfinite: what to do when a term is not finite. "stop": raise an error.
        "rollback": go on from the last checkpoint, or from the start if there is
        none, with all learning rates times `ROLLBACK_FACTOR`; the error is raised
        once this was done `ROLLBACKS` times in the run_dir.
    """

    def __init__(
        self,
        model: Callable[..., GroupedModel],
        optimizers: dict[str, Callable[[], keras.optimizers.Optimizer]],
        steps: int,
        batch_size: int = 64,
        clip_norm: float | None = None,
        seed: int = 0,
        strategy: str = "auto",
        jit_compile: bool | str = "auto",
        precision: str = "float32",
        accumulation: int = 1,
        post_hoc: PostHoc | None = None,
        scalars_every: int = 100,
        images_every: int = 1000,
        checkpoint_every: int = 1000,
        on_nonfinite: str = "stop",
    ):
        for name, value in {
            "steps": steps,
            "scalars_every": scalars_every,
            "images_every": images_every,
            "checkpoint_every": checkpoint_every,
        }.items():
            if value < 1:
                raise UserError(f"train.{name} must be at least 1, received {value}.")
        if not 0 <= seed < 2**31:
            raise UserError(f"train.seed must be in [0, 2^31), received {seed}.")
        if on_nonfinite not in ("stop", "rollback"):
            raise UserError(
                "Expected train.on_nonfinite to be stop or rollback, received "
                f"{on_nonfinite!r}."
            )
        self.model = model
        self.optimizers = optimizers
        self.steps = steps if post_hoc is None else post_hoc.steps
        self.batch_size = batch_size if post_hoc is None else post_hoc.batch_size
        self.clip_norm = clip_norm
        self.seed = seed
        self.strategy = strategy
        self.jit_compile = jit_compile
        self.precision = precision
        self.accumulation = accumulation
        self.post_hoc = post_hoc
        self.scalars_every = scalars_every
        self.images_every = images_every
        self.checkpoint_every = checkpoint_every
        self.on_nonfinite = on_nonfinite

    def make_model(self) -> GroupedModel:
        """The model that `train` trains, with new weights and not compiled."""
        model = self.model(seed=self.seed)
        return model if self.post_hoc is None else self.post_hoc.model(model)

    def train(
        self,
        run_dir: str | Path,
        load_dataset: Callable[..., ImageDataset],
        records: Callable[[], dict[str, str]] = dict,
        initialize: Callable[[GroupedModel], None] | None = None,
    ) -> TrainingResult:
        """Trains until `steps` steps are done; resumes if run_dir has a checkpoint.

        On one device, a resumed run takes the same steps as an uninterrupted one.
        Of several workers, the first writes run_dir and the others read it; they
        return when it has finished.

        Args:
          run_dir: receives checkpoints, TensorBoard events, samples and the
            environment.
          load_dataset: called with split="train" and split="test".
          records: called once all parts exist; returns texts by file name, which are
            written to run_dir and shown in TensorBoard.
          initialize: called with the model if there is no checkpoint, for weights
            that come from elsewhere.

        Raises:
          UserError: if the parts do not fit, or another process uses run_dir.
          NonFiniteError: if a term is not finite, see `on_nonfinite`; the last
            checkpoint is still good.
          WorkerLostError: if another worker has ended; so is the last checkpoint.
        """
        workers = Workers(create_strategy(self.strategy))
        lock = RunLock(run_dir) if workers.is_chief else contextlib.nullcontext()
        with workers.explained(), lock:
            result = self._train(workers, run_dir, load_dataset, records, initialize)
            if result.finished and workers.is_chief:
                set_finished(run_dir, result.step)
            workers.wait()  # What the chief has written is there.
        return result

    def _train(self, workers, run_dir, load_dataset, *parts):
        load_dataset = functools.cache(load_dataset)
        while True:
            # All workers hear of it from the one that has written it.
            done = workers.chiefs(len(rollbacks(run_dir)) if workers.is_chief else 0)
            try:
                return self._attempt(workers, done, run_dir, load_dataset, *parts)
            except NonFiniteError as error:
                if self.on_nonfinite == "stop":
                    raise
                if done >= ROLLBACKS:
                    message = f"after {done} rollbacks, {error}"
                    raise NonFiniteError(message, error.what, error.step) from error
                if workers.is_chief:
                    _roll_back(run_dir, error, done + 1)
            # The model that failed is held by cycles; a device may not have room for
            # two.
            gc.collect()

    def _attempt(self, workers, done, run_dir, load_dataset, records, initialize):
        """Trains from the last checkpoint on, after so many rollbacks."""
        model = self.compiled_model()
        # It may have to be prepared.
        with workers.chief_first():
            training, held_out = (
                load_dataset(split=split) for split in ("train", "test")
            )
        model.check_data(training.image_shape, training.features)
        checkpoints = Checkpoints(Path(run_dir) / "checkpoints")
        start = workers.chiefs(checkpoints.restore(model) if workers.is_chief else 0)
        if start and not workers.is_chief:
            checkpoints.load(model, start)
        if done:
            self._scale_learning_rates(model, ROLLBACK_FACTOR**done)
        if start >= self.steps:
            return TrainingResult(model, start, start, finished=True)
        if start == 0 and initialize is not None:
            initialize(model)
        batches = self._batches(workers, model, training, start)
        batch = held_out.take(_HELD_OUT_IMAGES)
        writer = callbacks.CheckpointWriter(
            checkpoints, self.checkpoint_every, start, workers.is_chief
        )
        summaries = None
        if workers.is_chief:
            texts = records()
            for name, text in texts.items():
                write_text(Path(run_dir) / name, text)
            set_finished(run_dir, None)
            record_environment(run_dir, self.seed, visible_devices())
            summaries = callbacks.Summaries(
                run_dir, batch, self.scalars_every, self.images_every, texts, start
            )
        if batches is None:
            writer.save_once(model, self.steps)
            if summaries is not None:
                summaries.write_once(model, self.steps)
            return TrainingResult(model, start, self.steps, finished=True)
        stop = callbacks.SignalStop(workers, start)
        callback_list = [callbacks.NonFiniteGuard(batch, start)]
        if workers.is_chief:
            progress = callbacks.Progress(
                self.steps, self.batch_size, start, self.scalars_every
            )
            callback_list += [progress, summaries]
        callback_list += [
            writer,
            stop,
            callbacks.MetricWindows(self.scalars_every, start),
        ]
        with stop.listening():
            model.fit(
                workers.distributed(batches),
                steps_per_epoch=self.steps - start,
                shuffle=False,
                verbose=0,
                callbacks=callback_list,
            )
        return TrainingResult(model, start, writer.step, writer.step >= self.steps)

    def compiled_model(self) -> GroupedModel:
        """The model in its strategy's scope, with new weights and optimizers."""
        scope = create_strategy(self.strategy)
        replicas = scope.num_replicas_in_sync
        if self.batch_size % replicas:
            smaller = self.batch_size // replicas * replicas
            nearest = [n for n in (smaller, smaller + replicas) if n > 0]
            raise UserError(
                f"train.batch_size = {self.batch_size} does not divide by the "
                f"{replicas} replicas: choose {' or '.join(map(str, nearest))}."
            )
        keras.utils.set_random_seed(self.seed)
        with scope.scope():
            model = self.make_model()
            optimizers = {
                name: optimizer()
                for name, optimizer in self.optimizers.items()
                if model.variable_groups().get(name)
            }
            model.compile(
                optimizers,
                self.clip_norm,
                self.jit_compile,
                self.precision,
                self.accumulation,
            )
        return model

    def _scale_learning_rates(self, model, factor):
        with model.distribute_strategy.scope():
            for name, optimizer in model.optimizers.items():
                scale_learning_rate(optimizer, self.optimizers[name](), factor)

    def _batches(self, workers, model, training, start):
        """This worker's rows of the batches from a step on.

        None if there is nothing to step through.
        """
        share = {"worker": workers.index, "workers": workers.count}
        if self.post_hoc is None:
            return training.training_batches(self.batch_size, self.seed, start, **share)
        parameters = self.post_hoc.encode(model, training)
        if start == 0 and self.post_hoc.fit(model, parameters, self.seed):
            return None
        return self.post_hoc.training_batches(parameters, self.seed, start, **share)


def _roll_back(run_dir, error, number):
    """Records that the training goes back to its last checkpoint, and says so."""
    checkpoint = Checkpoints(Path(run_dir) / "checkpoints").newest()
    factor = ROLLBACK_FACTOR**number
    record_rollback(run_dir, error.what, error.step, checkpoint, factor)
    where = f"the checkpoint of step {checkpoint}" if checkpoint else "the start"
    if sys.stderr.isatty():
        sys.stderr.write("\n")  # The line of the progress has no end yet.
    print(
        f"{error.what} is not finite at step {error.step}: going on from {where} with "
        f"all learning rates times {factor:g} (rollback {number} of {ROLLBACKS}).",
        file=sys.stderr,
    )

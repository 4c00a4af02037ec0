"""Trains a model in a run_dir, from the start or from its last checkpoint."""

import contextlib
import dataclasses
import functools
import gc
import sys
from collections.abc import Callable
from pathlib import Path

import keras

from tfp_priors.data import CodeDataset
from tfp_priors.data import ImageDataset
from tfp_priors.errors import NonFiniteError
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_seed
from tfp_priors.errors import check_within
from tfp_priors.files import remove
from tfp_priors.learning.callbacks import BestOnHeldOut
from tfp_priors.models import GroupedModel
from tfp_priors.runs.run_dir import RunLock
from tfp_priors.runs.run_dir import environments
from tfp_priors.runs.run_dir import record_environment
from tfp_priors.runs.run_dir import record_rollback
from tfp_priors.runs.run_dir import rollbacks
from tfp_priors.runs.run_dir import set_finished
from tfp_priors.training.batch_statistics import recompute_batch_statistics
from tfp_priors.training.checkpoints import checkpoints_of
from tfp_priors.training.course import ROLLBACK_FACTOR
from tfp_priors.training.course import Course
from tfp_priors.training.course import TrainingResult
from tfp_priors.training.early_stopping import EarlyStopping
from tfp_priors.training.post_hoc import PostHoc
from tfp_priors.training.post_hoc import learn_at_rest
from tfp_priors.training.same_pictures import PICTURES
from tfp_priors.training.same_pictures import told_pictures
from tfp_priors.training.strategy import create_strategy
from tfp_priors.training.strategy import visible_devices
from tfp_priors.training.workers import Workers

#: How often a run goes back to its last checkpoint.
ROLLBACKS = 3


@dataclasses.dataclass(eq=False)
class Trainer:
    """What is trained and how; `train` says where and on what.

    Args:
      model: called with seed=seed in the strategy's scope.
      optimizers: makes the optimizer of each group of variables, by the group's name;
        names of groups that the model lacks are ignored.
      steps: total number of steps; 0: what has a `post_hoc` only, such as a
        `CodeModel`.
      batch_size: images per step over all replicas.
      clip_norm: see `GroupedModel.compile`.
      seed: of initial weights, order of images and noise.
      strategy: see `create_strategy`.
      jit_compile: see `GroupedModel.compile`.
      precision: see `GroupedModel.compile`.
      accumulation: see `GroupedModel.compile`.
      post_hoc: None: the prior learns with the autoencoder. Otherwise the autoencoder
        is held fixed after `steps`, and the prior learns from its codes for
        `post_hoc.steps` steps more.
      early_stopping: None, or when the autoencoder has learned enough before `steps`,
        by the held-out images.
      validation_share: part of the training images that nothing learns from:
        TensorBoard shows what the model does on them, and choices are made by them.
      scalars_every: steps between TensorBoard scalars.
      images_every: steps between pictures and latent statistics.
      checkpoint_every: steps between checkpoints.
      on_nonfinite: what to do when a term is not finite. "stop": raise an error.
        "rollback": go on from the last checkpoint, or from the start if there is
        none, with all learning rates times `ROLLBACK_FACTOR`; the error is raised
        once this was done `ROLLBACKS` times in the run_dir.
    """

    model: Callable[..., GroupedModel]
    optimizers: dict[str, Callable[[], keras.optimizers.Optimizer]]
    steps: int
    batch_size: int = 64
    clip_norm: float | dict[str, float] | None = None
    seed: int = 0
    strategy: str = "auto"
    jit_compile: bool | str = "auto"
    precision: str = "float32"
    accumulation: int = 1
    post_hoc: PostHoc | None = None
    early_stopping: EarlyStopping | None = None
    validation_share: float = 0.0
    scalars_every: int = 100
    images_every: int = 1000
    checkpoint_every: int = 1000
    on_nonfinite: str = "stop"

    def __post_init__(self):
        check_counts(
            "train",
            steps=1 if self.steps == 0 and self.post_hoc is not None else self.steps,
            scalars_every=self.scalars_every,
            images_every=self.images_every,
            checkpoint_every=self.checkpoint_every,
        )
        check_seed(self.seed, "train.seed")
        check_within("train", "[0, 1)", validation_share=self.validation_share)
        if self.early_stopping is not None and not self.validation_share:
            raise UserError(
                "train.early_stopping looks at held-out images: expected a "
                "train.validation_share > 0."
            )
        if self.on_nonfinite not in ("stop", "rollback"):
            raise UserError(
                "Expected train.on_nonfinite to be stop or rollback, received "
                f"{self.on_nonfinite!r}."
            )

    def make_model(self, at_rest: bool = False) -> GroupedModel:
        """The model that `train` trains, with new weights and not compiled.

        Args:
          at_rest: as it is once the autoencoder rests.
        """
        model = self.model(seed=self.seed)
        return self.post_hoc.model(model) if at_rest else model

    def train(
        self,
        run_dir: str | Path,
        load_dataset: Callable[..., ImageDataset],
        records: Callable[[], dict[str, str]] = dict,
        initialize: Callable[[GroupedModel], None] | None = None,
        is_trained: bool = False,
    ) -> TrainingResult:
        """Trains until all steps are done; resumes if run_dir has a checkpoint.

        On one device, a resumed run takes the same steps as an uninterrupted one.
        Of several workers, the first writes run_dir and the others read it; they
        return when it has finished.

        Args:
          run_dir: receives checkpoints, TensorBoard events, samples and the
            environment.
          load_dataset: called with split="train", and with split="test" if no
            training images are held out.
          records: called once all parts exist; returns texts by file name, which are
            written to run_dir and shown in TensorBoard.
          initialize: called with the model if there is no checkpoint, for weights
            that come from elsewhere.
          is_trained: with them, the autoencoder needs no steps.

        Raises:
          UserError: if the parts do not fit, or another process uses run_dir.
          NonFiniteError: if a term is not finite, see `on_nonfinite`; the last
            checkpoint is still good.
          WorkerLostError: if another worker has ended; so is the last checkpoint.
        """
        workers = Workers(create_strategy(self.strategy))
        lock = RunLock(run_dir) if workers.is_chief else contextlib.nullcontext()
        with workers.explained(), lock:
            result = self._train(
                workers, run_dir, load_dataset, records, initialize, is_trained
            )
            if result.finished and workers.is_chief:
                joint, rest = checkpoints_of(run_dir)
                best, _ = (rest if rest.steps() else joint).best()
                set_finished(run_dir, result.step, best)
                if [s["command"] for s in environments(run_dir)[-1:]] != [sys.argv]:
                    # Nothing was left to do; a sweep knows that by its own flags.
                    record_environment(run_dir, self.seed, visible_devices())
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

    def _attempt(
        self, workers, done, run_dir, load_dataset, records, initialize, is_trained
    ):
        """Trains from the last checkpoint on, after so many rollbacks."""
        if self.post_hoc is not None:
            # What does not fit is told now rather than after hours.
            self.compiled_model(at_rest=True)
            gc.collect()
        model = self.compiled_model()
        # It may have to be prepared.
        with workers.chief_first():
            training, held_out = self.datasets(load_dataset)
        model.check_data(training.image_shape, training.features)
        if self.steps and isinstance(training, CodeDataset):
            raise UserError(
                "Codes have no steps of an autoencoder: expected train.steps = 0; "
                "--steps of bin/fit_prior, or PRIOR_STEPS, are those of the prior."
            )
        told = {}
        if not isinstance(training, CodeDataset):
            told[PICTURES] = told_pictures(run_dir, training)
        run = Course(
            workers,
            Path(run_dir),
            held_out,
            lambda: records() | told,
            self.seed,
            done,
            (self.scalars_every, self.images_every, self.checkpoint_every),
        )
        joint, rest = checkpoints_of(run_dir)
        start, borrowed = self._begun(run, model, joint, initialize, is_trained)
        result = TrainingResult(model, start, start, finished=True)
        if not borrowed:
            result = self._learn(run, training, result)
        if self.post_hoc is None or not result.finished:
            return result
        if run.is_stopped:
            return result._replace(finished=False)
        before = max([result.step, *rest.steps()])
        result = self._rest(run, training, result)
        if workers.is_chief and result.finished and result.step > before:
            best, _ = rest.best()
            chosen = f"; that of step {best} is the best on held-out images"
            chosen = "" if best is None else chosen
            print(
                f"The prior learned from codes at rest to step {result.step}{chosen}.",
                file=sys.stderr,
            )
        return result

    def _learn(self, run, training, begun):
        """The steps of all parts that are still to be done."""
        model, start = begun.model, begun.step
        joint, rest = checkpoints_of(run.dir)
        writer, best, result = run.writer(joint, start), None, begun
        if self.early_stopping is not None:
            best = BestOnHeldOut(
                model.bound_of(run.held_out),
                writer.save_at,
                self.early_stopping.every,
                self.early_stopping.patience,
                joint.best(),
                start_step=start,
                patient_from=self.early_stopping.start,
            )
        if start < self.steps and not (best and best.is_over):
            if run.workers.is_chief:
                # Of a run that was shorter.
                remove(rest.directory)
            batches = training.training_batches(
                self.batch_size, self.seed, start, **run.workers.share
            )
            result = run.fit(model, batches, writer, start, self.steps, best)
        if best is not None and result.finished:
            joint.restore_best(model)
            if run.workers.is_chief and result.step > start:
                print(
                    f"Held-out images are most likely at step {joint.best()[0]}, whose "
                    f"weights the run keeps; it ended at step {result.step}.",
                    file=sys.stderr,
                )
        return result

    def _begun(self, run, model, joint, initialize, is_trained):
        """The steps that are done, and whether another run has done them."""
        start = run.restored(model, joint, self.optimizers)
        borrowed = bool(run.workers.chiefs(joint.is_borrowed(start)))
        if start is not None and is_trained and not borrowed:
            raise UserError(
                f"{run.dir} has trained an autoencoder of its own: leave "
                "--autoencoder out to go on with it, or choose another --run_dir."
            )
        if start is None and initialize is not None:
            initialize(model)
            if is_trained:
                run.writer(joint).save_once(model, self.steps, is_borrowed=True)
                return self.steps, True
        return start or 0, borrowed

    def datasets(
        self, load_dataset: Callable[..., ImageDataset]
    ) -> tuple[ImageDataset, ImageDataset]:
        """What is learned from, and what is held out; see `train`."""
        training = load_dataset(split="train")
        if self.validation_share:
            return training.split(self.validation_share, self.seed)
        return training, load_dataset(split="test")

    def _rest(self, run, training, joint):
        """The last phase, see `PostHoc`, after the one whose result is `joint`."""
        autoencoder = joint.model
        checkpoints = checkpoints_of(run.dir)[1]
        is_new = not run.workers.chiefs(len(checkpoints.steps()))
        if is_new and self.steps:
            recompute_batch_statistics(autoencoder, training, self.seed)
        # Whether this process has trained before or not.
        keras.utils.set_random_seed(self.seed)
        with autoencoder.distribute_strategy.scope():
            model = self.post_hoc.model(autoencoder)
            optimizers = self._compile(model, at_rest=True)
        came, learns = type(autoencoder.prior), type(model.prior)
        if is_new and learns is not came and run.workers.is_chief:
            print(
                f"At rest a new {learns.__name__} takes the place of the "
                f"{came.__name__}, as PostHoc.prior says.",
                file=sys.stderr,
            )
        held_out = run.held_out if self.validation_share else None
        return learn_at_rest(
            run, self.post_hoc, model, optimizers, training, held_out, joint
        )

    def compiled_model(self, at_rest: bool = False) -> GroupedModel:
        """As `make_model`, in the strategy's scope, and with optimizers."""
        scope = create_strategy(self.strategy)
        replicas = scope.num_replicas_in_sync
        owner, size = "train", self.batch_size
        if at_rest:
            owner, size = "PostHoc", self.post_hoc.batch_size
        if size % replicas:
            smaller = size // replicas * replicas
            nearest = [n for n in (smaller, smaller + replicas) if n > 0]
            raise UserError(
                f"{owner}.batch_size = {size} does not divide by the {replicas} "
                f"replicas: choose {' or '.join(map(str, nearest))}."
            )
        keras.utils.set_random_seed(self.seed)
        with scope.scope():
            model = self.make_model(at_rest)
            self._compile(model, at_rest)
        return model

    def _compile(self, model, at_rest):
        """Compiles the model; returns the makers of its optimizers, by group."""
        makers = dict(self.optimizers)
        if at_rest and self.post_hoc.optimizer is not None:
            makers["prior"] = self.post_hoc.optimizer
        groups, clip_norm = model.variable_groups(), self.clip_norm
        if isinstance(clip_norm, dict):
            # Names of optimizers are names of groups, which the model may lack.
            clip_norm = {
                name: norm
                for name, norm in clip_norm.items()
                if name in groups or name not in makers
            }
        model.compile(
            {name: make() for name, make in makers.items() if groups.get(name)},
            clip_norm,
            self.jit_compile,
            self.precision,
            self.accumulation,
        )
        return makers


def _roll_back(run_dir, error, number):
    """Records that the training goes back to its last checkpoint, and says so."""
    newest = [checkpoints.newest() for checkpoints in checkpoints_of(run_dir)]
    checkpoint = max(step or 0 for step in newest)
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

"""Trains a model in a run_dir, from the start or from its last checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import tensorflow as tf

from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.files import write_text
from tfp_priors.models import LatentVariableModel
from tfp_priors.training import callbacks
from tfp_priors.training.checkpoints import Checkpoints
from tfp_priors.training.run_dir import RunLock
from tfp_priors.training.run_dir import record_environment
from tfp_priors.training.run_dir import visible_devices
from tfp_priors.training.strategy import create_strategy

_HELD_OUT_IMAGES = 512


class TrainingResult(NamedTuple):
    """The trained model, and how far the training came.

    Attributes:
      model: the model.
      start_step: the step of the checkpoint that it started from, or 0.
      step: steps done in all.
    """

    model: LatentVariableModel
    start_step: int
    step: int


def train(
    run_dir: str | Path,
    load_dataset: Callable[..., ImageDataset],
    model: Callable[..., LatentVariableModel],
    optimizer: Callable[[], keras.optimizers.Optimizer],
    prior_optimizer: Callable[[], keras.optimizers.Optimizer],
    steps: int,
    batch_size: int = 64,
    clip_norm: float | None = None,
    seed: int = 0,
    strategy: str = "auto",
    jit_compile: bool | str = "auto",
    scalars_every: int = 100,
    images_every: int = 1000,
    checkpoint_every: int = 1000,
    records: Callable[[], dict[str, str]] = dict,
) -> TrainingResult:
    """Trains until `steps` steps are done; resumes if run_dir has a checkpoint.

    On one device, a resumed run takes the same steps as an uninterrupted one.

    Args:
      run_dir: receives checkpoints, TensorBoard events, samples and the environment.
      load_dataset: called with split="train" and split="test".
      model: called with seed=seed in the strategy's scope.
      optimizer: makes the autoencoder's optimizer.
      prior_optimizer: makes the prior's optimizer.
      steps: total number of steps.
      batch_size: images per step over all replicas.
      clip_norm: largest gradient norm of each variable group, or None.
      seed: of initial weights, order of images and noise.
      strategy: see `create_strategy`.
      jit_compile: see `LatentVariableModel.compile`.
      scalars_every: steps between TensorBoard scalars.
      images_every: steps between pictures and latent statistics.
      checkpoint_every: steps between checkpoints.
      records: called once all parts exist; returns texts by file name, which are
        written to run_dir and shown in TensorBoard.

    Raises:
      UserError: if the parts do not fit, or another process uses run_dir.
      NonFiniteError: if a term is not finite; the last checkpoint is still good.
    """
    for name, value in {
        "steps": steps,
        "scalars_every": scalars_every,
        "images_every": images_every,
        "checkpoint_every": checkpoint_every,
    }.items():
        if value < 1:
            raise UserError(f"train.{name} must be at least 1, received {value}.")
    with RunLock(run_dir):
        scope = create_strategy(strategy)
        replicas = scope.num_replicas_in_sync
        if batch_size % replicas:
            raise UserError(
                f"train.batch_size = {batch_size} does not divide by the {replicas} "
                "replicas."
            )
        keras.utils.set_random_seed(seed)
        with scope.scope():
            built = model(seed=seed)
            built.compile(
                optimizer=optimizer(),
                prior_optimizer=prior_optimizer(),
                clip_norm=clip_norm,
                jit_compile=jit_compile,
            )
        training, held_out = (load_dataset(split=split) for split in ("train", "test"))
        _check_shapes(training, built)
        checkpoints = Checkpoints(Path(run_dir) / "checkpoints")
        start_step = checkpoints.restore(built)
        if start_step >= steps:
            return TrainingResult(built, start_step, start_step)
        batches = training.training_batches(batch_size, seed, start_step)
        images = held_out.take(_HELD_OUT_IMAGES)["image"]
        texts = records()
        for name, text in texts.items():
            write_text(Path(run_dir) / name, text)
        record_environment(run_dir, seed, visible_devices())
        writer = callbacks.CheckpointWriter(checkpoints, checkpoint_every, start_step)
        with callbacks.stop_on_signal(built):
            built.fit(
                _without_sharding(batches),
                steps_per_epoch=steps - start_step,
                shuffle=False,
                verbose=0,
                callbacks=[
                    callbacks.NonFiniteGuard(images, start_step),
                    callbacks.Progress(steps, batch_size, start_step, scalars_every),
                    callbacks.Summaries(
                        run_dir, images, scalars_every, images_every, texts, start_step
                    ),
                    writer,
                ],
            )
        return TrainingResult(built, start_step, writer.step)


def _check_shapes(dataset, model):
    if dataset.image_shape != model.image_shape:
        raise UserError(
            f"The data has images of shape {dataset.image_shape}, the networks expect "
            f"{model.image_shape}: set IMAGE_SHAPE = {dataset.image_shape}."
        )


def _without_sharding(dataset):
    # One process reads all the data; each replica gets its share of every batch.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return dataset.with_options(options)

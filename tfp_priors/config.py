"""Runs by configuration: trained, resumed and read back.

Only commands, benchmarks and tests import it; the library works without gin.
"""

import functools
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras

import gin
from tfp_priors import configuration
from tfp_priors import data
from tfp_priors import models
from tfp_priors import networks
from tfp_priors import remote
from tfp_priors import training
from tfp_priors.configuration import parse
from tfp_priors.core.rows import warn_of_few
from tfp_priors.core.rows import warn_of_idle
from tfp_priors.data.datasets import CODES
from tfp_priors.errors import UserError
from tfp_priors.runs.run_dir import CONFIG
from tfp_priors.runs.run_dir import OPERATIVE_CONFIG
from tfp_priors.runs.run_dir import bindings
from tfp_priors.runs.run_dir import check_format
from tfp_priors.runs.run_dir import environments

# Whatever the user's keras.json says: the commands' networks are made for these.
keras.config.set_image_data_format("channels_last")
keras.config.set_dtype_policy("float32")
keras.config.set_floatx("float32")


# May differ between a run and its resumption.
_RESUMABLE = (
    "train.steps",
    "STEPS",
    "load_dataset.memory_limit",
    "train.strategy",
    "train.scalars_every",
    "train.images_every",
    "train.checkpoint_every",
    "train.on_nonfinite",
    "EarlyStopping.patience",
    "EarlyStopping.start",
    "PostHoc.steps",
    "PRIOR_STEPS",
    "VGG19Features.weights",
)

_load_dataset = configuration.load_dataset
_Trainer = configuration.Trainer


def train(
    run_dir: str | Path,
    gin_files: Sequence[str],
    gin_params: Sequence[str] = (),
    data_dir: str | None = None,
    autoencoder: str | Path | None = None,
    perceptual_classifier: str | Path | None = None,
    given: Sequence[str] = (),
) -> training.TrainingResult:
    """Trains what a configuration describes, in run_dir; resumes a run of its own.

    Args:
      run_dir: folder of the run.
      gin_files: see `parse`.
      gin_params: see `parse`.
      data_dir: folder of prepared data, or None.
      autoencoder: folder of a run whose encoder, posterior, decoder and likelihood
        this one starts from, or None. If the configuration has a `train.post_hoc`,
        they are at rest from the start.
      perceptual_classifier: folder of a classifier's run, whose body the perceptual
        loss's `ConvActivations` take over, or None.
      given: see `parse`.

    Raises:
      UserError: as `parse` and `Trainer.train`; if run_dir holds a run of a newer
        release, or of another configuration, whose differing bindings are named; and
        if the parts of `autoencoder` or `perceptual_classifier` are others, or one is
        missing.
    """
    config = parse(gin_files, gin_params, given)
    run_dir = Path(run_dir)
    check_format(run_dir)
    _check_same_config(run_dir, config)
    # Several workers must meet before TensorFlow runs an operation on any.
    training.create_strategy(_Trainer().strategy)
    begun = any(kept.steps() for kept in training.checkpoints_of(run_dir))
    if begun and autoencoder is not None:
        _check_same_autoencoder(run_dir, autoencoder)
    if not begun:
        initialize = _initializer(autoencoder, perceptual_classifier)
        parse(gin_files, gin_params, given, strict=False)

    def records():
        operative = gin.operative_config_str()
        return {CONFIG: config, OPERATIVE_CONFIG: operative}

    with configuration.refused_values():
        trained = _Trainer()
        is_trained = trained.post_hoc is not None and autoencoder is not None

        def initialized(model):
            _tell_idle_optimizers(model, trained.post_hoc, is_trained)
            initialize(model)

        return trained.train(
            run_dir=run_dir,
            load_dataset=functools.partial(_load_dataset, data_dir=data_dir),
            records=records,
            initialize=None if begun else initialized,
            is_trained=is_trained,
        )


def fit_prior(
    run_dir: str | Path,
    gin_files: Sequence[str],
    gin_params: Sequence[str],
    codes: str | Path,
    context: str | Path | None = None,
) -> training.TrainingResult:
    """Fits the prior of a configuration to codes of files; resumes a run of its own.

    Args:
      run_dir: folder of the run.
      gin_files: see `parse`; such as gin/priors/flow_matching.gin.
      gin_params: see `parse`.
      codes: see `data.open_array`.
      context: of each code, or None.

    Raises:
      UserError: as `train`, and if the codes are none that can be learned from.
    """
    codes, context = (path and _where(path) for path in (codes, context))
    dataset = data.load_codes(codes, context)
    shape = dataset.image_shape
    warn_of_few(dataset.size, math.prod(shape))
    if dataset.context is not None:
        warn_of_idle(dataset.context)
    given = [
        f"load_dataset.codes = {str(codes)!r}",
        f"load_dataset.context = {str(context)!r}" if context else "",
        f"load_dataset.fingerprint = {dataset.fingerprint!r}",
        f"LATENT_SIZE = {math.prod(shape)}",
        f"CODE_SHAPE = {tuple(shape)}" if len(shape) > 1 else "",
        "" if context is None else f"CONTEXT_SIZE = {dataset.context.shape[1]}",
    ]
    params = [*filter(None, given), *gin_params]
    # Files that set PRIOR_STEPS have no use for it.
    size = [f"CODES = {dataset.size}"]
    # The training reads them anew.
    del dataset
    parse(gin_files, params, size, strict=False)
    if gin.query_parameter("load_dataset.name") != CODES:
        raise UserError(
            "Expected files of priors of codes, such as gin/priors/flow.gin, received "
            f"{', '.join(gin_files)}: bin/train takes those of images."
        )
    return train(run_dir, gin_files, params, given=size)


def trainer() -> training.Trainer:
    """The trainer that the current configuration describes; see `parse`."""
    return _Trainer()


def _tell_idle_optimizers(model, post_hoc, is_trained):
    """Says what the command line sets of optimizers that nothing learns by."""
    groups = {name for name, group in model.variable_groups().items() if group}
    if is_trained:
        groups -= {"autoencoder", "prior"}
    if post_hoc is not None and post_hoc.optimizer is None:
        groups.add("prior")
    for line in configuration.of_idle_optimizers(groups):
        print(line, file=sys.stderr)


def _initializer(autoencoder, perceptual_classifier):
    """A function that gives a model the weights that come from other runs."""
    parts = network = None
    if autoencoder is not None:
        parts = load_run(autoencoder, kind=models.LatentVariableModel).model.autoencoder
    if perceptual_classifier is not None:
        network = load_run(perceptual_classifier, kind=models.Classifier).model.network

    def initialize(model):
        perceptual = [
            layer.network
            for layer in model.networks()
            if isinstance(layer, networks.ConvActivations)
        ]
        if network is not None:
            if not perceptual:
                raise UserError(
                    "The configuration has no ConvActivations that could take over the "
                    "body of --perceptual_classifier: leave the flag out, or add "
                    "--gin_file=gin/perceptual/classifier.gin."
                )
            for layer in perceptual:
                _copy(network, layer, "body", perceptual_classifier)
        elif perceptual and parts is None:
            raise UserError(
                "The perceptual loss compares images by the body of a classifier: pass "
                "--perceptual_classifier=RUN, a run of gin/DATASET_classifier.gin."
            )
        if parts is not None:
            if not isinstance(model, models.LatentVariableModel):
                raise UserError(
                    f"A {type(model).__name__} has no autoencoder that --autoencoder "
                    "could give weights to: leave the flag out."
                )
            for name, part in model.autoencoder.items():
                _copy(parts[name], part, name, autoencoder)

    return initialize


def _copy(source, target, name, run_dir):
    """Copies a layer's weights."""
    if [v.shape for v in source.weights] != [v.shape for v in target.weights]:
        raise UserError(
            f"The {name} of the run {run_dir} has other weights than that of this "
            "configuration: use the settings it was trained with."
        )
    for old, new in zip(source.weights, target.weights, strict=True):
        new.assign(old)


class Run(NamedTuple):
    """A run read back.

    Attributes:
      model: with the weights of the newest good checkpoint.
      load_dataset: maps a split's name to the run's `ImageDataset`; "learned" and
        "held_out" are the training images that the run learned from, and the others.
      dataset: the name of its data set.
      step: of the checkpoint.
      identity: the checksum of the weights.
    """

    model: models.GroupedModel
    load_dataset: Callable[[str], data.ImageDataset]
    dataset: str
    step: int
    identity: str


def load_run(
    run_dir: str | Path,
    data_dir: str | None = None,
    kind: type[models.GroupedModel] = models.PriorModel,
) -> Run:
    """Builds the model of a run and loads its newest good checkpoint.

    Args:
      run_dir: folder of the run.
      data_dir: folder of prepared data, or None.
      kind: class that the model must have.

    Raises:
      UserError: if run_dir has no configuration or no checkpoint, a newer release has
        written it, or its model is of another kind.
    """
    path = Path(run_dir) / CONFIG
    if not path.is_file():
        raise UserError(
            f"{run_dir} is not a run: it has no {CONFIG}. Expected a --run_dir "
            "of bin/train or bin/fit_prior."
        )
    check_format(run_dir)
    # They are in the checkpoint.
    parse([str(path)], ["VGG19Features.weights = None"], strict=False)
    joint, rest = training.checkpoints_of(run_dir)
    with configuration.refused_values():
        trained = _Trainer()
        at_rest = trained.post_hoc is not None and bool(rest.steps())
        model = trained.make_model(at_rest)
    if not isinstance(model, kind):
        raise UserError(
            f"{run_dir} is a run of a {type(model).__name__}: expected one of a "
            f"{kind.__name__}."
        )
    checkpoints = rest if at_rest else joint
    step = checkpoints.restore_best(model)
    if step is None:
        raise UserError(f"{run_dir} has no checkpoint yet: train it for longer.")
    dataset, load = _dataset_of_config(data_dir)

    def load_split(split):
        if split not in ("learned", "held_out"):
            return load(split=split)
        if not trained.validation_share:
            raise UserError(
                f"{run_dir} held no training images out, since its "
                "train.validation_share is 0: take another split."
            )
        learned, held_out = trained.datasets(load)
        if dataset != CODES:
            training.told_pictures(run_dir, learned)
        return held_out if split == "held_out" else learned

    return Run(model, load_split, dataset, step, checkpoints.checksum(step))


def dataset_of(
    gin_file: str, gin_params: Sequence[str] = (), data_dir: str | None = None
) -> tuple[str, Callable[[str], data.ImageDataset]]:
    """The name and the loader of the data set that a gin file describes.

    Raises:
      UserError: as `parse`.
    """
    parse([gin_file], gin_params, used=["load_dataset"])
    return _dataset_of_config(data_dir)


def _dataset_of_config(data_dir):
    """The name and the loader of the current configuration's data set."""
    bindings = dict(gin.get_bindings("load_dataset"))

    def load(split):
        if split == "held_out":
            raise UserError(
                "Only a run holds images out, so that held_out is measured with "
                "--run_dir: take another split."
            )
        # With today's bindings: another configuration may be parsed before the call.
        return data.load_dataset(**(bindings | {"split": split, "data_dir": data_dir}))

    return bindings["name"], functools.cache(load)


def _check_same_autoencoder(run_dir, autoencoder):
    """Raises: UserError: if bin/train has begun a run with another one, or none."""
    starts = environments(run_dir)
    command = starts[0]["command"] if starts else [""]
    if Path(command[0]).name != "train":
        return
    flag = "autoencoder"
    given = [
        value or following
        for one, following in zip(command, [*command[1:], ""], strict=True)
        for name, _, value in [one.lstrip("-").partition("=")]
        if one.startswith("-") and name == flag
    ]
    if [_where(path) for path in given[-1:]] != [_where(remote.named(autoencoder))]:
        how = f"--{flag}={given[-1]}" if given else f"no --{flag}"
        raise UserError(
            f"{run_dir} was begun with {how}: leave --{flag} out to go on with it, or "
            "choose another --run_dir."
        )


def _where(path):
    """A path as all who name it name it."""
    if remote.is_remote(path):
        return path
    # Path.resolve raises at a link to itself.
    return Path(os.path.realpath(os.path.expanduser(path)))


def _check_same_config(run_dir, config):
    path = run_dir / CONFIG
    if not path.is_file():
        return
    old, new = bindings(path.read_text(encoding="utf-8")), bindings(config)
    owners = configuration.used_owners()
    differing = [
        f"{name} ({old.get(name, 'unset')} there, {new.get(name, 'unset')} here)"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name) and name not in _RESUMABLE
        # Of what has no effect, a run may have kept something else.
        if {name, name.rpartition(".")[0]} & owners
    ]
    if differing:
        raise UserError(
            f"{run_dir} holds a run of another configuration; these differ: "
            f"{', '.join(differing)}. Choose another --run_dir."
        )

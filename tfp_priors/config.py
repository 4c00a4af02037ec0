"""Gin: the names that configurations may use, strict loading, and runs by config.

Only `bin/` and the tests import this module; the library works without gin.
"""

import contextlib
import difflib
import functools
import inspect
import os
import re
import sys
import tokenize
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
from absl import logging

import gin
from tfp_priors import data
from tfp_priors import divergences
from tfp_priors import likelihoods
from tfp_priors import models
from tfp_priors import networks
from tfp_priors import posteriors
from tfp_priors import priors
from tfp_priors import regularizers
from tfp_priors import training
from tfp_priors.errors import UserError
from tfp_priors.run_dir import bindings
from tfp_priors.run_dir import check_format

_CONFIG_FILE = "config.gin"
_OPERATIVE_CONFIG_FILE = "operative_config.gin"

# May differ between a run and its resumption: they do not change the steps taken.
_RESUMABLE = (
    "train.steps",
    "load_dataset.memory_limit",
    "train.strategy",
    "train.scalars_every",
    "train.images_every",
    "train.checkpoint_every",
    "train.on_nonfinite",
    "PostHoc.steps",
    "VGG19Features.weights",
)

# First names of the modules that gin files may import: an import runs code.
_IMPORTABLE = ("tfp_priors", "keras")
_any_import_allowed = False


def _parameters(configurable) -> dict[str, inspect.Parameter]:
    """The named parameters, so that gin refuses others despite **kwargs."""
    signature = inspect.signature(configurable)
    return {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }


def _register(configurable, name=None):
    return gin.external_configurable(
        configurable,
        name=name,
        module="tfp_priors",
        allowlist=list(_parameters(configurable)),
    )


_CONFIGURABLES = {
    part.__name__: part
    for part in (
        divergences.AdversarialDivergence,
        divergences.GaussianKernel,
        divergences.HingeLoss,
        divergences.InverseMultiquadricKernel,
        divergences.KLDivergence,
        divergences.MMDDivergence,
        divergences.NonSaturatingLoss,
        divergences.WassersteinLoss,
        training.Adam,
        keras.optimizers.schedules.CosineDecay,
        keras.optimizers.schedules.PolynomialDecay,
        likelihoods.BernoulliLikelihood,
        likelihoods.NormalLikelihood,
        likelihoods.PerceptualLikelihood,
        models.Classifier,
        models.KeypointRegressor,
        models.LatentVariableModel,
        models.ProgressiveGAN,
        networks.AppearanceEncoder,
        networks.ConvActivations,
        networks.ConvFeatures,
        networks.InfoGANDecoder,
        networks.InfoGANEncoder,
        networks.MLP,
        networks.PoseContext,
        networks.ProgressiveDiscriminator,
        networks.ProgressiveGenerator,
        networks.ResidualDecoder,
        networks.ResidualEncoder,
        networks.UNetDecoder,
        networks.VGG19Features,
        posteriors.DeterministicPosterior,
        posteriors.FixedScaleNormalPosterior,
        posteriors.InverseAutoregressivePosterior,
        posteriors.NormalPosterior,
        priors.GaussianMixturePrior,
        priors.GeneratorPrior,
        priors.InverseAutoregressivePrior,
        priors.MaskedAutoregressivePrior,
        priors.RealNVPPrior,
        priors.SecondStageVAEPrior,
        priors.SplinePrior,
        priors.StandardNormalPrior,
        priors.UNetPrior,
        priors.VampPrior,
        regularizers.CodeNorm,
        regularizers.DecoderGradient,
        regularizers.DecoderWeights,
        regularizers.LatentReconstruction,
        training.CyclicalAnnealing,
        training.LinearAnnealing,
        training.PostHoc,
    )
}
for _part in _CONFIGURABLES.values():
    _register(_part)
_load_dataset = _register(data.load_dataset)
_Trainer = _register(training.Trainer, "train")
_CONFIGURABLES |= {"load_dataset": data.load_dataset, "train": training.Trainer}
# What the command line or the code gives.
_GIVEN = {"load_dataset": ("data_dir", "split")}


def allow_imports(allowed: bool = True) -> None:
    """Whether gin files may import any module from now on, and so run any code.

    If not, which is the default, they may import those of tfp_priors and Keras only.
    """
    global _any_import_allowed
    _any_import_allowed = allowed


def parse(gin_files: Sequence[str], gin_params: Sequence[str] = ()) -> str:
    """Replaces the current configuration.

    Args:
      gin_files: paths; an `include` is looked up beside the including file.
      gin_params: bindings that override the files', such as "train.steps = 100".

    Returns:
      The configuration as text, without includes.

    Raises:
      UserError: if a file, a name or a required value is missing, or a file imports a
        module that it may not; see `allow_imports`.
    """
    _read_config(gin_files, gin_params)
    _check_complete(["train", "load_dataset"])
    _check_dataset()
    return gin.config_str()


def _read_config(gin_files, gin_params):
    gin.clear_config()
    # Else an include is also looked up beside the files of earlier calls.
    gin.config._LOCATION_PREFIXES[:] = [""]
    for path in gin_files:
        if not Path(path).is_file():
            raise UserError(f"There is no gin file {path}.{_nearest_file(path)}")
        gin.add_config_file_search_path(str(Path(path).parent))
    with _limited_imports():
        for path in gin_files:
            with _explained(path):
                gin.parse_config_file(path)
        for binding in gin_params:
            with _explained(f"{binding!r}"):
                gin.parse_config(binding)


@contextlib.contextmanager
def _limited_imports() -> Iterator[None]:
    """Within it gin refuses imports that are not allowed, before it does them."""
    if _any_import_allowed:
        yield
        return
    process, readers = gin.config.ParseContext.process_import, gin.config._FILE_READERS

    def checked(self, statement):
        # "__gin__", which makes every function of a module usable, is none of them.
        if statement.module.split(".")[0] not in _IMPORTABLE:
            raise ImportError(
                f"the import of {statement.module} is refused, since it runs code: "
                f"expected a module of {' or '.join(_IMPORTABLE)}; if you trust the "
                "file, pass --allow_gin_imports."
            )
        process(self, statement)

    gin.config.ParseContext.process_import = checked
    # Gin's other readers import a/__init__.py in search of an include 'a/b/c.gin'.
    gin.config._FILE_READERS = [(open, os.path.isfile)]
    try:
        yield
    finally:
        gin.config.ParseContext.process_import = process
        gin.config._FILE_READERS = readers


def _check_dataset():
    """Raises: UserError: if TFDS would fetch the data set's code from elsewhere."""
    name = gin.get_bindings("load_dataset")["name"]
    if ":" in str(name) and not _any_import_allowed:
        raise UserError(
            f"load_dataset.name = {name!r} is refused, since TFDS downloads and runs "
            "the code of its community's data sets: expected a name without ':'; if "
            "you trust it, pass --allow_gin_imports."
        )


def _check_complete(selectors):
    """Raises: UserError: if what they refer to lacks a value."""
    missing = [name for selector in selectors for name in _missing_values(selector)]
    if missing:
        raise UserError(
            f"No value for {', '.join(dict.fromkeys(missing))}: set it in a gin file, "
            f'or with --gin_param="{missing[0]} = ..."; gin/*.gin are complete '
            "examples."
        )


def train(
    run_dir: str | Path,
    gin_files: Sequence[str],
    gin_params: Sequence[str] = (),
    data_dir: str | None = None,
    autoencoder: str | Path | None = None,
    perceptual_classifier: str | Path | None = None,
) -> training.TrainingResult:
    """Trains what a configuration describes, in run_dir; resumes a run of its own.

    If the configuration has a `train.post_hoc`, its autoencoder is trained first, in
    run_dir/autoencoder, unless another run's is given.

    Args:
      run_dir: folder of the run.
      gin_files: see `parse`.
      gin_params: see `parse`.
      data_dir: folder of prepared data, or None.
      autoencoder: folder of a run whose encoder, posterior, decoder and likelihood
        this one starts from, or None.
      perceptual_classifier: folder of a classifier's run, whose body the perceptual
        loss's `ConvActivations` take over, or None.

    Raises:
      UserError: as `parse` and `Trainer.train`; if run_dir holds a run of a newer
        release, or of another configuration, whose differing bindings are named; and
        if the parts of `autoencoder` or `perceptual_classifier` are others, or one is
        missing.
    """
    config = parse(gin_files, gin_params)
    run_dir = Path(run_dir)
    check_format(run_dir)
    _check_same_config(run_dir, config)
    # Several workers must meet before TensorFlow runs an operation on any.
    training.create_strategy(_Trainer().strategy)
    begun = bool(training.Checkpoints(run_dir / "checkpoints").steps())
    if _is_post_hoc() and autoencoder is None and not begun:
        first = _train_first(
            run_dir, gin_files, gin_params, data_dir, perceptual_classifier
        )
        if not first.finished:
            return first
        autoencoder = run_dir / "autoencoder"
    initialize = None
    if not begun:
        initialize = _initializer(autoencoder, perceptual_classifier)
        parse(gin_files, gin_params)

    def records():
        operative = gin.operative_config_str()
        return {_CONFIG_FILE: config, _OPERATIVE_CONFIG_FILE: operative}

    with _refused_values():
        return _Trainer().train(
            run_dir=run_dir,
            load_dataset=functools.partial(_load_dataset, data_dir=data_dir),
            records=records,
            initialize=initialize,
        )


def _train_first(run_dir, gin_files, gin_params, data_dir, perceptual_classifier):
    """Trains the autoencoder whose prior comes post hoc, in run_dir/autoencoder."""
    folder = run_dir / "autoencoder"
    print(f"The autoencoder first, in {folder}:", file=sys.stderr)
    try:
        first = train(
            folder,
            gin_files,
            [*gin_params, "train.post_hoc = None"],
            data_dir,
            perceptual_classifier=perceptual_classifier,
        )
    except UserError:
        with contextlib.suppress(OSError):
            run_dir.rmdir()
        raise
    if first.finished:
        print(f"Its prior, in {run_dir}:", file=sys.stderr)
    return first


def trainer() -> training.Trainer:
    """The trainer that the current configuration describes; see `parse`."""
    return _Trainer()


def _is_post_hoc():
    bindings = gin.get_bindings("train", resolve_references=False)
    return bindings.get("post_hoc") is not None


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
                    "--gin_file=gin/likelihoods/classifier.gin."
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
      load_dataset: maps a split's name to the run's `ImageDataset`.
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
    kind: type[models.GroupedModel] = models.GenerativeModel,
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
    path = Path(run_dir) / _CONFIG_FILE
    if not path.is_file():
        raise UserError(
            f"{run_dir} is not a run: it has no {_CONFIG_FILE}. Expected a --run_dir "
            "of bin/train."
        )
    check_format(run_dir)
    # They are in the checkpoint.
    parse([str(path)], ["VGG19Features.weights = None"])
    with _refused_values():
        model = _Trainer().make_model()
    if not isinstance(model, kind):
        raise UserError(
            f"{run_dir} is a run of a {type(model).__name__}: expected one of a "
            f"{kind.__name__}."
        )
    checkpoints = training.Checkpoints(Path(run_dir) / "checkpoints")
    step = checkpoints.restore(model)
    if not step:
        raise UserError(f"{run_dir} has no checkpoint yet: train it for longer.")
    dataset, load = _dataset_of_config(data_dir)
    return Run(model, load, dataset, step, checkpoints.checksum(step))


def dataset_of(
    gin_file: str, gin_params: Sequence[str] = (), data_dir: str | None = None
) -> tuple[str, Callable[[str], data.ImageDataset]]:
    """The name and the loader of the data set that a gin file describes.

    Raises:
      UserError: as `parse`.
    """
    _read_config([gin_file], gin_params)
    _check_complete(["load_dataset"])
    _check_dataset()
    return _dataset_of_config(data_dir)


def _dataset_of_config(data_dir):
    """The name and the loader of the current configuration's data set."""
    bindings = dict(gin.get_bindings("load_dataset"))

    def load(split):
        # With today's bindings: another configuration may be parsed before the call.
        return data.load_dataset(**(bindings | {"split": split, "data_dir": data_dir}))

    return bindings["name"], load


def _check_same_config(run_dir, config):
    path = run_dir / _CONFIG_FILE
    if not path.is_file():
        return
    old, new = bindings(path.read_text(encoding="utf-8")), bindings(config)
    differing = [
        f"{name} ({old.get(name, 'unset')} there, {new.get(name, 'unset')} here)"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name) and name not in _RESUMABLE
    ]
    if differing:
        raise UserError(
            f"{run_dir} holds a run of another configuration; these differ: "
            f"{', '.join(differing)}. Choose another --run_dir."
        )


def _unbound(name: str, bindings) -> list[str]:
    """Required parameters of a configurable that have no binding."""
    parameters = _parameters(_CONFIGURABLES[name])
    return [
        parameter
        for parameter, value in parameters.items()
        if value.default is value.empty
        and parameter not in bindings
        and parameter not in _GIVEN.get(name, ())
    ]


def _missing_values(selector: str, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Walks the references from a configurable to what they leave without value.

    Raises:
      UserError: if a value on the way has another type than its parameter, or refers
        to what it is a part of.
    """
    if selector in above:
        raise UserError(f"{selector} refers to itself: {' -> '.join(above)}.")
    *scopes, name = selector.split("/")
    name = name.rsplit(".", 1)[-1]
    bindings = {}
    for scope in ("", *("/".join(scopes[: i + 1]) + "/" for i in range(len(scopes)))):
        bindings |= gin.get_bindings(scope + name, resolve_references=False)
    for reference in _references(list(bindings.values())):
        yield from _missing_values(reference, (*above, selector))
    if name == "macro":
        if not bindings:
            yield "/".join(scopes)
    elif name == "singleton":
        if not bindings:
            yield f"{selector}.constructor"
    elif name in _CONFIGURABLES:
        for parameter in _unbound(name, bindings):
            yield f"{selector}.{parameter}"
        parameters = _parameters(_CONFIGURABLES[name])
        for parameter, value in bindings.items():
            # Gin takes any name for what has **kwargs and no parameters.
            if parameter not in parameters:
                raise UserError(f"{selector} has no parameter {parameter!r}.")
            annotation = parameters[parameter].annotation
            if not _is_of_type(value, annotation):
                # Without the modules: collections.abc.Sequence[int].
                expected = inspect.formatannotation(annotation)
                expected = re.sub(r"\b(\w+\.)+(?=\w)", "", expected)
                raise UserError(
                    f"{selector}.{parameter} = {value!r}: expected {expected}."
                )


def _is_of_type(value, annotation) -> bool:
    """Whether a binding's value fits the annotation of its parameter."""
    kind = typing.get_origin(annotation) or annotation
    inner = typing.get_args(annotation)
    if kind is inspect.Parameter.empty:
        return True
    if kind is types.UnionType:
        return any(_is_of_type(value, one) for one in inner)
    if isinstance(value, gin.config.ConfigurableReference):
        made = value.configurable.wrapped
        if made is gin.config.macro:
            bindings = gin.get_bindings(value.scoped_selector, resolve_references=False)
            # One without a value is found as such.
            return not bindings or _is_of_type(bindings["value"], annotation)
        if kind is Callable or made not in _CONFIGURABLES.values():
            return True
        return value.evaluate and inspect.isclass(made) and issubclass(made, kind)
    if kind is Sequence:
        return isinstance(value, (list, tuple)) and all(
            _is_of_type(item, *inner) for item in value
        )
    if kind is dict:
        return isinstance(value, dict) and all(
            _is_of_type(item, one)
            for pair in value.items()
            for item, one in zip(pair, inner, strict=True)
        )
    if kind in (int, float):
        numbers = (int, float) if kind is float else int
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, type(None) if kind is None else kind)


def _references(value) -> Iterator[str]:
    """The selectors of gin's references in a value, lists and dicts included."""
    if isinstance(value, gin.config.ConfigurableReference):
        yield value.scoped_selector
    elif isinstance(value, dict):
        yield from _references(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _references(item)


# What gin raises for a text that it cannot read.
_GIN_ERRORS = (
    ValueError,
    SyntaxError,
    OSError,
    TypeError,
    ImportError,
    tokenize.TokenError,
)


@contextlib.contextmanager
def _explained(source: str) -> Iterator[None]:
    """Turns gin's errors into one line with the source and the nearest known name."""
    verbosity = logging.get_verbosity()
    # Gin logs an error for each place where it looks for an included file.
    logging.set_verbosity(logging.FATAL)
    try:
        yield
    except RecursionError as error:
        raise UserError(f"In {source}: brackets or includes without end.") from error
    except _GIN_ERRORS as error:
        message = " ".join(str(error).split())
        parameter = re.search(r"'([\w./]+)' doesn't .*(?:named|kwarg) '(\w+)'", message)
        unknown = re.search(r"No configurable matching .*?'@?([\w./]+)", message)
        if parameter:
            owner, name = parameter.group(1).rsplit(".", 1)[-1], parameter.group(2)
            known = _parameters(_CONFIGURABLES.get(owner, gin.config.macro))
            message = f"{owner} has no parameter {name!r}."
        elif unknown:
            name, known = unknown.group(1).rsplit("/", 1)[-1], _CONFIGURABLES
            message = f"There is no configurable {name!r}."
        else:
            name, known = "", ()
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise UserError(f"In {source}: {message}{hint}") from error
    finally:
        logging.set_verbosity(verbosity)


@contextlib.contextmanager
def _refused_values() -> Iterator[None]:
    """Turns Keras's refusal of a configurable's value into one line with its name."""
    try:
        yield
    except UserError:
        raise
    except ValueError as error:
        # Gin adds where the error comes from, the innermost first.
        found = re.search(r"In call to configurable '(\w+)'", str(error))
        if found is None:
            raise
        message = str(error).splitlines()[0]
        raise UserError(f"A value of {found.group(1)} is wrong: {message}") from error


def _nearest_file(path: str) -> str:
    names = [str(p) for p in Path(path).parent.glob("*.gin")]
    nearest = difflib.get_close_matches(path, names, n=1)
    return f" Did you mean {nearest[0]}?" if nearest else ""

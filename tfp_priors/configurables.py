"""What gin files may say: the names they may use, and their strict reading.

Only `config` and the tests import this module.
"""

import contextlib
import difflib
import inspect
import os
import re
import tokenize
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

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


CONFIGURABLES = {
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
for _part in CONFIGURABLES.values():
    _register(_part)
load_dataset = _register(data.load_dataset)
Trainer = _register(training.Trainer, "train")
CONFIGURABLES |= {"load_dataset": data.load_dataset, "train": training.Trainer}
# What the command line or the code gives.
_GIVEN = {"load_dataset": ("data_dir", "split")}


def allow_imports(allowed: bool = True) -> None:
    """Whether gin files may import any module from now on, and so run any code.

    If not, which is the default, they may import those of tfp_priors and Keras only.
    """
    global _any_import_allowed
    _any_import_allowed = allowed


def parse(
    gin_files: Sequence[str],
    gin_params: Sequence[str] = (),
    used: Sequence[str] = ("train", "load_dataset"),
) -> str:
    """Replaces the current configuration.

    Args:
      gin_files: paths; an `include` is looked up beside the including file.
      gin_params: bindings that override the files', such as "train.steps = 100".
      used: names of the configurables that must be complete, with what they refer to.

    Returns:
      The configuration as text, without includes.

    Raises:
      UserError: if a file, a name or a required value is missing, a value has another
        type than its parameter, or a file imports a module that it may not; see
        `allow_imports`.
    """
    _read(gin_files, gin_params)
    _check_complete(used)
    _check_dataset()
    return gin.config_str()


def _read(gin_files, gin_params):
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
    """Raises: UserError: if what they refer to lacks a value, or has a wrong one."""
    missing = [name for selector in selectors for name in _missing_values(selector)]
    if missing:
        raise UserError(
            f"No value for {', '.join(dict.fromkeys(missing))}: set it in a gin file, "
            f'or with --gin_param="{missing[0]} = ..."; gin/*.gin are complete '
            "examples."
        )


def _unbound(name: str, bindings) -> list[str]:
    """Required parameters of a configurable that have no binding."""
    parameters = _parameters(CONFIGURABLES[name])
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
    elif name in CONFIGURABLES:
        for parameter in _unbound(name, bindings):
            yield f"{selector}.{parameter}"
        parameters = _parameters(CONFIGURABLES[name])
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
        if kind is Callable or made not in CONFIGURABLES.values():
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
            known = _parameters(CONFIGURABLES.get(owner, gin.config.macro))
            message = f"{owner} has no parameter {name!r}."
        elif unknown:
            name, known = unknown.group(1).rsplit("/", 1)[-1], CONFIGURABLES
            message = f"There is no configurable {name!r}."
        else:
            name, known = "", ()
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise UserError(f"In {source}: {message}{hint}") from error
    finally:
        logging.set_verbosity(verbosity)


@contextlib.contextmanager
def refused_values() -> Iterator[None]:
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

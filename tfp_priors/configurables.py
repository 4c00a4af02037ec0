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
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
from absl import logging

import gin
from tfp_priors import data
from tfp_priors import divergences
from tfp_priors import experiments
from tfp_priors import likelihoods
from tfp_priors import models
from tfp_priors import networks
from tfp_priors import posteriors
from tfp_priors import priors
from tfp_priors import regularizers
from tfp_priors import training
from tfp_priors.core.configured import Configured
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


# What these show can be named in gin files.
_ROOMS = (
    priors,
    posteriors,
    likelihoods,
    divergences,
    regularizers,
    networks,
    models,
    training,
)


# Which others extend.
_BASES = (
    models.CodeLearner,
    divergences.Divergence,
    likelihoods.Likelihood,
    models.GenerativeModel,
    models.GroupedModel,
    models.Predictor,
    models.PriorModel,
    posteriors.Posterior,
    priors.FlowPrior,
    priors.Prior,
    regularizers.Regularizer,
)

CONFIGURABLES = {
    part.__name__: part
    for room in _ROOMS
    for part in vars(room).values()
    if inspect.isclass(part) and issubclass(part, Configured) and part not in _BASES
} | {
    part.__name__: part
    for part in (
        data.Views,
        training.Adam,
        training.PostHoc,
        training.share,
        keras.optimizers.schedules.CosineDecay,
        keras.optimizers.schedules.PolynomialDecay,
    )
}
for _part in CONFIGURABLES.values():
    _register(_part)
load_dataset = _register(data.load_dataset)
Trainer = _register(training.Trainer, "train")
CONFIGURABLES |= {"load_dataset": data.load_dataset, "train": training.Trainer}
# What is no gin file's to say, and who says it.
_GIVEN = {"load_dataset": {"data_dir": "--data_dir", "split": "the command"}}


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
    strict: bool = True,
) -> str:
    """Replaces the current configuration.

    A whole float, such as 1e5, is the int that a parameter wants. The macro STEPS is
    the value of train.steps, so that schedules can follow the length of a run. Parts
    that need a latent_size or an image_shape, and are given none, get LATENT_SIZE and
    IMAGE_SHAPE.

    Args:
      gin_files: paths, or names, see `experiments.gin_files`; an `include` is looked up
        beside the including file.
      gin_params: bindings that override the files', such as "train.steps = 100".
      used: names of the configurables that must be complete, with what they refer to.
      strict: whether to refuse what has no effect: any such binding of `gin_params`,
        and of the files a macro that no line reads, a scope that no line names, and
        a binding that others override wherever it would act. The rest of files that
        many configurations include may go unused, as may that of texts of `parse`.

    Returns:
      The configuration as text, without includes.

    Raises:
      UserError: if a file, a name or a required value is missing, a value has another
        type than its parameter, a binding has no effect, or a file imports a module
        that it may not; see `allow_imports`.
    """
    statements = _read(gin_files, gin_params)
    _bind_run_steps(statements)
    _bind_shared(_used_parts())
    parts = _used_parts()
    if strict:
        _check_effects(statements, parts)
    _check_complete([part for name in used for part in _used_parts(name)])
    _check_dataset()
    return gin.config_str()


def used_owners() -> set[str]:
    """What the current configuration uses: all that a binding may begin with.

    Such as "prior/Adam", of whose learning rate a binding acts, and "BETA".
    """
    return {owner for part in _used_parts() for owner in part.owners if owner}


class _Statement(NamedTuple):
    """A binding as it was read.

    Attributes:
      key: scope, selector and parameter; the scope of a macro is its name.
      value: with gin's references.
      source: the file or the text that held it.
      may_rest: whether it may be there for configurations that use more.
      is_checked: whether it must not be a mistake; gin's own texts were read before.
    """

    key: tuple[str, str, str]
    value: Any
    source: str
    may_rest: bool = True
    is_checked: bool = True


# The macro that follows train.steps.
_STEPS = "STEPS"

# What gin writes above the bindings of a configurable.
_WRITTEN = re.compile(r"^# (Macros|Parameters for [\w./]+):\n# =+$", re.MULTILINE)


def _read(gin_files, gin_params) -> list[_Statement]:
    gin.clear_config()
    # Else an include is also looked up beside the files of earlier calls.
    gin.config._LOCATION_PREFIXES[:] = [""]
    gin_files = [
        str(part) for path in gin_files for part in experiments.gin_files(path)
    ]
    for path in gin_files:
        if not Path(path).is_file():
            near = experiments.nearest(path)
            hint = f" Did you mean {near}?" if near else ""
            raise UserError(f"There is no gin file {path}.{hint}")
        gin.add_config_file_search_path(str(Path(path).parent))
    statements = []
    with _limited_imports(), _replaced(gin.config, "parse_config_file", _parse_file):
        for path in gin_files:
            with _explained(path), _recorded() as bound:
                _parse_file(path)
            text = Path(path).read_text(encoding="utf-8", errors="replace")
            is_checked = not _WRITTEN.search(text)
            statements += (_Statement(*b, path, is_checked=is_checked) for b in bound)
        for text in gin_params:
            with _explained(f"{text!r}"), _recorded() as bound:
                includes, _ = gin.parse_config(text)
            statements += (_Statement(*b, repr(text), bool(includes)) for b in bound)
    return statements


def _bind_run_steps(statements):
    """Gives STEPS the value of train.steps, unless this is made of the user's STEPS.

    Raises:
      UserError: if STEPS is bound over it.
    """
    steps = gin.get_bindings("train", resolve_references=False).get("steps")
    last = {_key_name(statement.key): i for i, statement in enumerate(statements)}
    if steps is None or (_STEPS in last and list(_references(steps))):
        return
    if last.get(_STEPS, -1) > last["train.steps"]:
        raise UserError(
            f"In {statements[last[_STEPS]].source}: {_STEPS} has no effect: it stands "
            f"for train.steps, which is {steps}. Set that, or --steps."
        )
    references = [r for s in statements for r in _references(s.value)]
    if any(list(reference.scopes) == [_STEPS] for reference in references):
        gin.bind_parameter(f"{_STEPS}/gin.macro.value", steps)


# Macros that stand for what parts need under these names.
_SHARED = {"latent_size": "LATENT_SIZE", "image_shape": "IMAGE_SHAPE"}


def _bind_shared(parts):
    """Gives the macros of `_SHARED` to the parts that need them and have no value."""
    for part in parts:
        for name, parameter in part.parameters().items():
            needed = name in _SHARED and parameter.default is parameter.empty
            if needed and name not in part.keys:
                gin.parse_config(f"{part.name}.{name} = %{_SHARED[name]}")


def _parse_file(path, *args):
    """Gin's function for files, those included too, which are looked up beside it."""
    path, folders = os.path.expanduser(path), gin.config._LOCATION_PREFIXES
    named = (experiments.gin_files(os.path.join(folder, path)) for folder in folders)
    for file in next((files for files in named if files[0].is_file()), [Path(path)]):
        folders = [str(file.parent), *folders]
        with _replaced(gin.config, "_LOCATION_PREFIXES", folders):
            parsed = gin.parse_config_file(str(file), *args)
    return parsed


@contextlib.contextmanager
def _recorded() -> Iterator[list]:
    """Yields a list that gets all that gin binds, also what it replaces later."""
    bind, bound = gin.bind_parameter, []

    def recording(key, value):
        bind(key, value)
        bound.append((gin.config.ParsedBindingKey.parse(key).scope_selector_arg, value))

    with _replaced(gin.config, "bind_parameter", recording):
        yield bound


@contextlib.contextmanager
def _limited_imports() -> Iterator[None]:
    """Within it gin refuses imports that are not allowed, before it does them."""
    if _any_import_allowed:
        yield
        return
    process = gin.config.ParseContext.process_import

    def checked(self, statement):
        # "__gin__", which makes every function of a module usable, is none of them.
        if statement.module.split(".")[0] not in _IMPORTABLE:
            raise ImportError(
                f"the import of {statement.module} is refused, since it runs code: "
                f"expected a module of {' or '.join(_IMPORTABLE)}; if you trust the "
                "file, pass --allow_gin_imports."
            )
        process(self, statement)

    with (
        _replaced(gin.config.ParseContext, "process_import", checked),
        # Gin's other readers import a/__init__.py in search of an include 'a/b/c.gin'.
        _replaced(gin.config, "_FILE_READERS", [(open, os.path.isfile)]),
    ):
        yield


@contextlib.contextmanager
def _replaced(owner, name, value) -> Iterator[None]:
    """Within it an attribute has another value."""
    old = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, old)


def _check_dataset():
    """Raises: UserError: if TFDS would fetch the data set's code from elsewhere."""
    name = gin.get_bindings("load_dataset")["name"]
    if ":" in str(name) and not _any_import_allowed:
        raise UserError(
            f"load_dataset.name = {name!r} is refused, since TFDS downloads and runs "
            "the code of its community's data sets: expected a name without ':'; if "
            "you trust it, pass --allow_gin_imports."
        )


class _Part(NamedTuple):
    """A configurable where another refers to it.

    Attributes:
      selector: as it is referred to, such as "prior/Adam".
      name: without scopes and modules.
      owners: of the bindings that may act on it, with their scopes.
      keys: of the bindings that act on it, by parameter.
      overridden: by the key of each binding that does not act, that of a narrower
        scope which does.
    """

    selector: str
    name: str
    owners: list[str]
    keys: dict[str, tuple[str, str, str]]
    overridden: dict[tuple[str, str, str], tuple[str, str, str]]

    def value(self, parameter: str) -> Any:
        """What is bound to a parameter."""
        scope, selector, _ = self.keys[parameter]
        return gin.config._CONFIG[scope, selector][parameter]

    def parameters(self) -> dict[str, inspect.Parameter]:
        """Those that it may be given; none of what is not in `CONFIGURABLES`."""
        made = CONFIGURABLES.get(self.name)
        return _parameters(made) if made else {}


def _used_parts(*roots: str) -> list[_Part]:
    """All parts of what is trained and of its data, or of one of both."""
    references = (
        gin.config.ConfigurableReference(root, True)
        for root in roots or ("train", "load_dataset")
    )
    return [part for reference in references for part in _parts(reference)]


def _parts(reference, scopes=(), above=()) -> Iterator[_Part]:
    """What a reference leads to, over others, those first.

    Args:
      reference: a `ConfigurableReference`.
      scopes: open where it stands; those of a reference without any.
      above: what has led to it.

    Raises:
      UserError: if something refers to what it is a part of.
    """
    scopes = tuple(reference.scopes) or scopes
    complete, selector = reference.configurable.selector, reference.scoped_selector
    if (scopes, complete) in dict(above):
        chain = " -> ".join(name for _, name in above)
        raise UserError(f"{selector} refers to itself: {chain}.")
    above = (*above, ((scopes, complete), selector))
    part = _Part(selector, complete.rsplit(".", 1)[-1], [], {}, {})
    for depth in range(len(scopes) + 1):
        scope = "/".join(scopes[:depth])
        part.owners.append(_key_name((scope, complete, "")).rstrip("."))
        for parameter in gin.config._CONFIG.get((scope, complete), ()):
            key = (scope, complete, parameter)
            if parameter in part.keys:
                part.overridden[part.keys[parameter]] = key
            part.keys[parameter] = key
    for inner in _references([part.value(parameter) for parameter in part.keys]):
        yield from _parts(inner, scopes, above)
    yield part


def _check_effects(statements, parts):
    """Raises: UserError: if a binding has no effect, and should have one."""
    acting = {key for part in parts for key in part.keys.values()}
    overridden: dict = {}
    for part in parts:
        for key, narrower in part.overridden.items():
            overridden.setdefault(key, {})[narrower] = None
    # The scopes of a reference to a macro are the macro's name.
    references = [r for s in statements for r in _references(s.value)]
    scopes = {"", *_SHARED.values(), *("/".join(r.scopes) for r in references)}
    first: dict = {}
    for i, statement in enumerate(statements):
        first.setdefault(statement.key, i)
    for i, (key, _, source, may_rest, is_checked) in enumerate(statements):
        scope, selector, parameter = key
        narrower = overridden.get(key, {})
        # What narrower scopes override from a later line on may stay.
        is_late = narrower and all(first[other] < i for other in narrower)
        should_act = not may_rest or is_late or scope not in scopes
        giver = _GIVEN.get(selector.rpartition(".")[-1], {}).get(parameter)
        if not is_checked or not (giver or (should_act and key not in acting)):
            continue
        if not selector.startswith(("tfp_priors.", "gin.")):
            # A module of the user may call what no binding refers to.
            continue
        if giver or narrower:
            names = [giver] if giver else map(_key_name, narrower)
            why, hint = f"it is overridden by {_listed(names)}", ""
        else:
            used = _key_name(key).rpartition(".")[0]
            why = f"the configuration does not use {used}"
            if selector == "gin.macro":
                why = "nothing that the configuration uses reads it"
            hint = _did_you_mean(_alternatives(key, acting, parts))
        name = _key_name(key)
        raise UserError(f"In {source}: {name} has no effect: {why}.{hint}")


def _alternatives(key, acting, parts) -> list[str]:
    """What may have been meant by a binding that has no effect."""
    bindable = [(part.selector, name) for part in parts for name in part.parameters()]
    scope, selector, parameter = key
    if selector != "gin.macro":
        owners = [owner for owner, name in bindable if name == parameter]
        owner = _key_name(key).rpartition(".")[0]
        return [f"{near}.{parameter}" for near in _nearest(owner, owners)]
    macros = [name for name, owner, _ in acting if owner == "gin.macro"]
    near = _nearest(scope, [*(name for _, name in bindable), *macros])
    return [n for n in near if n in macros] or [
        f"{owner}.{name}" for owner, name in bindable if name in near
    ]


def _key_name(key) -> str:
    """A binding's key as in a gin file."""
    scope, selector, parameter = key
    if selector == "gin.macro":
        return scope
    name = f"{selector.rsplit('.', 1)[-1]}.{parameter}"
    return f"{scope}/{name}" if scope else name


def _check_complete(parts):
    """Raises: UserError: if a part lacks a value, or has one of a wrong type."""
    # The outermost first: what it passes on to others is named as its own.
    by_part = [list(_missing_values(part)) for part in reversed(parts)]
    missing = [name for names in reversed(by_part) for name in names]
    if missing:
        macros = [scope for scope, owner in gin.config._CONFIG if owner == "gin.macro"]
        raise UserError(
            f"No value for {', '.join(dict.fromkeys(missing))}: set it in a gin file, "
            f'or with --gin_param="{missing[0]} = ..."; gin/*.gin are complete '
            f"examples.{_did_you_mean(_nearest(missing[0], macros))}"
        )


def _missing_values(part: _Part) -> Iterator[str]:
    """What a part leaves without a value; makes whole floats the ints they stand for.

    Raises:
      UserError: if a value has another type than its parameter.
    """
    if part.name == "macro" and not part.keys:
        yield part.selector.rpartition("/")[0]
    if part.name == "singleton" and not part.keys:
        yield f"{part.selector}.constructor"
    parameters = part.parameters()
    for name, parameter in parameters.items():
        is_given = name in part.keys or name in _GIVEN.get(part.name, ())
        if parameter.default is parameter.empty and not is_given:
            yield f"{part.selector}.{name}"
    for name, key in part.keys.items() if part.name in CONFIGURABLES else ():
        # Gin takes any name for what has **kwargs and no parameters.
        if name not in parameters:
            raise UserError(f"{part.selector} has no parameter {name!r}.")
        annotation = parameters[name].annotation
        value = _with_ints(part.value(name), annotation)
        if not _is_of_type(value, annotation):
            # Without the modules: collections.abc.Sequence[int].
            expected = inspect.formatannotation(annotation)
            expected = re.sub(r"\b(\w+\.)+(?=\w)", "", expected)
            shown = repr(value)
            if isinstance(value, gin.config.ConfigurableReference):
                macro = ("/".join(value.scopes), "gin.macro")
                bound = gin.config._CONFIG.get(macro, {})
                shown += f" = {bound['value']!r}" if bound else ""
            raise UserError(f"{part.selector}.{name} = {shown}: expected {expected}.")
        gin.bind_parameter(key, value)


def _with_ints(value, annotation):
    """A binding's value with ints for the whole floats where only ints will do."""
    if _is_of_type(value, annotation):
        return value
    kind = typing.get_origin(annotation) or annotation
    inner = typing.get_args(annotation)
    if isinstance(value, gin.config.ConfigurableReference):
        key = ("/".join(value.scopes), "gin.macro", "value")
        bound = gin.config._CONFIG.get(key[:2], {})
        if value.configurable.wrapped is gin.config.macro and bound:
            gin.bind_parameter(key, _with_ints(bound["value"], annotation))
    elif kind is types.UnionType:
        fitting = (_with_ints(value, one) for one in inner)
        return next((v for v in fitting if _is_of_type(v, annotation)), value)
    elif kind is Sequence and isinstance(value, (list, tuple)):
        return type(value)(_with_ints(item, *inner) for item in value)
    elif kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


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
        if made not in CONFIGURABLES.values():
            return True
        result = made if inspect.isclass(made) else made.__annotations__["return"]
        if kind is Callable:
            # What makes a part is no part, though layers can be called too.
            wanted = inner[1] if inner else None
            is_maker = not inspect.isclass(wanted) or issubclass(result, wanted)
            return is_maker and not (inner and value.evaluate)
        return value.evaluate and inspect.isclass(result) and issubclass(result, kind)
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


def _references(value) -> Iterator[gin.config.ConfigurableReference]:
    """Gin's references in a value, lists and dicts included."""
    if isinstance(value, gin.config.ConfigurableReference):
        yield value
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
        nearest = []
        if parameter:
            owner, name = parameter.group(1).rsplit(".", 1)[-1], parameter.group(2)
            known = _parameters(CONFIGURABLES.get(owner, gin.config.macro))
            message = f"{owner} has no parameter {name!r}."
            nearest = _nearest(name, known) or _owners(name)
        elif unknown:
            name = unknown.group(1).rsplit("/", 1)[-1]
            message = f"There is no configurable {name!r}."
            nearest = _nearest(name, CONFIGURABLES)
        hint = _did_you_mean(nearest)
        raise UserError(f"In {source}: {message}{hint}") from error
    finally:
        logging.set_verbosity(verbosity)


def _owners(parameter) -> list[str]:
    """The names by which parameters of one name are bound so far, or could be."""
    keys = [
        (scope, selector, parameter)
        for (scope, selector), bindings in gin.config._CONFIG.items()
        if parameter in bindings
    ]
    known = [
        f"{name}.{parameter}"
        for name, made in CONFIGURABLES.items()
        if parameter in _parameters(made)
    ]
    return [_key_name(key) for key in keys] or known


def _nearest(name: str, names: Iterable[str]) -> list[str]:
    """The name that is nearest if one is near, whatever the case of its letters."""
    lower = {known.lower(): known for known in names}
    return [lower[n] for n in difflib.get_close_matches(name.lower(), lower, n=1)]


def _did_you_mean(names: Sequence[str]) -> str:
    names = list(dict.fromkeys(names))[:3]
    return f" Did you mean {_listed(map(repr, names), 'or')}?" if names else ""


def _listed(names: Iterable[str], word: str = "and") -> str:
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


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

"""Gin files as they are read: bindings in order, imports limited, errors in a line."""

import contextlib
import os
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from absl import logging

import gin
from tfp_priors import experiments
from tfp_priors.configuration.registry import CONFIGURABLES
from tfp_priors.configuration.registry import parameters_of
from tfp_priors.configuration.wording import did_you_mean
from tfp_priors.configuration.wording import key_name
from tfp_priors.configuration.wording import nearest
from tfp_priors.errors import UserError
from tfp_priors.errors import first_line


class Statement(NamedTuple):
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


# First names of the modules that gin files may import: an import runs code.
_IMPORTABLE = ("tfp_priors", "keras")
_any_import_allowed = False

# What gin writes above the bindings of a configurable.
_WRITTEN = re.compile(r"^# (Macros|Parameters for [\w./]+):\n# =+$", re.MULTILINE)

# What gin raises for a text that it cannot read.
_GIN_ERRORS = (
    ValueError,
    SyntaxError,
    OSError,
    TypeError,
    ImportError,
    tokenize.TokenError,
)


def allow_imports(allowed: bool = True) -> None:
    """Whether gin files may import any module from now on, and so run any code.

    If not, which is the default, they may import those of tfp_priors and Keras only.
    """
    global _any_import_allowed
    _any_import_allowed = allowed


def read(gin_files, gin_params, given=()) -> list[Statement]:
    """Replaces gin's configuration by what the files and then the texts say.

    Of these, `given` come first and may rest.
    """
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
            statements += (Statement(*b, path, is_checked=is_checked) for b in bound)
        for text in (*given, *gin_params):
            with _explained(f"{text!r}"), _recorded() as bound:
                includes, _ = gin.parse_config(text)
            may_rest = bool(includes) or text in given
            statements += (Statement(*b, repr(text), may_rest) for b in bound)
    return statements


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


def check_dataset():
    """Raises: UserError: if TFDS would fetch the data set's code from elsewhere."""
    name = gin.get_bindings("load_dataset")["name"]
    if ":" in str(name) and not _any_import_allowed:
        raise UserError(
            f"load_dataset.name = {name!r} is refused, since TFDS downloads and runs "
            "the code of its community's data sets: expected a name without ':'; if "
            "you trust it, pass --allow_gin_imports."
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
        # Python's own words, with the address of an object.
        word = re.search(r"malformed node .* Failed to parse token '(.*)'", message)
        near = []
        if parameter:
            owner, name = parameter.group(1).rsplit(".", 1)[-1], parameter.group(2)
            known = parameters_of(CONFIGURABLES.get(owner, gin.config.macro))
            message = f"{owner} has no parameter {name!r}."
            near = nearest(name, known) or _owners(name)
        elif unknown:
            name = unknown.group(1).rsplit("/", 1)[-1]
            message = f"There is no configurable {name!r}."
            near = nearest(name, CONFIGURABLES)
        elif word:
            message = (
                f"{word.group(1)} is no value: expected a number, a text in quotes, a "
                "list, True, False, None, @Name() or %MACRO."
            )
        hint = did_you_mean(near)
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
        if parameter in parameters_of(made)
    ]
    return [key_name(key) for key in keys] or known


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
        message = first_line(error)
        raise UserError(f"A value of {found.group(1)} is wrong: {message}") from error

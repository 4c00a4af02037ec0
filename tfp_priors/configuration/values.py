"""Whether every part has its values, of the right types."""

import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence

import gin
from tfp_priors.configuration.parts import Part
from tfp_priors.configuration.registry import CONFIGURABLES
from tfp_priors.configuration.registry import GIVEN
from tfp_priors.configuration.wording import did_you_mean
from tfp_priors.configuration.wording import nearest
from tfp_priors.errors import UserError


def check_complete(parts):
    """Raises: UserError: if a part lacks a value, or has one of a wrong type."""
    # The outermost first: what it passes on to others is named as its own.
    by_part = [list(_missing_values(part)) for part in reversed(parts)]
    missing = [name for names in reversed(by_part) for name in names]
    if missing:
        macros = [scope for scope, owner in gin.config._CONFIG if owner == "gin.macro"]
        raise UserError(
            f"No value for {', '.join(dict.fromkeys(missing))}: set it in a gin file, "
            f'or with --gin_param="{missing[0]} = ..."; gin/*.gin are complete '
            f"examples.{did_you_mean(nearest(missing[0], macros))}"
        )


def _missing_values(part: Part) -> Iterator[str]:
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
        is_given = name in part.keys or name in GIVEN.get(part.name, ())
        if parameter.default is parameter.empty and not is_given:
            yield f"{part.selector}.{name}"
    for name, key in part.keys.items() if part.name in CONFIGURABLES else ():
        # Gin takes any name for what has **kwargs and no parameters.
        if name not in parameters:
            raise UserError(f"{part.selector} has no parameter {name!r}.")
        annotation = parameters[name].annotation
        value = _with_ints(part.value(name), annotation)
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(
                f"Expected a finite {part.selector}.{name}, received {value}: choose "
                "another."
            )
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
    return isinstance(value, kind)

"""What a configuration is made of: which parts refer to which."""

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import gin
from tfp_priors.configuration.registry import CONFIGURABLES
from tfp_priors.configuration.registry import parameters_of
from tfp_priors.configuration.wording import key_name
from tfp_priors.errors import UserError


def references(value) -> Iterator[gin.config.ConfigurableReference]:
    """Gin's references in a value, lists and dicts included."""
    if isinstance(value, gin.config.ConfigurableReference):
        yield value
    elif isinstance(value, dict):
        yield from references(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from references(item)


class Part(NamedTuple):
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
        return parameters_of(made) if made else {}


def used_parts(*roots: str) -> list[Part]:
    """All parts of what is trained and of its data, or of one of both."""
    references = (
        gin.config.ConfigurableReference(root, True)
        for root in roots or ("train", "load_dataset")
    )
    return [part for reference in references for part in _parts(reference)]


def _parts(reference, scopes=(), above=()) -> Iterator[Part]:
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
        # A macro is a reference of gin's, of which the user knows the scope.
        names = [name.removesuffix("/gin.macro") for _, name in above]
        itself = selector.removesuffix("/gin.macro")
        raise UserError(f"{itself} refers to itself: {' -> '.join([*names, itself])}.")
    above = (*above, ((scopes, complete), selector))
    part = Part(selector, complete.rsplit(".", 1)[-1], [], {}, {})
    for depth in range(len(scopes) + 1):
        scope = "/".join(scopes[:depth])
        part.owners.append(key_name((scope, complete, "")).rstrip("."))
        for parameter in gin.config._CONFIG.get((scope, complete), ()):
            key = (scope, complete, parameter)
            if parameter in part.keys:
                part.overridden[part.keys[parameter]] = key
            part.keys[parameter] = key
    for inner in references([part.value(parameter) for parameter in part.keys]):
        yield from _parts(inner, scopes, above)
    yield part


def used_owners() -> set[str]:
    """What the current configuration uses: all that a binding may begin with.

    Such as "prior/Adam", of whose learning rate a binding acts, and "BETA".
    """
    return {owner for part in used_parts() for owner in part.owners if owner}

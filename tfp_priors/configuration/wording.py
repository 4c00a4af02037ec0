"""Names of bindings, as users' mistakes are told."""

import difflib
from collections.abc import Iterable, Sequence


def key_name(key) -> str:
    """A binding's key as in a gin file."""
    scope, selector, parameter = key
    if selector == "gin.macro":
        return scope
    name = f"{selector.rsplit('.', 1)[-1]}.{parameter}"
    return f"{scope}/{name}" if scope else name


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """The name that is nearest if one is near, whatever the case of its letters."""
    lower = {known.lower(): known for known in names}
    return [lower[n] for n in difflib.get_close_matches(name.lower(), lower, n=1)]


def did_you_mean(names: Sequence[str]) -> str:
    names = list(dict.fromkeys(names))[:3]
    return f" Did you mean {listed(map(repr, names), 'or')}?" if names else ""


def listed(names: Iterable[str], word: str = "and") -> str:
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last

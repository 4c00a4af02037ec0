"""Views as texts that make them again, such as `path?from=test:3&to=draw:5:0`."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote
from urllib.parse import unquote

import numpy as np

from tfp_priors.errors import UserError
from tfp_priors.evaluation.paths import STEPS
from tfp_priors.explorer.explored import DRAWS
from tfp_priors.explorer.explored import MANY
from tfp_priors.explorer.explored import Explored
from tfp_priors.explorer.explored import Point
from tfp_priors.explorer.explored import Settings
from tfp_priors.figures.grid import image_grid

#: Gives the pixels of the picture of a name, uint8 `[height, width, channels]`.
ReadPicture = Callable[[str], np.ndarray]

_HIGHEST = 2**31 - 1

# Stay readable in the text of a view.
_PLAIN = ":,;+/ "


class Reference(NamedTuple):
    """A picture: a draw, a test image, or one from elsewhere.

    As a text it is `draw:INDEX:SEED:TEMPERATURE:GIVEN:GUIDANCE`, of which all but the
    index may be left out at the end, with `INDEX/4096` for one of so many draws,
    `test:INDEX` or `file:NAME`; given numbers are joined by "+".
    """

    kind: str
    index: int = 0
    settings: Settings = Settings()
    name: str = ""
    of: int = DRAWS

    def __str__(self):
        if self.kind == "file":
            return f"file:{self.name}"
        if self.kind == "test":
            return f"test:{self.index}"
        seed, temperature, given, guidance = self.settings
        index = self.index if self.of == DRAWS else f"{self.index}/{self.of}"
        parts = [index, seed, f"{temperature:g}"]
        if given is not None:
            parts += [_joined(given), f"{guidance:g}"]
        return ":".join(["draw", *map(str, parts)])

    @property
    def title(self) -> str:
        """What the page calls it."""
        if self.kind == "file":
            return self.name
        if self.kind == "test":
            return f"test image {self.index}"
        of = "" if self.of == DRAWS else f" of {self.of:,}"
        seed, temperature, *_ = self.settings
        warm = "" if temperature == 1 else f" at temperature {temperature:g}"
        return f"draw {self.index}{of} of seed {seed}{warm}"

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """The reference of a text.

        Raises:
          UserError: if it is none.
        """
        kind, _, rest = str(text).partition(":")
        if kind == "file" and rest:
            return cls("file", name=rest)
        index, *others = rest.split(":")
        if kind == "test" and index.isdecimal() and not others:
            return cls("test", int(index))
        index, _, of = index.partition("/")
        of_known = of in ("", str(DRAWS), str(MANY))
        if kind == "draw" and index.isdecimal() and of_known and len(others) <= 4:
            named = dict(zip(Settings._fields, others, strict=False))
            how = settings(named)
            if "given" not in named:
                how = how._replace(given=None)
            return cls("draw", int(index), how, of=int(of or DRAWS))
        raise UserError(
            f"{text!r} is no picture: expected draw:INDEX:SEED, test:INDEX or "
            "file:NAME."
        )

    def fitting(self, run: Explored) -> "Reference":
        """The same without the settings that a run does not take."""
        return self._replace(settings=run.fitting(self.settings))

    def point(
        self, run: Explored, read: ReadPicture, given: tuple[int, ...] = ()
    ) -> Point:
        """The picture and its code under a run; `given` where nothing else is."""
        if self.kind == "draw":
            how, own = self.settings, self.settings.given
            # None of the attributes is a choice, no label at all is none.
            if own is None or (own == () and run.condition == "label"):
                how = how._replace(given=given)
            return run.draw(self.index, run.fitting(how), self.of)
        if self.kind == "test":
            return run.test_image(self.index)
        return run.picture(read(self.name), given)


def settings(values: Mapping[str, str]) -> Settings:
    """Settings of texts by name; what is not there, or empty, is the usual.

    Raises:
      UserError: if one is out of its range.
    """
    given = values.get("given")
    return Settings(
        _whole("seed", values.get("seed") or "0"),
        _number("temperature", values.get("temperature") or "1"),
        tuple(_whole("given", n) for n in given.split("+")) if given else (),
        _number("guidance", values.get("guidance") or "1"),
    )


def text_of(name: str, values: Mapping[str, object], how: Settings | None = None):
    """The text of a view: its name, its values, and settings that are not the usual.

    Empty values, such as a `given` of nothing, are left out.
    """
    if how is not None:
        usual, own = Settings()._asdict(), how._asdict()
        changed = {key: own[key] for key in own if own[key] != usual[key]}
        values = {**values, **changed}
    texts = {
        key: f"{value:g}" if isinstance(value, float) else _joined(value)
        for key, value in values.items()
    }
    query = "&".join(
        f"{key}={quote(text, safe=_PLAIN)}" for key, text in texts.items() if text
    )
    return f"{name}?{query}" if query else name


def picture_of(run: Explored, view: str, read: ReadPicture) -> np.ndarray:
    """The picture of a view, uint8 `[height, width, channels]`.

    Args:
      run: what is looked at.
      view: see `text_of`.
      read: of the pictures of references `file:NAME`.

    Raises:
      UserError: if the view is none of this run.
    """
    name, has_query, query = view.partition("?")
    if name not in _PICTURES:
        raise UserError(
            f"there is no view {name!r}: choose of {', '.join(_PICTURES)}, as in "
            "'draws?seed=1'."
        )
    return _PICTURES[name](run, _values(query) if has_query else {}, read)


def _values(query):
    """The values of a view by name.

    Raises:
      UserError: if a part is no NAME=VALUE, or a name comes twice.
    """
    values = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if not (name and value) or name in values:
            raise UserError(
                f"{part!r} in the view: expected NAME=VALUE, each name once, with & "
                "between them."
            )
        values[name] = unquote(value)
    return values


def _draws(run, values, read):
    """`draws?seed=&temperature=&given=&guidance=`"""
    del read
    how = _rest(run, values, *Settings._fields)
    return image_grid(run.decoded(run.codes(how), how.given))


def _path(run, values, read):
    """`path?from=REFERENCE&to=REFERENCE&given=`: rows in z0 and in z."""
    a, b = (_reference(run, values, name) for name in ("from", "to"))
    given = _rest(run, values, "from", "to", "given").given
    a, b = (end.point(run, read, given) for end in (a, b))
    spaces = run.along(a.z, b.z, np.linspace(0, 1, STEPS), given)
    codes = np.concatenate(list(spaces.values()))
    return image_grid(run.decoded(codes, given), columns=STEPS)


def _map(run, values, read):
    """`map?region=X,Y;X,Y;X,Y&seed=`: draws in a region of the map."""
    del read
    how = _rest(run, values, "region", *Settings._fields)
    _, codes, _ = run.within(region_of(values.get("region", "")), how)
    if not len(codes):
        raise UserError("No draw lies in the region: choose a larger one.")
    return image_grid(run.decoded(codes, how.given), columns=math.isqrt(DRAWS))


def _edit(run, values, read):
    """`edit?of=REFERENCE&NUMBER=AMOUNT&given=`: the picture, edited in z0 and in z."""
    amounts = {
        int(key): _number(f"attribute {key}", value, low=-100.0)
        for key, value in values.items()
        if key.isdecimal()
    }
    given = _rest(run, values, "of", "given", *map(str, amounts)).given
    point = _reference(run, values, "of").point(run, read, given)
    spaces = run.edited(point.z, amounts, given)
    images = run.decoded(np.concatenate(list(spaces.values())), given)
    row = np.concatenate([point.image[None], images])
    return image_grid(row, columns=len(row))


_PICTURES = {"draws": _draws, "path": _path, "map": _map, "edit": _edit}


def region_of(text: str) -> np.ndarray:
    """The corners `X,Y;X,Y;X,Y` of a region, `[corners, 2]`.

    Raises:
      UserError: if they are none.
    """
    try:
        corners = np.array([corner.split(",") for corner in text.split(";")], float)
    except ValueError:
        corners = np.zeros((0, 0))
    if corners.shape[1:] != (2,) or len(corners) < 3 or not np.isfinite(corners).all():
        raise UserError(
            f"{text[:40]!r} is no region: expected three corners or more, X,Y;X,Y;X,Y."
        )
    return corners


def _reference(run, values, name):
    if name not in values:
        raise UserError(f"the view needs {name}=PICTURE, such as {name}=test:0.")
    reference = Reference.parse(values[name])
    _check_fits(run, reference.settings)
    return reference


def _rest(run, values, *known):
    """The settings among the values.

    Raises:
      UserError: if the run does not take them, or there is something unknown.
    """
    for key in values:
        if key not in known:
            raise UserError(f"the view has no {key!r}: leave it out.")
    how = settings(values)
    _check_fits(run, how)
    return how


def _check_fits(run, how):
    for name, own in run.fitting(how)._asdict().items():
        if getattr(how, name) != own:
            raise UserError(f"{run.name} takes no {name}: leave it out of the view.")


def _joined(value):
    """The text of a value; given numbers are joined."""
    is_given = isinstance(value, tuple) and not isinstance(value, Reference)
    return "+".join(map(str, value)) if is_given else str(value)


def _whole(name, text):
    if not (text.isdecimal() and int(text) <= _HIGHEST):
        raise UserError(f"{name}={text}: expected a whole number from 0 to {_HIGHEST}.")
    return int(text)


def _number(name, text, low=0.0):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= 100.0:
        raise UserError(f"{name}={text}: expected a number from {low:g} to 100.")
    return value

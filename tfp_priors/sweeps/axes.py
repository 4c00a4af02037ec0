"""Where the axes of a sweep go in a figure of its scores."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tfp_priors.errors import UserError
from tfp_priors.runs import run_dir
from tfp_priors.sweeps.results import SEED
from tfp_priors.sweeps.results import values_of


class Layout(NamedTuple):
    """Which axis goes where in a figure of scores, as figure 3 of the paper.

    Attributes:
      x: the last axis of several numbers >= 0, other than the seed; None if there is
        none, so that no scores can be drawn.
      line: the last of the other axes.
      panels: the rest.
    """

    x: str | None
    line: str | None
    panels: list[str]

    def line_of(self, values: Mapping[str, str]) -> str:
        """The name of the line that a run with these values is on."""
        return values.get(self.line, "") if self.line else "all"

    def panel_of(self, values: Mapping[str, str]) -> str:
        """The name of its panel."""
        return " ".join(values[n] for n in self.panels if n in values) or "all"


def layout(out: str | Path) -> Layout:
    """The layout of a sweep's scores.

    Raises:
      UserError: if the folder holds no sweep.
    """
    runs = values_of(out)
    if not runs:
        raise UserError(f"{out} is not a sweep: expected an --out of bin/sweep.")
    x = number_axis(list(runs.values()))
    names = dict.fromkeys(name for values in runs.values() for name in values)
    *panels, line = [None, *(name for name in names if name not in (x, SEED))]
    return Layout(x, line, [name for name in panels if name])


def first_of_each(out: str | Path) -> dict[str, dict[str, Path]]:
    """The trained runs of the lowest seed at each point, as `layout` orders them.

    Returns:
      Folders by "LINE, X" by panel.

    Raises:
      UserError: as `layout`.
    """
    where = layout(out)
    runs = {
        Path(out) / run: values
        for run, values in values_of(out).items()
        if run_dir.finished_step(Path(out) / run) is not None
        and (where.x is None or where.x in values)
    }

    def order(item):
        seed, x = item[1].get(SEED, ""), item[1].get(where.x, "0")
        return where.line_of(item[1]), float(x), len(seed), seed

    panels: dict[str, dict[str, Path]] = {}
    for folder, values in sorted(runs.items(), key=order):
        label = where.line_of(values)
        if where.x is not None:
            label += f", {values[where.x]}"
        panels.setdefault(where.panel_of(values), {}).setdefault(label, folder)
    return panels


def number_axis(runs: Sequence[Mapping[str, str]]) -> str | None:
    """The last axis of several numbers >= 0, other than the seed, or None.

    Args:
      runs: the values by axis of each; not all need to have all axes.
    """
    for name in reversed(dict.fromkeys(name for values in runs for name in values)):
        texts = {values[name] for values in runs if name in values}
        numbers = [number_or_text(text) for text in texts]
        numeric = all(isinstance(n, float) and 0 <= n < math.inf for n in numbers)
        if name != SEED and len(texts) > 1 and numeric:
            return name
    return None


def number_or_text(text: str) -> float | str:
    """The number that a text stands for, or the text."""
    try:
        return float(text)
    except ValueError:
        return text

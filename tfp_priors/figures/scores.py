"""Scores against beta, a line per model and a panel per data set: figure 3."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter
from matplotlib.ticker import FixedLocator
from matplotlib.ticker import NullLocator
from matplotlib.ticker import StrMethodFormatter

from tfp_priors.figures.output import save_columns
from tfp_priors.figures.output import save_figure
from tfp_priors.figures.style import LINE_COLOURS
from tfp_priors.figures.style import MARKERS
from tfp_priors.figures.style import new_figure

_PANELS_PER_ROW = 3
_LOG_FROM = 20.0  # largest over smallest mean of a panel
_LABELS = {"BETA": "β"}


class _Point(NamedTuple):
    """The measurements of one model at one x; seeds, usually."""

    values: np.ndarray  # [n]
    reference: float | None

    @property
    def mean(self):
        return self.values.mean()

    @property
    def standard_deviation(self):
        return self.values.std(ddof=1) if len(self.values) > 1 else None


def save_scores(
    rows: Sequence[Mapping[str, Any]],
    path: str | Path,
    score: str,
    x: str,
    floor: str | None,
    reference: str | None,
) -> None:
    """Writes a score against x, as in figure 3, as `path`.png, .svg and .csv.

    Lines join the means over the rows of one panel, line and x, such as seeds; error
    bars are the standard deviation (n - 1), where there are several; faint points are
    the single rows. x is on a log axis, with 0 left of a break in it. The y axis is
    logarithmic in all panels if the largest mean of one is over 20 times its smallest.
    The CSV has panel, line, x, mean, standard_deviation and n, and mean_COLUMN of the
    floor (of the panel) and of the reference.

    Args:
      rows: a measurement each, with numbers or their texts, as from csv.DictReader;
        "panel" and "line" name its panel and line, which are in order of appearance.
      path: of the files, without suffix.
      score: column on the y axis.
      x: column on the x axis, at least 0.
      floor: column with the score of real images, whose mean is a dashed line; or None.
      reference: column with a score to compare with at each x, such as that of
        reconstructions, dotted in the colour of each line; or None.
    """
    lines = list(dict.fromkeys(row["line"] for row in rows))
    panels = {row["panel"]: [] for row in rows}
    for row in rows:
        panels[row["panel"]].append(row)
    table = {p: _points(rows, score, x, reference) for p, rows in panels.items()}
    floors = {p: _mean(rows, floor) for p, rows in panels.items()}
    _draw(table, floors, lines, score, x, reference, path)
    _save_table(table, floors, floor, reference, path)


def _points(rows, score, x, reference):
    """A panel's points by line and x, ascending in x."""
    points = {}
    for name in dict.fromkeys(row["line"] for row in rows):
        by_x = {}
        for row in rows:
            if row["line"] == name:
                by_x.setdefault(float(row[x]), []).append(row)
        points[name] = {
            value: _Point(
                np.array([float(row[score]) for row in group]),
                _mean(group, reference),
            )
            for value, group in sorted(by_x.items())
        }
    return points


def _mean(rows, column):
    """The mean of a column's numbers; None if there are none."""
    if column is None:
        return None
    values = [float(row[column]) for row in rows if row[column] not in (None, "")]
    return float(np.mean(values)) if values else None


def _draw(table, floors, lines, score, x, reference, path):
    columns = min(len(table), _PANELS_PER_ROW)
    height = math.ceil(len(table) / columns)
    size = (4.4 + 3.2 * (columns - 1), 0.5 + 3.1 * height)
    legend = {"loc": "outside upper center", "columnspacing": 1.4}
    if columns == 1:  # Too narrow for a row of names.
        size = (6.4, 0.2 + 3.1 * height)
        legend = {"loc": "outside right center", "ncols": 1}
    with new_figure(*size, layout="constrained") as figure:
        grid = figure.subplots(height, columns, squeeze=False).ravel()
        for axes in grid[len(table) :]:
            axes.set_axis_off()
        logarithmic = _is_logarithmic(table)
        for i, (name, points) in enumerate(table.items()):
            axes = grid[i]
            _draw_panel(axes, points, floors[name], lines, logarithmic)
            axes.set_title(str(name))
            axes.set_xlabel(_LABELS.get(x, x))
            if i % columns == 0:
                axes.set_ylabel(score)
        handles = [
            Line2D([], [], **_line_style(i), label=str(name))
            for i, name in enumerate(lines)
        ]
        if reference is not None:
            handles.append(Line2D([], [], color="0.4", linestyle=":", label=reference))
        if any(value is not None for value in floors.values()):
            handles.append(Line2D([], [], **_FLOOR, label="real images"))
        columns_of_legend = min(len(handles), 2 * columns)
        figure.legend(handles=handles, **{"ncols": columns_of_legend} | legend)
        save_figure(figure, path)


_FLOOR = {"color": "0.4", "linestyle": "--", "linewidth": 1.2}


def _line_style(i):
    # Two cycles of different length: the first 49 lines all differ.
    return {
        "color": LINE_COLOURS[i % len(LINE_COLOURS)],
        "marker": MARKERS[(i + i // len(LINE_COLOURS)) % len(MARKERS)],
    }


def _is_logarithmic(table):
    """Whether the panels' scores, all above 0, are far apart in one of them."""
    spans = []
    for points in table.values():
        means = [point.mean for by_x in points.values() for point in by_x.values()]
        spans.append((min(means), max(means)))
    positive = all(low > 0 for low, _ in spans)
    return positive and any(high > _LOG_FROM * low for low, high in spans)


def _draw_panel(axes, points, floor, lines, logarithmic):
    every_x = sorted({value for by_x in points.values() for value in by_x})
    place = _x_axis(axes, every_x)
    for name, by_x in points.items():
        style = _line_style(lines.index(name))
        at = np.array([place(value) for value in by_x])
        means = np.array([point.mean for point in by_x.values()])
        for where, point in zip(at, by_x.values(), strict=True):
            if len(point.values) > 1:
                axes.plot(
                    np.full(len(point.values), where),
                    point.values,
                    linestyle="",
                    marker=".",
                    markersize=5,
                    markeredgewidth=0,
                    color=style["color"],
                    alpha=0.35,
                )
        # What joins 0 to the rest crosses the break: no part of the log axis.
        joined = [value > 0 for value in by_x]
        axes.plot(at[joined], means[joined], color=style["color"])
        if not all(joined):
            axes.plot(at[:2], means[:2], color=style["color"], linestyle=(0, (2, 1.5)))
        axes.errorbar(
            at,
            means,
            [point.standard_deviation or 0.0 for point in by_x.values()],
            linestyle="",
            elinewidth=1.2,
            capsize=2.5,
            **style,
        )
        references = [point.reference for point in by_x.values()]
        if any(value is not None for value in references):
            axes.plot(
                at,
                [math.nan if value is None else value for value in references],
                color=style["color"],
                linestyle=":",
            )
    if floor is not None:
        axes.axhline(floor, **_FLOOR)
    means = [point.mean for by_x in points.values() for point in by_x.values()]
    if logarithmic:
        axes.set_yscale("log", nonpositive="clip")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    elif floor is not None and 0 <= floor < min(means):
        # Of a distance: how far the floor is from 0 is part of the picture.
        axes.set_ylim(bottom=0)
    axes.grid(axis="y")


def _x_axis(axes, values):
    """Sets the x axis up for the values, ascending; returns where each one goes."""
    positive = [value for value in values if value > 0]
    if not positive:
        axes.set_xlim(-1, 1)
        axes.set_xticks([0], ["0"])
        return lambda value: 0.0
    low, high = math.log10(positive[0]), math.log10(positive[-1])
    span = max(high - low, 1.0)
    zero = low - 0.3 * span
    has_zero = values[0] == 0
    first = math.ceil(low - 1e-9)
    decades = list(range(first, math.floor(high + 1e-9) + 1))
    if len(decades) > 1:
        stride = math.ceil(len(decades) / 5)
        ticks = decades[::-1][::stride][::-1]
        texts = [_power(n, max(map(abs, ticks)) > 3) for n in ticks]
        minor = [
            n + math.log10(m)
            for n in range(first - 1, decades[-1] + 1)
            for m in range(2, 10)
        ]
    else:
        ticks = [math.log10(value) for value in positive]
        texts = [f"{value:g}" for value in positive]
        minor = []
    if has_zero:
        ticks, texts = [zero, *ticks], ["0", *texts]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FixedFormatter(texts))
    minor = [n for n in minor if low <= n <= high]
    axes.xaxis.set_minor_locator(FixedLocator(minor) if minor else NullLocator())
    axes.set_xlim((zero if has_zero else low) - 0.08 * span, high + 0.08 * span)
    if has_zero:
        _break(axes, (zero + low) / 2, 0.02 * span)
    return lambda value: math.log10(value) if value > 0 else zero


def _power(exponent, as_power):
    return f"$10^{{{exponent}}}$" if as_power else f"{10.0**exponent:g}"


def _break(axes, middle, half):
    """Two strokes on a white gap in the x axis."""
    where = axes.get_xaxis_transform()
    style = {"transform": where, "clip_on": False, "zorder": 5}
    axes.plot([middle - half, middle + half], [0, 0], color="white", lw=3, **style)
    slash = [(-0.6, -1.0), (0.6, 1.0)]
    for side in (middle - half, middle + half):
        axes.plot(
            [side],
            [0],
            linestyle="",
            marker=slash,
            markersize=8,
            markeredgewidth=1.0,
            color="0.3",
            **style,
        )


def _save_table(table, floors, floor, reference, path):
    points = [
        (panel, line, x, point)
        for panel, lines in table.items()
        for line, by_x in lines.items()
        for x, point in by_x.items()
    ]
    columns = {
        "panel": [panel for panel, _, _, _ in points],
        "line": [line for _, line, _, _ in points],
        "x": [x for _, _, x, _ in points],
        "mean": [point.mean for *_, point in points],
        "standard_deviation": [point.standard_deviation for *_, point in points],
        "n": [len(point.values) for *_, point in points],
    }
    if floor is not None:
        columns[f"mean_{floor}"] = [floors[panel] for panel, *_ in points]
    if reference is not None:
        columns[f"mean_{reference}"] = [point.reference for *_, point in points]
    save_columns(columns, path, digits=6)

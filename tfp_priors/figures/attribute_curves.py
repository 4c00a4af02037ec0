"""How an attribute changes along paths: numbers to the paper's figure 7."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfp_priors.figures.output import save_columns
from tfp_priors.figures.output import save_figure
from tfp_priors.figures.style import PATH_COLOURS
from tfp_priors.figures.style import new_figure
from tfp_priors.latent_space import median_unevenness
from tfp_priors.latent_space import rate_of_change


def save_attribute_curves(
    t: np.ndarray, probabilities: Mapping[str, np.ndarray], path: str | Path
) -> None:
    """Writes an attribute's probability along paths as `path`.png, .svg and .csv.

    Left: its mean over the images, with the quartiles as a band. Right: the absolute
    rate of change between neighbouring points, mean over the images; the legend has
    `median_unevenness`. The first path is black, the second red. The CSV has path, t,
    mean, lower_quartile, upper_quartile and rate (from this t to the next).

    Args:
      t: ascending, `[steps]`.
      probabilities: of the attribute, `[n, steps]`, for n images; by path.
      path: of the files, without suffix.

    Raises:
      UserError: as `rate_of_change`.
    """
    t = np.asarray(t, np.float64)
    curves = {label: _curve(t, values) for label, values in probabilities.items()}
    with new_figure(9, 3.9, layout="constrained") as figure:
        _draw(figure, t, curves)
        save_figure(figure, path)
    columns = {"path": [label for label in curves for _ in t]}
    columns["t"] = [*t] * len(curves)
    for name in ("mean", "lower_quartile", "upper_quartile"):
        columns[name] = np.concatenate([getattr(c, name) for c in curves.values()])
    columns["rate"] = [r for c in curves.values() for r in (*c.rates, None)]
    save_columns(columns, path, digits=6)


class _Curve(NamedTuple):
    """What is drawn of one path, over all images: `[steps]`, rates `[steps - 1]`."""

    mean: np.ndarray
    lower_quartile: np.ndarray
    upper_quartile: np.ndarray
    rates: np.ndarray
    unevenness: float


def _curve(t, values):
    values = np.asarray(values, np.float64)
    lower, upper = np.quantile(values, [0.25, 0.75], axis=0)
    rates = rate_of_change(t, values).mean(0)
    return _Curve(values.mean(0), lower, upper, rates, median_unevenness(t, values))


def _draw(figure, t, curves):
    left, right = figure.subplots(1, 2)
    for i, (label, curve) in enumerate(curves.items()):
        colour = PATH_COLOURS[i % len(PATH_COLOURS)]
        band = curve.lower_quartile, curve.upper_quartile
        left.fill_between(t, *band, color=colour, alpha=0.15, linewidth=0)
        text = f"{label}: median unevenness {curve.unevenness:.2f}"
        left.plot(t, curve.mean, color=colour, label=text)
        right.stairs(curve.rates, t, baseline=None, color=colour, linewidth=1.8)
    left.set_ylim(-0.02, 1.02)
    left.set_ylabel("probability of the attribute")
    right.set_ylim(bottom=0)
    right.set_ylabel("rate of change per unit of t")
    for axes in (left, right):
        axes.set_xlim(t[0], t[-1])
        axes.set_xlabel("t")
        axes.grid(axis="y")
    figure.legend(handles=left.lines, loc="outside upper center", ncols=3)

"""How an attribute changes along paths: numbers to the paper's figure 7."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfp_priors.errors import UserError
from tfp_priors.figures.output import save_columns
from tfp_priors.figures.output import save_figure
from tfp_priors.figures.style import PATH_COLOURS
from tfp_priors.figures.style import new_figure
from tfp_priors.latent_space import rate_of_change
from tfp_priors.latent_space import unevenness


def save_attribute_curves(
    t: np.ndarray, probabilities: Mapping[str, np.ndarray], path: str | Path
) -> None:
    """Writes an attribute's probability along paths as `path`.png, .svg and .csv.

    Left: its mean over the images, with the quartiles as a band. Right: the absolute
    rate of change between neighbouring points, mean over the images; the legend has
    the mean `unevenness` of the paths on which anything changes. The first path is
    black, the second red. The CSV has path, t, mean, lower_quartile, upper_quartile
    and rate (from this t to the next).

    Args:
      t: ascending, `[steps]`.
      probabilities: of the attribute, `[n, steps]`, for n images; by path.
      path: of the files, without suffix.

    Raises:
      UserError: if shapes do not fit or t does not ascend.
    """
    t = np.asarray(t, np.float64)
    shapes = {label: np.shape(values) for label, values in probabilities.items()}
    if not shapes or any(
        len(shape) != 2 or not shape[0] or shape[1:] != t.shape
        for shape in shapes.values()
    ):
        raise UserError(
            f"probabilities must have shape [n, {t.size}] for each path, received "
            f"{shapes}: give a row per image and a column per t."
        )
    columns = {name: [] for name in ("path", "t", "mean", "lower_quartile")}
    columns |= {"upper_quartile": [], "rate": []}
    with new_figure(9, 3.9, layout="constrained") as figure:
        left, right = figure.subplots(1, 2)
        for i, (label, values) in enumerate(probabilities.items()):
            values = np.asarray(values, np.float64)
            colour = PATH_COLOURS[i % len(PATH_COLOURS)]
            lower, upper = np.quantile(values, [0.25, 0.75], axis=0)
            mean = values.mean(0)
            rates = rate_of_change(t, values).mean(0)
            left.fill_between(t, lower, upper, color=colour, alpha=0.15, linewidth=0)
            left.plot(
                t,
                mean,
                color=colour,
                label=f"{label}: mean unevenness {_mean_unevenness(t, values):.2f}",
            )
            right.stairs(rates, t, baseline=None, color=colour, linewidth=1.8)
            for name, column in {
                "path": [label] * len(t),
                "t": t,
                "mean": mean,
                "lower_quartile": lower,
                "upper_quartile": upper,
                "rate": [*rates, None],
            }.items():
                columns[name].extend(column)
        left.set_ylim(-0.02, 1.02)
        left.set_ylabel("probability of the attribute")
        right.set_ylim(bottom=0)
        right.set_ylabel("rate of change per unit of t")
        for axes in (left, right):
            axes.set_xlim(t[0], t[-1])
            axes.set_xlabel("t")
            axes.grid(axis="y")
        figure.legend(handles=left.lines, loc="outside upper center", ncols=3)
        save_figure(figure, path)
    save_columns(columns, path, digits=6)


def _mean_unevenness(t, values):
    """The mean over the paths that have one; NaN if nothing changes on any."""
    each = unevenness(t, values)
    each = each[np.isfinite(each)]
    return each.mean() if len(each) else np.nan

"""Scatter plots of two-dimensional codes: the paper's figure 2."""

from pathlib import Path

import numpy as np

from tfp_priors.figures.output import save_columns
from tfp_priors.figures.output import save_figure
from tfp_priors.figures.style import class_legend
from tfp_priors.figures.style import new_figure
from tfp_priors.figures.style import scatter_classes


def save_latent_panels(
    base_codes: np.ndarray | None,
    codes: np.ndarray,
    prior_codes: np.ndarray,
    labels: np.ndarray,
    path: str | Path,
) -> None:
    """Writes the four panels of figure 2 as `path`.png, .svg and .csv.

    (a) base codes by class, (b) codes by class, (c) codes, (d) draws of the prior.
    Panels b to d share their axes, so that shapes can be compared; draws beyond
    them are counted in d's title. The CSV has a line per code and per draw: kind
    ("code" or "draw"), label, z_1, z_2, z0_1, z0_2, empty where there is none.

    Args:
      base_codes: z0 of the images, `[n, 2]`; None if there is none.
      codes: z of the images, `[n, 2]`.
      prior_codes: draws from the prior, `[m, 2]`.
      labels: classes of the images, `[n]`.
      path: of the files, without suffix.
    """
    codes, prior_codes = np.asarray(codes), np.asarray(prior_codes)
    low, high = codes.min(0), codes.max(0)
    # A single code has no extent.
    margin = 0.05 * np.where(high > low, high - low, 1.0)
    low, high = low - margin, high + margin
    outside = np.mean(np.any((prior_codes < low) | (prior_codes > high), axis=1))
    # Points, not outlines: as vectors the SVG would have megabytes.
    style = {"s": 2, "linewidths": 0, "rasterized": True}
    with new_figure(14, 3.9, layout="constrained") as figure:
        axes = figure.subplots(1, 4)
        if base_codes is None:
            axes[0].text(0.5, 0.5, "no base codes", ha="center")
            axes[0].set_axis_off()
        else:
            scatter_classes(axes[0], base_codes, labels, **style)
            _name(axes[0], "(a) base codes by class", "z0")
        handles = scatter_classes(axes[1], codes, labels, **style)
        _name(axes[1], "(b) codes by class", "z")
        axes[2].scatter(*codes.T, c="black", **style)
        _name(axes[2], "(c) codes", "z")
        axes[3].scatter(*prior_codes.T, c="black", **style)
        _name(axes[3], f"(d) prior draws ({outside:.1%} outside)", "z")
        for panel in axes[1:]:
            panel.set_xlim(low[0], high[0])
            panel.set_ylim(low[1], high[1])
        class_legend(figure, handles)
        save_figure(figure, path)
    save_columns(_columns(base_codes, codes, prior_codes, labels), path, digits=5)


def _name(axes, title, space):
    axes.set_title(title)
    axes.set_xlabel(f"{space}_1")
    axes.set_ylabel(f"{space}_2", labelpad=0)


def _columns(base_codes, codes, prior_codes, labels):
    n, m = len(codes), len(prior_codes)
    z = np.concatenate([codes, prior_codes])
    z0 = np.full([n, 2], None) if base_codes is None else np.asarray(base_codes)
    return {
        "kind": ["code"] * n + ["draw"] * m,
        "label": [*labels, *[None] * m],
        "z_1": z[:, 0],
        "z_2": z[:, 1],
        "z0_1": [*z0[:, 0], *[None] * m],
        "z0_2": [*z0[:, 1], *[None] * m],
    }

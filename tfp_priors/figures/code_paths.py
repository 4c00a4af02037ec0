"""Paths between codes, and the density along them: the paper's figure 5."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.patheffects
import numpy as np

from tfp_priors.figures.output import save_columns
from tfp_priors.figures.output import save_figure
from tfp_priors.figures.style import PATH_COLOURS
from tfp_priors.figures.style import class_legend
from tfp_priors.figures.style import new_figure
from tfp_priors.figures.style import scatter_classes
from tfp_priors.latent_space import principal_plane


def save_code_paths(
    codes: np.ndarray,
    paths: Mapping[str, np.ndarray],
    log_densities: Mapping[str, np.ndarray],
    path: str | Path,
    labels: np.ndarray | None = None,
) -> None:
    """Writes paths among codes and their log density as `path`.png, .svg and .csv.

    Left: the codes and the paths in the codes' first two principal components, or in
    z itself if it has two dimensions. Right: log p(z) along each path, with its mean
    in the legend. The first path is black, the second red. The CSV has path, t, x, y
    (what is on the left) and log_density.

    Args:
      codes: z of images, `[n, d]`, d at least 2.
      paths: z along each path, `[steps, d]`, evenly spaced in t from 0 to 1; by label.
      log_densities: log p(z) along each path in nats, `[steps]`; by the same labels.
      path: of the files, without suffix.
      labels: classes of the codes, `[n]`; colour them.

    Raises:
      UserError: if the codes have one dimension.
    """
    codes = np.asarray(codes)
    paths = {label: np.asarray(points) for label, points in paths.items()}
    names, project = _projection(codes)
    points = {label: project(z) for label, z in paths.items()}
    times = {label: np.linspace(0.0, 1.0, len(z)) for label, z in paths.items()}
    with new_figure(9, 4, layout="constrained") as figure:
        left, right = figure.subplots(1, 2)
        _draw_codes(left, project(codes), points, labels)
        left.set_xlabel(names[0])
        left.set_ylabel(names[1])
        _draw_densities(right, times, log_densities)
        figure.legend(handles=right.lines, loc="outside upper center", ncols=3)
        save_figure(figure, path)
    save_columns(
        {
            "path": [label for label, z in paths.items() for _ in z],
            "t": np.concatenate([*times.values()]),
            "x": np.concatenate([line[:, 0] for line in points.values()]),
            "y": np.concatenate([line[:, 1] for line in points.values()]),
            "log_density": np.concatenate(
                [np.asarray(log_densities[label]) for label in paths]
            ),
        },
        path,
        digits=6,
    )


def _projection(codes):
    """Names of the two axes, and the map `[n, d]` to `[n, 2]`."""
    if codes.shape[1] == 2:
        return ("z_1", "z_2"), lambda z: z
    plane = principal_plane(codes)
    names = [
        f"component {i} ({share:.0%} of variance)"
        for i, share in enumerate(plane.explained_variance_ratio_, start=1)
    ]
    return names, plane.transform


def _draw_codes(axes, codes, paths, labels):
    dots = {"s": 3, "linewidths": 0, "alpha": 0.4, "rasterized": True, "zorder": 1}
    if labels is None:
        axes.scatter(*codes.T, c="0.6", **dots)
    else:
        class_legend(axes.figure, scatter_classes(axes, codes, labels, **dots))
    for i, line in enumerate(paths.values()):
        _draw_path(axes, line, PATH_COLOURS[i % len(PATH_COLOURS)])


def _draw_densities(axes, times, log_densities):
    for i, (label, t) in enumerate(times.items()):
        values = log_densities[label]
        mean = f"{np.mean(values):.1f}".replace("-", "\N{MINUS SIGN}")
        colour = PATH_COLOURS[i % len(PATH_COLOURS)]
        axes.plot(t, values, color=colour, label=f"{label}: mean {mean} nats")
    axes.set_xlim(0, 1)
    axes.set_xlabel("t")
    axes.set_ylabel("log density, nats")
    axes.grid(axis="y")


def _draw_path(axes, line, colour):
    halo = [matplotlib.patheffects.withStroke(linewidth=4.5, foreground="white")]
    axes.plot(*line.T, color=colour, linewidth=2.2, path_effects=halo, zorder=2)
    axes.plot(
        *line[[0, -1]].T,
        "o",
        markersize=8,
        markerfacecolor="white",
        markeredgecolor="black",
        markeredgewidth=1.5,
        zorder=3,
    )

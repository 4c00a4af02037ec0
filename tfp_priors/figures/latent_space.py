"""Scatter plots of two-dimensional codes: the paper's figure 2."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfp_priors.files import written_atomically


def save_latent_panels(
    base_codes: np.ndarray | None,
    codes: np.ndarray,
    prior_codes: np.ndarray,
    labels: np.ndarray,
    path: str | Path,
) -> None:
    """Writes the four panels of figure 2 as PNG.

    (a) base codes by class, (b) codes by class, (c) codes, (d) draws of the prior.
    Panels b to d share their axes, so that shapes can be compared; draws beyond
    them are counted in d's title.

    Args:
      base_codes: z0 of the images, `[n, 2]`; None if there is none.
      codes: z of the images, `[n, 2]`.
      prior_codes: draws from the prior, `[m, 2]`.
      labels: classes of the images, `[n]`.
      path: PNG file to write.
    """
    figure = Figure(figsize=(16, 4.2), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(1, 4)
    style = {"s": 1.5, "linewidths": 0, "rasterized": True}
    colours = matplotlib.colormaps["tab10"]
    by_class = {"c": labels, "cmap": colours, "vmin": 0, "vmax": 9, **style}
    if base_codes is None:
        axes[0].text(0.5, 0.5, "the prior has no inverse", ha="center")
        axes[0].set_axis_off()
    else:
        axes[0].scatter(*base_codes.T, **by_class)
        axes[0].set_title("(a) base codes f(E(x)) by class")
    scatter = axes[1].scatter(*codes.T, **by_class)
    axes[1].set_title("(b) codes E(x) by class")
    axes[2].scatter(*codes.T, c="black", **style)
    axes[2].set_title("(c) codes E(x)")
    axes[3].scatter(*prior_codes.T, c="black", **style)
    low, high = codes.min(0), codes.max(0)
    margin = 0.05 * (high - low)
    low, high = low - margin, high + margin
    outside = np.mean(np.any((prior_codes < low) | (prior_codes > high), axis=1))
    axes[3].set_title(f"(d) draws of the prior ({outside:.1%} outside)")
    for axis in axes[1:]:
        axis.set_xlim(low[0], high[0])
        axis.set_ylim(low[1], high[1])
    handles, names = scatter.legend_elements()
    figure.legend(handles, names, loc="outside right upper", title="class")
    with written_atomically(path) as temporary:
        canvas.print_figure(temporary, format="png", dpi=110)

"""Codes beside draws of the prior, in the plane of the codes' largest variance."""

from pathlib import Path

import numpy as np

from tfp_priors.figures.output import save_columns
from tfp_priors.figures.output import save_figure
from tfp_priors.figures.style import new_figure
from tfp_priors.latent_space import principal_plane


def save_code_scatter(
    codes: np.ndarray, prior_codes: np.ndarray, path: str | Path
) -> None:
    """Writes two panels of one scale as `path`.png, .svg and .csv.

    Args:
      codes: `[n, latent_size]`.
      prior_codes: draws of the prior, `[m, latent_size]`.
      path: of the files, without suffix.

    Raises:
      UserError: if there are fewer than 2 dimensions or codes.
    """
    plane = principal_plane(codes)
    panels = {"code": plane.transform(codes), "draw": plane.transform(prior_codes)}
    share = plane.explained_variance_ratio_.sum()
    with new_figure(8, 4.2, layout="constrained") as figure:
        axes = figure.subplots(1, 2, sharex=True, sharey=True)
        for axis, (kind, points) in zip(axes, panels.items(), strict=True):
            # Points, not outlines: as vectors the SVG would have megabytes.
            axis.scatter(*points.T, s=2, linewidths=0, c="black", rasterized=True)
            axis.set_title(f"{kind}s")
            axis.set_xlabel("principal component 1")
        axes[0].set_ylabel("principal component 2")
        figure.suptitle(f"The plane has {share:.0%} of the codes' variance", fontsize=9)
        save_figure(figure, path)
    points = np.concatenate(list(panels.values()))
    columns = {"kind": np.repeat(list(panels), [len(p) for p in panels.values()])}
    columns |= {f"component_{i + 1}": points[:, i] for i in range(2)}
    save_columns(columns, path, digits=5)

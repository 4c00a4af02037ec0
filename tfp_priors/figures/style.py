"""The look that the figures share: type, lines and colours."""

import contextlib
from collections.abc import Iterator

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

#: Of lines that are compared: Okabe and Ito's, which colour-blind readers tell apart,
#: without the yellow that is faint on white.
LINE_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#000000",
)

#: Of the lines' points, so that colour is not the only sign.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

#: Of paths in latent space: black and red as in the paper's figure 5.
PATH_COLOURS = ("#000000", "#E02B20", *LINE_COLOURS[:1], *LINE_COLOURS[2:6])

# Petroff 2021, "Accessible color sequences for data visualization".
_CLASS_COLOURS = matplotlib.color_sequences["petroff10"]

_SETTINGS = {
    "axes.axisbelow": True,
    "axes.edgecolor": "0.3",
    "axes.labelsize": 12,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 12,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "grid.color": "0.9",
    "grid.linewidth": 0.8,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "mathtext.fontset": "dejavusans",
    # Of ids in SVGs: equal figures are equal files.
    "svg.hashsalt": "tfp_priors",
    "xtick.color": "0.3",
    "xtick.labelcolor": "black",
    "xtick.labelsize": 11,
    "ytick.color": "0.3",
    "ytick.labelcolor": "black",
    "ytick.labelsize": 11,
}


@contextlib.contextmanager
def new_figure(width: float, height: float, **kwargs) -> Iterator[Figure]:
    """A figure for files, in the project's style while the block lasts.

    The style does not depend on the user's Matplotlib settings.

    Args:
      width: inches.
      height: inches.
      **kwargs: of Matplotlib's Figure.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        figure = Figure(figsize=(width, height), **kwargs)
        FigureCanvasAgg(figure)
        yield figure


def scatter_classes(axes, points: np.ndarray, labels, **style) -> list[PathCollection]:
    """Scatters points, `[n, 2]`, in a colour and with a legend entry per class.

    Points of all classes are drawn in their given order, so that none hides the rest.
    Returns the artists for a legend.
    """
    labels = np.asarray(labels)
    classes, index = np.unique(labels, return_inverse=True)
    colours = [matplotlib.colors.to_rgb(colour) for colour in _CLASS_COLOURS]
    if len(classes) > len(colours):
        colours = matplotlib.colormaps["turbo"](np.linspace(0.05, 0.95, len(classes)))
    axes.scatter(*np.transpose(points), c=np.asarray(colours)[index], **style)
    return [
        axes.scatter([], [], s=40, color=[colour], linewidths=0, label=str(name))
        for name, colour in zip(classes, colours, strict=False)
    ]


def class_legend(figure: Figure, handles: list[PathCollection]) -> None:
    """A legend of what `scatter_classes` returned, right of the panels."""
    figure.legend(
        handles=handles,
        loc="outside right center",
        title="class",
        handletextpad=0.2,
        borderpad=0,
    )

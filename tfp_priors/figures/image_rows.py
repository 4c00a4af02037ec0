"""Labelled rows of images: samples, interpolations, neighbours (figures 4, 6 to 9)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.font_manager
import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from tfp_priors.errors import UserError
from tfp_priors.figures.output import DPI
from tfp_priors.figures.output import save_columns
from tfp_priors.figures.output import save_figure
from tfp_priors.figures.style import new_figure

# In pixels of the PNG.
_CELL = 60  # about the size of an image on the page
_GAP = 4  # about, between images
_MARGIN = 8
_FONT = 11  # points
_FRAME = "#E02B20"


def save_image_rows(
    rows: Mapping[str, np.ndarray],
    path: str | Path,
    title: str = "",
    ends: bool = False,
    numbers: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Writes a row of images per label as `path`.png, .svg and .csv.

    Images are shown as they come, enlarged by a whole factor and not smoothed. Rows
    may be of different lengths, and some grey, some in colour.

    Args:
      rows: images `[n, height, width, 1 or 3]` in [0, 1] by label, all of one height
        and width.
      path: of the files, without suffix.
      title: above the rows.
      ends: sets the first and the last image of each row apart, with a gap and a
        frame; such as the real images at both ends of an interpolation.
      numbers: columns of the CSV, of equal lengths; by default label, column, and the
        mean and standard deviation of each image's pixels.

    Raises:
      UserError: if there are no images, or their shapes do not fit.
    """
    rows = {label: np.asarray(images) for label, images in rows.items()}
    height, width = _image_size(rows)
    scale = max(1, round(_CELL / max(height, width)))
    gap = max(1, round(_GAP / scale))  # in pixels of the images
    canvas, lefts = _canvas(rows, height, width, gap, ends)
    indent = max(_text_width(label) for label in rows) + 2 * _MARGIN
    top = 28 if title else _MARGIN
    page_width = max(
        indent + scale * canvas.shape[1] + _MARGIN, _text_width(title) + 2 * _MARGIN
    )
    page_height = top + scale * canvas.shape[0] + _MARGIN
    # Rounded down by Matplotlib: a little more, lest a pixel is lost.
    inches = [(pixels + 1e-6) / DPI for pixels in (page_width, page_height)]
    with new_figure(*inches, dpi=DPI) as figure:
        # The axes are a whole number of pixels per image pixel: nothing is resampled.
        axes = figure.add_axes(
            (
                indent / page_width,
                _MARGIN / page_height,
                scale * canvas.shape[1] / page_width,
                scale * canvas.shape[0] / page_height,
            )
        )
        axes.set_axis_off()
        axes.imshow(canvas, interpolation="none", aspect="auto")
        for i, (label, images) in enumerate(rows.items()):
            above = i * (height + gap)
            # Data coordinates run through the middles of pixels.
            place = -_MARGIN / scale - 0.5, above + height / 2 - 0.5
            axes.text(*place, label, ha="right", va="center", fontsize=_FONT)
            for column in (0, len(images) - 1) if ends else ():
                axes.add_patch(_frame(lefts[i][column], above, width, height))
        if title:
            middle = (indent + scale * canvas.shape[1] / 2) / page_width
            _write_title(figure, title, middle, page_width, page_height)
        save_figure(figure, path)
    save_columns(_statistics(rows) if numbers is None else numbers, path, digits=6)


def _frame(left, above, width, height):
    """Around an image whose first pixel is at (left, above)."""
    return Rectangle(
        (left - 0.5, above - 0.5),
        width,
        height,
        fill=False,
        edgecolor=_FRAME,
        linewidth=1.2,
        clip_on=False,
    )


def _write_title(figure, title, middle, page_width, page_height):
    """Centred over the images, unless it would leave the page."""
    half = (_text_width(title) / 2 + _MARGIN) / page_width
    figure.text(
        np.clip(middle, half, 1 - half),
        1 - 8 / page_height,
        title,
        ha="center",
        va="top",
        fontsize=_FONT,
    )


def _image_size(rows):
    shapes = {label: images.shape for label, images in rows.items()}
    if (
        not rows
        or any(len(shape) != 4 or 0 in shape for shape in shapes.values())
        or any(shape[-1] not in (1, 3) for shape in shapes.values())
        or len({shape[1:3] for shape in shapes.values()}) > 1
    ):
        raise UserError(
            "rows must be images [n, height, width, 1 or 3] of one height and width, "
            f"received shapes {shapes}: give at least one image per row, of one model "
            "or data set."
        )
    return next(iter(shapes.values()))[1:3]


def _canvas(rows, height, width, gap, ends):
    """All images on white, uint8 `[h, w, 3]`, and of each row the images' lefts."""
    columns = max(len(images) for images in rows.values())
    apart = 2 * gap + 1 if ends else 0
    canvas = np.full(
        (
            len(rows) * (height + gap) - gap,
            columns * (width + gap) - gap + 2 * apart,
            3,
        ),
        255,
        np.uint8,
    )
    lefts = []
    for i, images in enumerate(rows.values()):
        lefts.append(np.arange(len(images)) * (width + gap))
        if ends:
            lefts[i][1:] += apart
            lefts[i][-1] += apart * (len(images) > 1)
        pixels = np.round(np.clip(images, 0.0, 1.0) * 255).astype(np.uint8)
        for left, image in zip(lefts[i], pixels, strict=True):
            canvas[i * (height + gap) :][:height, left : left + width] = image
    return canvas, lefts


def _text_width(text):
    """Pixels of the PNG that a line of text takes, rounded up."""
    if not text.strip():
        return 0
    font = matplotlib.font_manager.FontProperties(family="DejaVu Sans")
    path = TextPath((0, 0), text, size=_FONT, prop=font)
    return int(np.ceil(path.get_extents().x1 / 72 * DPI))


def _statistics(rows):
    images = [
        (label, column, image)
        for label, row in rows.items()
        for column, image in enumerate(row)
    ]
    return {
        "label": [label for label, _, _ in images],
        "column": [column for _, column, _ in images],
        "mean": [image.mean(dtype=np.float64) for _, _, image in images],
        "standard_deviation": [image.std(dtype=np.float64) for _, _, image in images],
    }

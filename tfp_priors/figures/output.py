"""Pictures and the numbers behind them, on disk."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tfp_priors.files import write_text
from tfp_priors.files import written_atomically

#: Pixels per inch of the PNG, and of what is a raster within the SVG.
DPI = 110

# Without a date equal figures are equal files.
_METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def save_figure(figure: Figure, path: str | Path) -> None:
    """Writes `path`.png and `path`.svg; equal figures give equal bytes.

    Args:
      figure: of `new_figure`, in its block.
      path: of the files, without suffix.
    """
    for suffix, metadata in _METADATA.items():
        with written_atomically(_with_suffix(path, suffix)) as temporary:
            figure.savefig(temporary, format=suffix, dpi=DPI, metadata=metadata)


def save_columns(
    columns: Mapping[str, Sequence[Any]], path: str | Path, digits: int
) -> None:
    """Writes columns of equal length as `path`.csv, with a line of names.

    Args:
      columns: values by name; None is left empty.
      path: of the file, without suffix.
      digits: significant digits of floating-point numbers.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    written = [_texts(values, digits) for values in columns.values()]
    writer.writerows(zip(*written, strict=True))
    write_text(_with_suffix(path, "csv"), text.getvalue())


def _texts(values, digits):
    """The values as the CSV has them: numbers rounded, the rest as it is."""
    return [
        f"{value:.{digits}g}" if isinstance(value, float | np.floating) else value
        for value in values
    ]


def _with_suffix(path, suffix):
    # Path.with_suffix would take the ".5" of "beta0.5" for one.
    path = Path(path)
    return path.with_name(f"{path.name}.{suffix}")

"""What the tests of pictures share."""

import csv
import xml.etree.ElementTree as ElementTree

import numpy as np
from PIL import Image


def saved(folder, save):
    """Calls save(path) twice and returns the picture and the CSV's columns.

    Checks that there are three files, that they open, and that the bytes are equal.

    Args:
      folder: empty, of the test.
      save: writes path.png, path.svg and path.csv.

    Returns:
      Pixels of the PNG, uint8 `[h, w, 3]`, and texts by column.
    """
    # A dot in the name is no suffix.
    for name in ("first", "second"):
        save(folder / name / "beta0.5")
        names = sorted(path.name for path in (folder / name).iterdir())
        assert names == ["beta0.5.csv", "beta0.5.png", "beta0.5.svg"]
    for name in names:
        contents = (folder / "first" / name).read_bytes()
        assert contents == (folder / "second" / name).read_bytes(), name
    root = ElementTree.parse(folder / "first" / "beta0.5.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    with Image.open(folder / "first" / "beta0.5.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 2
    return pixels, read_columns(folder / "first" / "beta0.5.csv")


def read_columns(path):
    """Texts by column."""
    with path.open(newline="") as file:
        names, *rows = csv.reader(file)
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def read_rows(path):
    """Texts by column, of each row."""
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbers(texts):
    """Texts of a CSV as numbers; empty ones as NaN."""
    return np.array([float(text) if text else np.nan for text in texts])

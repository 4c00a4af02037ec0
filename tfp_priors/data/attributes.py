"""Attributes of the pictures of a folder, in a table."""

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from tfp_priors.data.tables import read_table
from tfp_priors.errors import UserError

#: The table's name, in the folder of the pictures.
TABLE = "attributes.csv"


def read_attributes(
    source: Path, pictures: Iterable[Path]
) -> dict[Path, dict[str, bool]]:
    """Which attributes each picture has, by their names.

    Args:
      source: folder with the table: a first column `file`, the pictures' paths within
        the folder, and a column of 0 and 1 for each attribute.
      pictures: paths of those that are to have attributes.

    Raises:
      UserError: if the table is not in this form, or a picture is not in it; the line
        or the picture is named.
    """
    path = source / TABLE
    header, rows = read_table(path)
    names = header[1:]
    if header[:1] != ["file"] or not names:
        raise UserError(
            f"The first line of {path} is {','.join(header)!r}: expected file and the "
            "names of attributes, such as file,male,smiling."
        )
    if any(name.encode(errors="replace").decode() != name for name in names):
        raise UserError(
            f"The first line of {path} is no text in UTF-8: save it as such."
        )
    for name in names:
        if not name or "/" in name or names.count(name) > 1:
            problem = "has a slash" if "/" in name else "is there twice"
            raise UserError(
                f"The attribute {name!r} in the first line of {path} "
                f"{problem if name else 'has no name'}: give each a name of its own."
            )
    found = {}
    for where, (file, *values) in rows:
        picture = _place(source / file.strip())
        if picture in found:
            raise UserError(f"The picture {file} comes again in {where}.")
        found[picture] = {
            name: _has(name, value, where)
            for name, value in zip(names, values, strict=True)
        }
    of = {picture: found.get(_place(picture)) for picture in pictures}
    missing = [picture for picture, row in of.items() if row is None]
    if missing:
        others = sorted({*found} - set(map(_place, of)))
        hint = f" It has {others[0]}, which is none of them." if others else ""
        raise UserError(
            f"{path} lacks {len(missing)} of {len(of)} pictures, the first of them "
            f"{missing[0].relative_to(source)}: add their rows, or take the pictures "
            f"out of the folder.{hint}"
        )
    return of


def _place(path):
    """A path in its one spelling; of an accent, macOS makes two characters."""
    return Path(unicodedata.normalize("NFC", os.path.normpath(path)))


def _has(name, value, where):
    """Whether a picture has an attribute."""
    if value.strip() not in ("0", "1"):
        raise UserError(
            f"{name} is {value!r} in {where}: expected 0 or 1, if the picture has it."
        )
    return value.strip() == "1"

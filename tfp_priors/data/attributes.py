"""Attributes of the pictures of a folder, in a table."""

from collections.abc import Iterable
from pathlib import Path
from pathlib import PurePosixPath

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
    for name in names:
        if not name or "/" in name or names.count(name) > 1:
            raise UserError(
                f"The attribute {name!r} in the first line of {path} is empty, has a "
                "slash, or is there twice: give each a name of its own."
            )
    found = {}
    for where, (file, *values) in rows:
        picture = source / PurePosixPath(file.strip())
        if picture in found:
            raise UserError(f"The picture {file} comes again in {where}.")
        for name, value in zip(names, values, strict=True):
            if value.strip() not in ("0", "1"):
                raise UserError(
                    f"{name} is {value!r} in {where}: expected 0 or 1, if the picture "
                    "has it."
                )
        found[picture] = {
            name: value.strip() == "1"
            for name, value in zip(names, values, strict=True)
        }
    pictures = list(pictures)
    missing = [picture for picture in pictures if picture not in found]
    if missing:
        raise UserError(
            f"{missing[0].relative_to(source)} is not in {path}, as are "
            f"{len(missing) - 1} other pictures: add their rows, or take the pictures "
            "out of the folder."
        )
    return {picture: found[picture] for picture in pictures}

"""Tables of users: CSV files with names in the first line."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from tfp_priors.errors import UserError


def read_text(path: Path) -> str:
    """A text file's content; bytes that are not UTF-8 stay as in names of files.

    Raises:
      UserError: if it is no text of single bytes.
    """
    content = path.read_bytes()
    if b"\0" in content:
        raise UserError(f"{path} is no text in UTF-8: save it as such.")
    # Spreadsheets begin a file with a byte order mark.
    return content.decode("utf-8-sig", errors="surrogateescape")


def read_table(path: Path) -> tuple[list[str], Iterator[tuple[str, list[str]]]]:
    """The names of the columns, and the rows; empty lines are left out.

    Returns:
      The names, without spaces around them; and for each row where it is, in words, and
      its values, as many as there are names.

    Raises:
      UserError: on the way if a line is no CSV, or is longer or shorter than the first.
    """
    numbered = _numbered(path)
    header = [name.strip() for name in next(numbered, (1, []))[1]]

    def rows():
        for number, row in numbered:
            where = f"line {number} of {path}"
            if row and len(row) != len(header):
                raise UserError(
                    f"Expected {len(header)} values, as in its first line, received "
                    f"{len(row)} in {where}."
                )
            if row:
                yield where, row

    return header, rows()


def _numbered(path):
    """The rows of a file, each with the number of its last line."""
    rows = csv.reader(io.StringIO(read_text(path), newline=""))
    try:
        for row in rows:
            yield rows.line_num, row
    except csv.Error as error:
        raise UserError(f"Line {rows.line_num} of {path}: {error}.") from error

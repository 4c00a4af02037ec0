"""The files of the CelebA page: whether they are whole and belong together."""

import io
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from tfp_priors.data import archives
from tfp_priors.errors import UserError

ARCHIVE = "img_align_celeba.zip"
PARTITION = "list_eval_partition.txt"
ATTRIBUTES = "list_attr_celeba.txt"
LANDMARKS = "list_landmarks_align_celeba.txt"
IDENTITY = "identity_CelebA.txt"

FILES = (ARCHIVE, PARTITION, ATTRIBUTES, LANDMARKS, IDENTITY)

#: Of the archive: 202,599 pictures of less than 0.1 MB.
LIMITS = archives.Limits(250_000, 2**20, 8 * 2**30)

# Of every picture, width and height in pixels.
_SIZE = (178, 218)

# Values in a row, and the lines before the first one: a count and the columns' names.
_TABLES = {
    PARTITION: (1, 0),
    ATTRIBUTES: (40, 2),
    LANDMARKS: (10, 2),
    IDENTITY: (1, 0),
}

# A JPEG file begins and ends with these; a truncated one lacks the end.
_START, _END = b"\xff\xd8", b"\xff\xd9"


def check(paths: Mapping[str, Path]) -> list[str]:
    """Checks the five files against each other.

    Args:
      paths: of `FILES`, by name.

    Returns:
      Names of the pictures that are damaged.

    Raises:
      UserError: if a table is not in its format, the archive or a picture is larger
        than it can be, or the pictures of two files are not the same; the first that
        differs is named.
    """
    pictures, damaged = _pictures(paths[ARCHIVE])
    for file in _TABLES:
        named = _names(paths[file], file)
        for name in sorted(pictures ^ named):
            where, not_in = (ARCHIVE, file) if name in pictures else (file, ARCHIVE)
            raise UserError(
                f"{name} is in {where}, but not in {not_in}: they are of different "
                f"versions of CelebA ({len(pictures)} pictures, {len(named)} rows). "
                "Take all files from one place."
            )
    return damaged


def without(partition: Path, damaged: list[str], target: Path) -> Path:
    """Writes the rows of a partition file whose pictures are whole."""
    left_out = set(damaged)
    rows = partition.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [row for row in rows if row.split()[0] not in left_out]
    target.write_text("".join(kept), encoding="utf-8")
    return target


def _pictures(path):
    """The names of the archive's pictures, and those of the damaged ones."""
    names, damaged = set(), []
    with archives.damage_named(path), zipfile.ZipFile(path) as archive:
        for info in archives.zip_members(path, archive, LIMITS):
            name = info.filename.rsplit("/", 1)[-1]
            names.add(name)
            try:
                # It checks the archive's own sum.
                content = archives.zip_content(archive, info)
            except zipfile.BadZipFile:
                damaged.append(name)
                continue
            if not _is_whole(content, f"{name} in {path}"):
                damaged.append(name)
    return names, damaged


def _is_whole(content, name):
    """Whether a picture is not damaged.

    Raises:
      UserError: if it has another size, which would be decoded only later.
    """
    if not content.startswith(_START) or not content.rstrip(b"\0").endswith(_END):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=["JPEG"]) as picture:
                size = picture.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{name} is refused: {error}") from error
    except OSError:
        return False
    if size != _SIZE:
        raise UserError(
            f"{name} has {size[0]} x {size[1]} pixels: expected {_SIZE[0]} x "
            f"{_SIZE[1]}, as in the aligned and cropped pictures of CelebA."
        )
    return True


def _names(path, file):
    """The pictures that a table has a row for."""
    width, head = _TABLES[file]
    rows = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not rows:
        raise UserError(f"{path} is empty. Download {file} again.")
    names = set()
    for number, row in enumerate(rows[head:], start=head + 1):
        name, *values = row.split() or [""]
        if len(values) != width or not all(_is_integer(value) for value in values):
            raise UserError(
                f"Line {number} of {path} has {len(values)} values: expected the name "
                f"of a picture and {width} whole numbers. Download {file} again."
            )
        names.add(name)
    if head and rows[0].strip() != str(len(names)):
        raise UserError(
            f"{path} has {len(names)} rows, its first line says {rows[0].strip()}: it "
            f"is cut off or was edited. Download {file} again."
        )
    return names


def _is_integer(text):
    return text.removeprefix("-").isdigit()

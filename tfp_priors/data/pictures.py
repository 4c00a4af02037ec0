"""Image files of users: which of a folder are pictures, and what is seen on them."""

import collections
import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL import ImageOps

from tfp_priors.errors import UserError
from tfp_priors.files import is_hidden

#: What may be in them. Pillow would hand an EPS file to another program.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")

_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif"),
    *(".webp", ".bmp", ".gif", ".tif", ".tiff"),
)
_SIXTEEN = ("I;16", "I;16B", "I;16L")
_GREY_MODES = ("1", "L", "LA", "I", *_SIXTEEN, "F")
#: Pixels of a picture. Photographs have up to 200 million; more would fill the memory.
LARGEST = 256 * 10**6
# What Pillow raises.
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def find_pictures(folder: Path) -> tuple[list[Path], collections.Counter]:
    """The pictures of a folder and all folders in it, and what else there is.

    Returns:
      The paths, sorted; and how many files were left out, by reason.
    """
    paths, left_out = [], collections.Counter()
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            if path.is_symlink():
                left_out["a link to a folder, or to nothing"] += 1
            continue
        inside = path.relative_to(folder).parts
        if any(map(is_hidden, inside)):
            left_out["hidden"] += 1
        elif path.suffix.lower() not in _SUFFIXES:
            left_out[f"no picture ({path.suffix.lower() or path.name})"] += 1
        else:
            paths.append(path)
    return paths, left_out


@contextlib.contextmanager
def _opened(path: Path | BinaryIO) -> Iterator[Image.Image]:
    """The file, whose pixels are not read yet.

    Raises:
      UserError: if what is done within cannot be done; the file is named.
    """
    limit = Image.MAX_IMAGE_PIXELS
    name = path if isinstance(path, Path) else path.name
    try:
        Image.MAX_IMAGE_PIXELS = LARGEST
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as opened:
                yield opened
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(
            f"The image {name} has more than {LARGEST // 10**6} million pixels: scale "
            "it down."
        ) from error
    except _UNREADABLE as error:
        # Pillow names an open file by its address in memory.
        why = str(error).replace(repr(path), repr(name))
        raise UserError(
            f"Cannot read the image {name} ({why}): repair or remove it."
        ) from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def size_and_channels(path: Path) -> tuple[tuple[int, int], int]:
    """`(height, width)` in pixels as it is seen, and 1 for a grey picture, else 3.

    Raises:
      UserError: if the file cannot be read; it is named.
    """
    with _opened(path) as opened:
        height, width = opened.height, opened.width
        # EXIF's orientations from 5 on exchange the sides; Pillow does so for TIFF.
        if opened.format != "TIFF" and opened.getexif().get(0x0112) in (5, 6, 7, 8):
            height, width = width, height
        is_grey = opened.mode in _GREY_MODES
        if opened.mode == "P":
            colours = np.reshape(opened.getpalette(), (-1, 3))
            is_grey = (colours == colours[:, :1]).all()
        return (height, width), 1 if is_grey else 3


def has_sixteen_bits(path: Path) -> bool:
    """Whether grey values are stored as 0 to 65535.

    Raises:
      UserError: if the file cannot be read; it is named.
    """
    with _opened(path) as opened:
        return opened.mode in _SIXTEEN


def has_eight_in_32_bits(path: Path) -> bool | None:
    """Whether no grey value exceeds 255 though each has 32 bits; None: it has fewer.

    Raises:
      UserError: if the file cannot be read; it is named.
    """
    with _opened(path) as opened:
        return opened.getextrema()[1] <= 255 if opened.mode in ("I", "F") else None


def _seen(opened: Image.Image, channels: int) -> Image.Image:
    """A picture as it is seen: upright, over white, of 8 bits."""
    picture = ImageOps.exif_transpose(opened)
    if picture.mode.startswith("I") or picture.mode == "F":
        # Pillow clips 16 bits to 8 bits; keep the range instead.
        values = np.asarray(picture, np.float64)
        if picture.mode == "F" and (values != np.round(values)).any():
            raise ValueError("its grey values are fractions, not those of 8 or 16 bits")
        # A NaN compares as false.
        if not (values.min() >= 0 and values.max() < 2**16):
            raise ValueError("its grey values are not those of 16 bits, 0 to 65535")
        transparent = values == picture.info.get("transparency", -1)
        # What has 32 bits because its program knows no 8; see `ImageFolder`.
        if opened.mode not in _SIXTEEN and values.max() <= 255:
            values *= 257
        values = np.where(transparent, 255, (values / 257.0).round())
        picture = Image.fromarray(values.astype(np.uint8))
    elif "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("L" if channels == 1 else "RGB")


def read_image(
    path: Path | BinaryIO, size: tuple[int, int], channels: int, scale: bool = True
) -> np.ndarray:
    """Reads one picture, turned as its EXIF orientation says; crops and scales it.

    Transparent pixels are laid over white; the largest centred rectangle of the
    wanted proportions is kept and scaled with an antialiasing filter. Of an animation
    it is the first frame.

    Args:
      path: of a file of `FORMATS`, or such a file with a `name`; of 1, 8 or 16 bits,
        grey, RGB, CMYK, with a palette or transparent.
      size: `(height, width)` of the result in pixels.
      channels: 1 for grey, 3 for RGB.
      scale: whether it may have another size; if not, it is refused undecoded.

    Returns:
      uint8 array `[height, width, channels]`.

    Raises:
      UserError: if the file cannot be decoded, or has another size; it is named.
    """
    height, width = size
    with _opened(path) as opened:
        own = opened.size
        # Which sides are which is known once it is decoded.
        picture = None
        if scale or sorted(own) == sorted((width, height)):
            picture = _seen(opened, channels)
            own = picture.size
    if not scale and own != (width, height):
        raise UserError(
            f"{path} has {own[0]}x{own[1]} pixels, the data set {width}x{height}: "
            "scale the pictures to that size."
        )
    if picture.size != (width, height):
        picture = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture, np.uint8).reshape(height, width, channels)

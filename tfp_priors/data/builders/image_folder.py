"""Any folder of pictures as a TFDS data set with images of one shape."""

import hashlib
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from tfp_priors.errors import UserError

_SUFFIXES = (".png", ".jpg", ".jpeg")

#: What may be in them. Pillow would hand an EPS file to another program.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")

_GREY_MODES = ("1", "L", "LA", "I", "I;16", "F")
_TEST_SHARE = 0.1

#: What Pillow raises; the last two for pictures of more than 89 million pixels.
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def find_images(folder: Path) -> dict[str, list[Path]]:
    """The PNG and JPEG files of a folder by class, sorted.

    Subfolders are classes; a folder without any is one class, "all".

    Raises:
      UserError: if the folder does not exist or has no images, or a subfolder's name
        cannot be a class's.
    """
    if not folder.is_dir():
        raise UserError(f"Expected a folder of images, but {folder} is none.")
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    found = {path.name: _images_below(path) for path in classes}
    found = {name: paths for name, paths in found.items() if paths}
    for name in found:
        # TFDS keeps them in a file of UTF-8, a line each, and strips the lines.
        if name.strip().encode(errors="replace").decode().splitlines() != [name]:
            raise UserError(
                f"The folder {folder / name} cannot be a class: expected a name in "
                "UTF-8, without line breaks or spaces around it. Rename it."
            )
    if not found:
        found = {"all": _images_below(folder)}
    if not any(found.values()):
        raise UserError(
            f"Expected PNG or JPEG files in {folder} or its subfolders, found none."
        )
    return found


def _images_below(folder: Path) -> list[Path]:
    paths = (p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    return sorted(p for p in paths if p.is_file())


def read_image(path: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    """Reads, crops and scales one picture.

    Transparent pixels are laid over white; the largest centred rectangle of the
    wanted proportions is kept and scaled with an antialiasing filter.

    Args:
      path: PNG or JPEG file; grey, RGB, RGBA or with a palette.
      size: `(height, width)` of the result in pixels.
      channels: 1 for grey, 3 for RGB.

    Returns:
      uint8 array `[height, width, channels]`.

    Raises:
      UserError: if the file cannot be decoded; it is named.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as opened:
                opened.load()
                picture = opened
                if "A" in opened.getbands() or "transparency" in opened.info:
                    picture = opened.convert("RGBA")
                    white = Image.new("RGBA", picture.size, "white")
                    picture = Image.alpha_composite(white, picture)
                elif opened.mode.startswith("I") or opened.mode == "F":
                    # Pillow clips 16 bits to 8 bits; keep the range instead.
                    values = np.asarray(opened, np.float64) / 257.0
                    picture = Image.fromarray(values.round().astype(np.uint8))
                picture = picture.convert("L" if channels == 1 else "RGB")
    except UNREADABLE as error:
        raise UserError(
            f"Cannot read the image {path} ({error}): repair or remove it."
        ) from error
    height, width = size
    scale = min(picture.width / width, picture.height / height)
    left = (picture.width - scale * width) / 2
    top = (picture.height - scale * height) / 2
    box = (left, top, left + scale * width, top + scale * height)
    picture = picture.resize((width, height), Image.Resampling.LANCZOS, box=box)
    return np.asarray(picture, np.uint8).reshape(height, width, channels)


def _describe(paths: Iterable[Path]) -> tuple[tuple[int, int], int]:
    """Size of the first picture, and 1 channel if every picture is grey, else 3."""
    size, channels = None, 1
    for path in paths:
        try:
            with Image.open(path, formats=FORMATS) as opened:
                size = size or (opened.height, opened.width)
                if opened.mode not in _GREY_MODES:
                    channels = 3
        except UNREADABLE as error:
            raise UserError(
                f"Cannot read the image {path} ({error}): repair or remove it."
            ) from error
        if channels == 3:
            break
    return size, channels


class ImageFolder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Pictures of a folder, cropped and scaled to one shape.

    A tenth of the pictures is the test split, chosen by a hash of the path within
    the folder: adding a picture moves no other. Subfolders `train` and `test`, if
    both are there, are the splits instead.

    Args:
      source: the folder.
      label: name of the prepared set, the TFDS config.
      image_size: `(height, width)` in pixels; by default that of the first picture.
      **kwargs: passed on to TFDS.
    """

    name = "image_folder"
    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        source: Path,
        label: str,
        image_size: tuple[int, int] | None = None,
        **kwargs,
    ):
        self._source = Path(source)
        splits = [self._source / "train", self._source / "test"]
        if all(path.is_dir() for path in splits):
            self._train, self._test = map(find_images, splits)
        else:
            self._train, self._test = self._split(find_images(self._source))
        paths = [p for part in (self._train, self._test) for p in _flatten(part)]
        first_size, self._channels = _describe(paths)
        self._size = image_size or first_size
        config = tfds.core.BuilderConfig(name=label, version=self.VERSION)
        super().__init__(config=config, **kwargs)

    def _split(self, found):
        train, test = {}, {}
        for label, paths in found.items():
            for path in paths:
                part = test if self._is_test(path) else train
                part.setdefault(label, []).append(path)
        if not train or not test:
            count = sum(map(len, found.values()))
            raise UserError(
                f"{self._source} has {count} images, too few for a training and a "
                "test split: add images, or make subfolders train and test."
            )
        return train, test

    def _is_test(self, path):
        key = os.fsencode(path.relative_to(self._source))
        return hashlib.sha256(key).digest()[0] < _TEST_SHARE * 256

    def _info(self):
        labels = sorted({*self._train, *self._test})
        return tfds.core.DatasetInfo(
            builder=self,
            description="Pictures of a local folder.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(*self._size, self._channels), encoding_format="png"
                    ),
                    "label": tfds.features.ClassLabel(names=labels),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {
            "train": self._generate_examples(self._train),
            "test": self._generate_examples(self._test),
        }

    def _generate_examples(self, found):
        for label, paths in found.items():
            for path in paths:
                image = read_image(path, self._size, self._channels)
                # Names of files need not be UTF-8.
                key = os.fsencode(path.relative_to(self._source))
                yield key, {"image": image, "label": label}


def _flatten(found):
    return [path for paths in found.values() for path in paths]

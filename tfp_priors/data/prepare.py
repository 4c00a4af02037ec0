"""Prepares TFDS data from local files, for machines without a connection."""

import functools
import gzip
import math
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import tensorflow_datasets as tfds

from tfp_priors.data.builders.image_folder import ImageFolder
from tfp_priors.data.datasets import BUILT_IN
from tfp_priors.data.datasets import download_and_prepare
from tfp_priors.errors import UserError

# The files that each TFDS builder asks for, in the form in which they are handed
# out. CelebA's names stand for the keys under which its builder asks.
_FILES = {
    "mnist": (
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ),
    "cifar10": ("cifar-10-binary.tar.gz",),
    "celeb_a": (
        "img_align_celeba.zip",
        "list_eval_partition.txt",
        "list_attr_celeba.txt",
        "list_landmarks_align_celeba.txt",
        "identity_CelebA.txt",
    ),
}
_FILES["fashion_mnist"] = _FILES["mnist"]
_CELEB_A_KEYS = {
    "img_align_celeba": "img_align_celeba.zip",
    "list_eval_partition": "list_eval_partition.txt",
    "list_attr_celeba": "list_attr_celeba.txt",
    "landmarks_celeba": "list_landmarks_align_celeba.txt",
    "identity_celeba": "identity_CelebA.txt",
}
_IDX_SHAPES = {
    "train-images-idx3-ubyte": (60000, 28, 28),
    "train-labels-idx1-ubyte": (60000,),
    "t10k-images-idx3-ubyte": (10000, 28, 28),
    "t10k-labels-idx1-ubyte": (10000,),
}


def prepare(
    name: str,
    source: str | None,
    data_dir: str | None = None,
    image_size: int | None = None,
) -> Path:
    """Writes a prepared TFDS data set from local files.

    Args:
      name: "mnist", "fashion_mnist", "cifar10", "celeb_a", "image_folder/NAME" or one
        of `BUILT_IN`.
      source: folder with the downloaded files or the images; None only for those of
        `BUILT_IN`.
      data_dir: where to write; None: TFDS's default.
      image_size: side in pixels to which folder images are scaled.

    Returns:
      The folder of the prepared data.

    Raises:
      UserError: if files are missing or damaged; nothing is written then.
    """
    label = name.removeprefix("image_folder/")
    if name in BUILT_IN:
        make = functools.partial(BUILT_IN[name], data_dir=data_dir)
    elif source is None:
        raise UserError(f"{name} needs --source, the folder of its files.")
    elif name != label:
        if not label or "/" in label or label.startswith("."):
            raise UserError(f"image_folder/NAME needs a plain name, received {name!r}.")
        size = None if image_size is None else (image_size, image_size)
        make = functools.partial(ImageFolder, source, label, size, data_dir=data_dir)
    elif name in _FILES:
        make = functools.partial(tfds.builder, name, data_dir=data_dir)
    else:
        known = ", ".join((*BUILT_IN, "image_folder/NAME", *_FILES))
        raise UserError(f"Cannot prepare {name!r} from files; expected one of {known}.")
    builder = make()
    if builder.is_prepared():
        return Path(builder.data_dir)
    with tempfile.TemporaryDirectory() as scratch:
        files = None
        if name in _FILES:
            files = _LocalFiles(name, Path(source), Path(scratch))

        def make_from_files():
            builder = make()
            if files is not None:
                # TFDS has no public way to say where already downloaded files are.
                builder._make_download_manager = lambda **_: files
            return builder

        builder = download_and_prepare(make_from_files)
    return Path(builder.data_dir)


class _LocalFiles:
    """Hands TFDS local files in place of downloads."""

    downloaded_size = 0

    def __init__(self, name: str, source: Path, scratch: Path):
        if not source.is_dir():
            raise UserError(f"Expected a folder with the files of {name}: {source}.")
        self._source = source
        self._scratch = scratch
        missing = [file for file in _FILES[name] if self._find(file) is None]
        if missing:
            raise UserError(
                f"{source} lacks {', '.join(missing)} of {name}; expected "
                f"{', '.join(_FILES[name])} (gzipped files may be unpacked)."
            )

    def download(self, urls):
        """Paths of CelebA's files, whose URLs do not contain their names."""
        return {key: self._find(_CELEB_A_KEYS[key]) for key in urls}

    def download_and_extract(self, urls):
        if isinstance(urls, dict):
            return {key: self.download_and_extract(url) for key, url in urls.items()}
        file = urls.rsplit("/", 1)[-1]
        return self._unpacked(self._find(file), file)

    def iter_archive(self, path):
        """Yields (name, file) for each file of a zip archive."""
        try:
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if not info.is_dir():
                        with archive.open(info) as file:
                            # Bytes outlive the archive; TFDS reads them later.
                            yield info.filename, _Bytes(file.read())
        except (zipfile.BadZipFile, EOFError) as error:
            raise _damaged(path, error) from error

    def _find(self, file):
        candidates = (file, file.removesuffix(".gz"), file.removesuffix(".tar.gz"))
        for candidate in candidates:
            if (path := self._source / candidate).exists():
                return path
        if file.startswith("cifar-10") and (self._source / "data_batch_1.bin").exists():
            return self._source
        return None

    def _unpacked(self, path, file):
        if file.endswith(".tar.gz"):
            return self._untarred(path)
        if path.suffix == ".gz":
            target = self._scratch / path.stem
            _guarded(path, lambda: _gunzip(path, target))
            path, name = target, path
        else:
            name = path
        if path.name in _IDX_SHAPES:
            _check_idx(path, name, _IDX_SHAPES[path.name])
        return path

    def _untarred(self, path):
        folder = "cifar-10-batches-bin"
        if path.is_dir():
            # TFDS looks for the archive's own folder.
            if (path / folder).is_dir():
                return path
            (self._scratch / folder).symlink_to(path.resolve())
            return self._scratch

        def extract():
            with tarfile.open(path) as archive:
                archive.extractall(self._scratch, filter="data")

        _guarded(path, extract)
        return self._scratch


class _Bytes:
    """A readable file that can be read again from the start."""

    def __init__(self, data):
        self._data = data

    def read(self):
        return self._data


def _gunzip(path, target):
    with gzip.open(path) as packed, target.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)


def _guarded(path, unpack: Callable[[], None]):
    try:
        unpack()
    except (gzip.BadGzipFile, tarfile.TarError, EOFError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path, error):
    return UserError(f"{path} is damaged ({error}): download it again.")


def _check_idx(path, name, shape):
    """Raises UserError unless an idx file has the expected shape and length."""
    header = 4 + 4 * len(shape)
    expected = bytes((0, 0, 8, len(shape)))
    expected += b"".join(n.to_bytes(4, "big") for n in shape)
    with path.open("rb") as file:
        received = file.read(header)
    size = path.stat().st_size
    if received != expected or size != header + math.prod(shape):
        raise UserError(
            f"{name} is not the expected idx file: expected uint8 of shape {shape} "
            f"in {header + math.prod(shape)} bytes, received {size} bytes."
        )

"""Prepares TFDS data from local files, for machines without a connection."""

import functools
import io
import math
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import tensorflow_datasets as tfds

from tfp_priors.data import archives
from tfp_priors.data import celeb_a
from tfp_priors.data import deepfashion
from tfp_priors.data.builders.deepfashion import DeepFashion
from tfp_priors.data.builders.image_folder import ImageFolder
from tfp_priors.data.builders.image_folder import label_of
from tfp_priors.data.datasets import BUILT_IN
from tfp_priors.data.datasets import download_and_prepare
from tfp_priors.data.pictures import LARGEST
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.files import sha256

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
    "celeb_a": celeb_a.FILES,
}
_FILES["fashion_mnist"] = _FILES["mnist"]
_CELEB_A_KEYS = {
    "img_align_celeba": celeb_a.ARCHIVE,
    "list_eval_partition": celeb_a.PARTITION,
    "list_attr_celeba": celeb_a.ATTRIBUTES,
    "landmarks_celeba": celeb_a.LANDMARKS,
    "identity_celeba": celeb_a.IDENTITY,
}
_IDX_SHAPES = {
    "train-images-idx3-ubyte": (60000, 28, 28),
    "train-labels-idx1-ubyte": (60000,),
    "t10k-images-idx3-ubyte": (10000, 28, 28),
    "t10k-labels-idx1-ubyte": (10000,),
}
# The archive of CIFAR-10 has 8 files, the largest of them 31 MB.
_CIFAR10_LIMITS = archives.Limits(100, 64 * 2**20, 512 * 2**20)


class Prepared(NamedTuple):
    """A prepared data set.

    Attributes:
      path: its folder.
      is_new: whether it was prepared now; one that was there is left as it is.
      notes: what its user should know, such as checksums.
    """

    path: Path
    is_new: bool
    notes: list[str]


def prepare(
    name: str,
    source: str | None,
    data_dir: str | None = None,
    image_size: int | None = None,
    skip_damaged: bool = False,
    skip_incomplete: bool = False,
) -> Prepared:
    """Writes a prepared TFDS data set from local files.

    Args:
      name: "mnist", "fashion_mnist", "cifar10", "celeb_a", "deepfashion",
        "image_folder/NAME" or one of `BUILT_IN`.
      source: folder with the downloaded files or the images; None only for those of
        `BUILT_IN`.
      data_dir: where to write; None: TFDS's default.
      image_size: side in pixels to which the images of an image folder are scaled.
      skip_damaged: leave out damaged pictures of celeb_a, and count them.
      skip_incomplete: leave out pictures of deepfashion without the keypoints of hips
        and shoulders, and count them.

    Raises:
      UserError: if files are missing or damaged, or an argument is for another set;
        nothing is written then.
    """
    for flag, given, set_name in (
        ("image_size", image_size is not None, "image_folder"),
        ("skip_damaged", skip_damaged, "celeb_a"),
        ("skip_incomplete", skip_incomplete, DeepFashion.name),
    ):
        if given and name.partition("/")[0] != set_name:
            raise UserError(f"{flag} is for {set_name} alone: leave it out for {name}.")
    if image_size is not None:
        _check_size(image_size)
    make = functools.partial(_maker(name, source, image_size), data_dir=data_dir)
    builder = make()
    if builder.is_prepared():
        return Prepared(Path(builder.data_dir), False, [])
    notes = []
    if name == DeepFashion.name:
        people, notes = deepfashion.read(Path(source), skip_incomplete)
        make = functools.partial(make, people)
    with tempfile.TemporaryDirectory() as scratch:
        files = None
        if name in _FILES:
            files = _LocalFiles(name, Path(source), Path(scratch))
        if name == "celeb_a":
            notes = files.check_celeb_a(builder.url_infos, skip_damaged)

        def make_from_files():
            builder = make()
            if files is not None:
                # TFDS has no public way to say where already downloaded files are.
                builder._make_download_manager = lambda **_: files
            return builder

        builder = download_and_prepare(make_from_files)
        if isinstance(builder, ImageFolder):
            notes = builder.table()
    return Prepared(Path(builder.data_dir), True, notes)


def _check_size(image_size):
    check_counts("prepare", image_size=image_size)
    if image_size**2 > LARGEST:
        raise UserError(
            f"Expected an image_size of at most {math.isqrt(LARGEST)}, received "
            f"{image_size}: it is the side in pixels."
        )


def _maker(name, source, image_size):
    """What makes the builder of a data set, given its data_dir."""
    if name in BUILT_IN:
        if source is not None:
            raise UserError(f"{name} needs no files: leave --source out.")
        return BUILT_IN[name]
    if source is None:
        raise UserError(f"{name} needs --source, the folder of its files.")
    if name.startswith("image_folder/"):
        size = None if image_size is None else (image_size, image_size)
        return functools.partial(ImageFolder, source, label_of(name), size)
    if name == DeepFashion.name:
        return DeepFashion
    if name in _FILES:
        return functools.partial(tfds.builder, name)
    known = ", ".join((*BUILT_IN, "image_folder/NAME", *_FILES, DeepFashion.name))
    raise UserError(f"Cannot prepare {name!r} from files; expected one of {known}.")


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
        return {key: self._replaced(_CELEB_A_KEYS[key]) for key in urls}

    def _replaced(self, file):
        """A file, or what `check_celeb_a` has written in its place."""
        replacement = self._scratch / file
        return replacement if replacement.exists() else self._find(file)

    def check_celeb_a(self, known: Mapping, skip_damaged: bool) -> list[str]:
        """Checks CelebA's files; returns what to tell of them.

        Args:
          known: what TFDS knows of the files, with their checksums.
          skip_damaged: leave damaged pictures out of the partition.
        """
        paths = {file: self._find(file) for file in celeb_a.FILES}
        damaged = celeb_a.check(paths)
        if damaged and not skip_damaged:
            raise UserError(
                f"{damaged[0]} in {paths[celeb_a.ARCHIVE]} is damaged, as are "
                f"{len(damaged) - 1} other pictures: download the archive again, or "
                "leave them out with --skip_damaged."
            )
        notes = []
        if damaged:
            target = self._scratch / celeb_a.PARTITION
            celeb_a.without(paths[celeb_a.PARTITION], damaged, target)
            notes.append(f"left out {len(damaged)} damaged pictures: {damaged[0]}, ...")
        sums = {info.checksum for info in known.values()}
        for file, path in paths.items():
            checksum = sha256(path)
            verdict = "as TFDS has it" if checksum in sums else "not the one of TFDS"
            notes.append(f"{file}: SHA-256 {checksum}, {verdict}")
        return notes

    def download_and_extract(self, urls):
        if isinstance(urls, dict):
            return {key: self.download_and_extract(url) for key, url in urls.items()}
        file = urls.rsplit("/", 1)[-1]
        return self._unpacked(self._find(file), file)

    def iter_archive(self, path):
        """Yields (name, file) for each file of a zip archive."""
        with archives.damage_named(path), zipfile.ZipFile(path) as archive:
            for info in archives.zip_members(path, archive, celeb_a.LIMITS):
                # Bytes outlive the archive; TFDS reads them later.
                yield info.filename, io.BytesIO(archives.zip_content(archive, info))

    def _find(self, file):
        candidates = (file, file.removesuffix(".gz"), file.removesuffix(".tar.gz"))
        for candidate in candidates:
            path = self._source / candidate
            # No pipe, which would be waited for. Archives may be unpacked to a folder.
            if path.is_file() or file.endswith(".tar.gz") and path.is_dir():
                return path
        if file.startswith("cifar-10") and (self._source / "data_batch_1.bin").exists():
            return self._source
        return None

    def _unpacked(self, path, file):
        if file.endswith(".tar.gz"):
            return self._untarred(path)
        if path.suffix == ".gz":
            target = self._scratch / path.stem
            archives.gunzip(path, target, _idx_bytes(_IDX_SHAPES[target.name]))
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
        archives.untar(path, self._scratch, _CIFAR10_LIMITS)
        return self._scratch


def _idx_bytes(shape):
    """Size of an idx file of uint8."""
    return 4 + 4 * len(shape) + math.prod(shape)


def _check_idx(path, name, shape):
    """Raises UserError unless an idx file has the expected shape and length."""
    expected = bytes((0, 0, 8, len(shape)))
    expected += b"".join(n.to_bytes(4, "big") for n in shape)
    with path.open("rb") as file:
        received = file.read(len(expected))
    size = path.stat().st_size
    if received != expected or size != _idx_bytes(shape):
        raise UserError(
            f"{name} is not the expected idx file: expected uint8 of shape {shape} "
            f"in {_idx_bytes(shape)} bytes, received {size} bytes."
        )
    if len(shape) == 1 and (label := max(path.read_bytes()[len(expected) :])) > 9:
        raise UserError(
            f"{name} has the label {label}: expected 0 to 9. Download it again."
        )

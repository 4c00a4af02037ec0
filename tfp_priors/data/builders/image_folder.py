"""Any folder of pictures as a TFDS data set with images of one shape."""

import collections
import hashlib
import os
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from tfp_priors.data.attributes import TABLE
from tfp_priors.data.attributes import read_attributes
from tfp_priors.data.pictures import find_pictures
from tfp_priors.data.pictures import read_image
from tfp_priors.data.pictures import size_and_channels
from tfp_priors.errors import UserError

_TEST_SHARE = 0.1

# Classes in the table.
_SHOWN = 20

#: What folders of splits are called, in any case, by the split that they are.
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}


class _Found:
    """Pictures of a folder.

    Attributes:
      splits: paths by class, by split.
      attributes: names and whether the picture has each, by path; empty without table.
      left_out: numbers of files by the reason.
    """

    def __init__(self, source: Path):
        if not source.is_dir():
            raise UserError(f"Expected a folder of images, but {source} is none.")
        paths, self.left_out = find_pictures(source)
        folders = _split_folders(source)
        if "train" in folders and len(folders) > 1:
            self._count_beside(paths, folders)
            self.splits = {name: self._classes(f) for name, f in folders.items()}
            if "test" not in self.splits:
                self.splits["test"] = self.splits.pop("validation")
        elif folders and set(folders) != {"train"}:
            raise UserError(
                f"{source} has a folder {folders.popitem()[1].name} but none of "
                "training images: expected train beside it."
            )
        else:
            root = folders.get("train", source)
            if folders:
                self._count_beside(paths, folders)
            self.splits = _hashed(root, self._classes(root))
        self.attributes = {}
        if (source / TABLE).is_file():
            self.left_out["no picture (.csv)"] -= 1
            self.attributes = read_attributes(source, self.pictures())

    def pictures(self) -> list[Path]:
        """The paths of all splits."""
        of_classes = (
            paths for split in self.splits.values() for paths in split.values()
        )
        return [path for paths in of_classes for path in paths]

    def _count_beside(self, paths, folders):
        """Counts pictures that are in none of the folders."""
        folders = set(folders.values())
        beside = [path for path in paths if not folders & set(path.parents)]
        if beside:
            self.left_out["beside the folders of the splits"] += len(beside)

    def _classes(self, folder):
        """The pictures by class: subfolders, or else one class, "all"."""
        paths, _ = find_pictures(folder)
        found, beside = collections.defaultdict(list), []
        for path in paths:
            inside = path.relative_to(folder).parts
            (found[inside[0]] if len(inside) > 1 else beside).append(path)
        for name in found:
            # TFDS keeps them in a file of UTF-8, a line each, and strips the lines.
            if name.strip().encode(errors="replace").decode().splitlines() != [name]:
                raise UserError(
                    f"The folder {folder / name} cannot be a class: expected a name in "
                    "UTF-8, without line breaks or spaces around it. Rename it."
                )
        if found and beside:
            self.left_out["beside the folders of the classes"] += len(beside)
        if not found and not beside:
            raise UserError(
                f"Expected PNG, JPEG, WebP, TIFF, BMP or GIF files in {folder} or its "
                "subfolders, found none."
            )
        return dict(found) or {"all": beside}

    def table(self) -> list[str]:
        """Lines that say how many pictures of which class are in which split."""
        classes = sorted({name for split in self.splits.values() for name in split})
        counts = [
            [name, *(len(split.get(name, ())) for split in self.splits.values())]
            for name in classes
        ]
        total = [sum(column) for column in list(zip(*counts, strict=True))[1:]]
        shown = counts[:_SHOWN]
        if len(counts) > len(shown):
            rest = list(zip(*counts[_SHOWN:], strict=True))[1:]
            shown.append([f"{len(counts) - _SHOWN} more", *map(sum, rest)])
        if len(counts) > 1:
            shown.append(["all classes", *total])
        rows = [["class", *self.splits], *shown]
        width = max(len(str(row[0])) for row in rows)
        lines = [
            f"{row[0]:<{width}}" + "".join(f"{cell:>12}" for cell in row[1:])
            for row in rows
        ]
        lines += [
            f"left out, {reason}: {number}"
            for reason, number in sorted(self.left_out.items())
            if number
        ]
        return [*lines, *self._shares()]

    def _shares(self):
        """Lines that say which share of the pictures has each attribute."""
        rows = list(self.attributes.values())
        return [
            f"attribute {i}, {name}: {np.mean([row[name] for row in rows]):.1%}"
            for i, name in enumerate(sorted(rows[0]) if rows else [])
        ]


def _split_folders(source):
    """The folders of splits, by split."""
    found = {}
    for path in sorted(source.iterdir()):
        for split, names in _SPLITS.items():
            if path.is_dir() and path.name.lower() in names:
                if split in found:
                    raise UserError(
                        f"{source} has two folders for the {split} split, "
                        f"{found[split].name} and {path.name}: join or remove one."
                    )
                found[split] = path
    return {split: found[split] for split in _SPLITS if split in found}


def _hashed(root, found):
    """Splits pictures by a hash of their path, at least one into each part."""
    keys = {
        path: hashlib.sha256(os.fsencode(path.relative_to(root))).digest()
        for paths in found.values()
        for path in paths
    }
    if len(keys) < 2:
        raise UserError(
            f"{root} has 1 image: expected at least 2, one for the test split."
        )
    test = {p for p, key in keys.items() if key[0] < _TEST_SHARE * 256}
    ordered = sorted(keys, key=keys.get)
    test = (test or {ordered[0]}) - ({ordered[-1]} if len(test) == len(keys) else set())
    splits = {"train": {}, "test": {}}
    for label, paths in found.items():
        for path in paths:
            part = splits["test" if path in test else "train"]
            part.setdefault(label, []).append(path)
    return splits


def _describe(paths) -> tuple[tuple[int, int], int]:
    """Size of the first picture, and 1 channel if every picture is grey, else 3."""
    size, channels = None, 1
    for path in paths:
        own, channels = size_and_channels(path)
        size = size or own
        if channels == 3:
            break
    return size, channels


class ImageFolder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Pictures of a folder, cropped and scaled to one shape.

    Subfolders are classes; a folder without any is one class, "all". A tenth of the
    pictures is the test split, chosen by a hash of the path within the folder: adding
    a picture moves no other. Subfolders `train` and `test` are the splits instead;
    `val`, `valid`, `validation` and `dev` are the split "validation" if `test` is
    there too, else the test split. A table `attributes.csv` gives each picture binary
    attributes; see `read_attributes`.

    Args:
      source: the folder.
      label: name of the prepared set, the TFDS config.
      image_size: `(height, width)` in pixels; by default that of the first picture.
      **kwargs: passed on to TFDS.
    """

    name = "image_folder"
    needs_files = True
    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        source: Path,
        label: str,
        image_size: tuple[int, int] | None = None,
        **kwargs,
    ):
        self._source = Path(source)
        self._found = _Found(self._source)
        first_size, self._channels = _describe(self._found.pictures())
        self._size = image_size or first_size
        config = tfds.core.BuilderConfig(name=label, version=self.VERSION)
        super().__init__(config=config, **kwargs)

    def table(self) -> list[str]:
        """Lines that say what went where, and what was left out."""
        return self._found.table()

    def _info(self):
        splits = self._found.splits.values()
        labels = sorted({label for split in splits for label in split})
        names = next(iter(self._found.attributes.values()), {})
        attributes = {"attributes": {name: np.bool_ for name in names}} if names else {}
        return tfds.core.DatasetInfo(
            builder=self,
            description="Pictures of a local folder.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(*self._size, self._channels), encoding_format="png"
                    ),
                    "label": tfds.features.ClassLabel(names=labels),
                    **attributes,
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {
            name: self._generate_examples(split)
            for name, split in self._found.splits.items()
        }

    def _generate_examples(self, found):
        for label, paths in found.items():
            for path in paths:
                image = read_image(path, self._size, self._channels)
                # Names of files need not be UTF-8.
                key = os.fsencode(path.relative_to(self._source))
                example = {"image": image, "label": label}
                if self._found.attributes:
                    example["attributes"] = self._found.attributes[path]
                yield key, example

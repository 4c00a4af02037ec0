"""Any folder of pictures as a TFDS data set with images of one shape."""

import collections
import hashlib
import os
import re
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from tfp_priors.data.attributes import TABLE
from tfp_priors.data.attributes import read_attributes
from tfp_priors.data.pictures import find_pictures
from tfp_priors.data.pictures import has_eight_in_32_bits
from tfp_priors.data.pictures import has_sixteen_bits
from tfp_priors.data.pictures import read_image
from tfp_priors.data.pictures import size_and_channels
from tfp_priors.errors import UserError
from tfp_priors.files import is_hidden

_TEST_SHARE = 0.1

# The brightest byte, 4095 / 257, and what scaling may add.
_OF_TWELVE_BITS = 18

# Classes in the table.
_SHOWN = 20

#: The words for splits in the names of folders.
_WORDS = {
    "train": ("train", "training", "trn"),
    "validation": (
        *("validation", "valid", "val", "dev"),
        *("eval", "evaluation", "holdout", "heldout"),
    ),
    "test": ("test", "testing", "tst"),
}
_SPLITS = {word: split for split, words in _WORDS.items() for word in words}


def label_of(name: str) -> str:
    """NAME of "image_folder/NAME".

    Raises:
      UserError: if TFDS would not find it again.
    """
    label = name.removeprefix("image_folder/")
    if not re.fullmatch(r"[\w+-][\w+.-]*", label):
        raise UserError(
            "image_folder/NAME needs a plain name of letters, digits and _ - . +, such "
            f"as cats, received {name!r}."
        )
    return label


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
        parents = {path.parent for path in paths}
        root = _unwrapped(source, parents)
        folders = _split_folders(root, parents)
        if "train" in folders and len(folders) > 1:
            self._count_beside(paths, folders)
            self.splits = {name: self._classes(f) for name, f in folders.items()}
            self._check_same_classes(folders)
            if "test" not in self.splits:
                self.splits["test"] = self.splits.pop("validation")
        elif folders and set(folders) != {"train"}:
            raise UserError(
                f"{root} has a folder {folders.popitem()[1].name} but none of "
                "training images: expected train beside it."
            )
        else:
            if folders:
                self._count_beside(paths, folders)
            whole = folders.get("train", root)
            self.splits = _hashed(whole, self._classes(whole))
        _check_inside(root, {path.parent for path in self.pictures()})
        self.attributes = {}
        with_table = source if (source / TABLE).is_file() else root
        if (with_table / TABLE).is_file():
            self.left_out["no picture (.csv)"] -= 1
            self.attributes = read_attributes(with_table, self.pictures())

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
                f"{', '.join(['subfolders, found none', *self._told_left_out()])}."
            )
        return dict(found) or {"all": beside}

    def _check_same_classes(self, folders):
        """Raises: UserError: if a split has classes that "train" lacks."""
        for split, classes in self.splits.items():
            new = sorted(set(classes) - set(self.splits["train"]))
            if not new:
                continue
            flat = new == ["all"]
            has = "pictures outside of classes" if flat else f"the class {new[0]}"
            raise UserError(
                f"{folders[split]} has {has}, {folders['train']} has not: "
                "expected those of the training images. Move it away, and a tenth of "
                "the training images is held out instead."
            )

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
        return [*lines, *self._told_left_out(), *self._shares()]

    def _told_left_out(self):
        return [
            f"left out, {reason}: {number}"
            for reason, number in sorted(self.left_out.items())
            if number
        ]

    def _shares(self):
        """Lines that say which share of the pictures has each attribute."""
        rows = list(self.attributes.values())
        return [
            f"attribute {i}, {name}: {np.mean([row[name] for row in rows]):.1%}"
            for i, name in enumerate(sorted(rows[0]) if rows else [])
        ]


def _unwrapped(folder, parents):
    """The folder of the classes or splits, if others lie around it.

    It has no pictures itself, as that of a class has; `parents` are those of pictures.
    """
    while parents:
        inside = [parent.relative_to(folder).parts for parent in parents]
        names = {parts[:1] for parts in inside}
        if len(names) > 1 or min(map(len, inside)) < 2 or () in _alike(*names):
            break
        folder = folder.joinpath(*names.pop())
    return folder


def _split_folders(source, parents):
    """The folders of splits, by split; `parents` are those of pictures.

    Raises:
      UserError: if it cannot be told which they are.
    """
    names = sorted(p.name for p in source.iterdir() if p.is_dir())
    alike = _alike(name for name in names if not is_hidden(name))
    # The folder itself as "".
    with_pictures = {(*p.relative_to(source).parts, "")[0] for p in parents}
    if () in alike:
        named = alike[()]
        others = sorted(with_pictures & set(names) - {name for _, name in named})
        if others and {split for split, _ in named} == {"train"}:
            raise UserError(
                f"{source} has the folders {named[0][1]} and {', '.join(others[:3])}: "
                "expected classes alone, or train and test. Rename a class of that "
                "name, move away what is to be left out."
            )
    else:
        found = [named for named in alike.values() if _are_splits(named)]
        if not found:
            return {}
        named = found[0]
        if len(found) > 1 or not with_pictures <= {name for _, name in named}:
            raise UserError(
                f"The folders {named[0][1]} and {named[1][1]} of {source} look like "
                "splits, but there is more beside them: expected the folders train "
                "and test, and the classes within each, such as train/cats."
            )
    folders = {}
    for split, name in named:
        if split in folders:
            raise UserError(
                f"{source} has two folders for the {split} split, "
                f"{folders[split].name} and {name}: join or remove one."
            )
        folders[split] = source / name
    return {split: folders[split] for split in _WORDS if split in folders}


def _alike(names):
    """Names with a word for a split, as (split, name) by the other words in them."""
    found = collections.defaultdict(list)
    for name in names:
        # trainA and train2017 are of two words.
        spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)", " ", name)
        words = [w.removesuffix("set") for w in re.findall(r"[^\W_]+", spaced.lower())]
        words = [w for w in words if w]  # Of training_set too.
        rest = tuple(word for word in words if word not in _SPLITS)
        if len(rest) == len(words) - 1:
            (split,) = (_SPLITS[word] for word in words if word in _SPLITS)
            found[rest].append((split, name))
    # Of 01_train and 02_test too, whose numbers count the splits.
    plain = collections.defaultdict(list)
    for rest in found:
        plain[tuple(word for word in rest if not word.isdigit())].append(rest)
    for rest, numbered in plain.items():
        named = [pair for key in numbered for pair in found[key]]
        each = len({split for split, _ in named}) == len(named)
        if each and len(numbered) > 1 and rest not in numbered:
            for key in numbered:
                del found[key]
            found[rest] = named
    return found


def _are_splits(named):
    return len({split for split, _ in named}) > 1


def _check_inside(root, parents):
    """Raises: UserError: if folders in that of a class look like splits."""
    inside = collections.defaultdict(set)
    for parent in sorted(parents):
        folders = parent.relative_to(root).parts
        for i in range(1, len(folders)):
            inside[root.joinpath(*folders[:i])].add(folders[i])
    for folder, names in inside.items():
        for named in filter(_are_splits, _alike(sorted(names)).values()):
            raise UserError(
                f"{folder} has the folders {named[0][1]} and {named[1][1]}, which look "
                "like splits: expected these outside and the classes within each, "
                "such as train/cats and test/cats."
            )


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
    size, channels = size_and_channels(paths[0])
    is_grey = channels == 1 and all(size_and_channels(path)[1] == 1 for path in paths)
    return size, 1 if is_grey else 3


class ImageFolder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Pictures of a folder, cropped and scaled to one shape.

    Subfolders are classes; a folder without any is one class, "all". A tenth of the
    pictures is the test split, chosen by a hash of the path within the folder: adding
    a picture moves no other. Subfolders `train` and `test` are the splits instead, also
    by names such as `training_set` or `train2017`, see `_WORDS`; those of "validation"
    are this split if `test` is there too, else the test split. What could be splits and
    classes in another order is refused. A table `attributes.csv` gives each picture
    binary attributes; see `read_attributes`.

    Args:
      source: the folder.
      label: name of the prepared set, the TFDS config.
      image_size: `(height, width)` in pixels; by default that of the first training
        picture.
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
        # Of what is read until all is.
        self._left, self._brightest = len(self._found.pictures()), 0
        self._of_32_bits = set()
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

    def _check_bits(self, path, image):
        """Raises: UserError: if grey values do not tell of how many bits they are.

        As if no picture of 16 bits uses more than 12, or if some of 32 bits have
        values of 8 and some of more.
        """
        if self._channels == 1:
            self._of_32_bits.add(has_eight_in_32_bits(path))
        if {True, False} <= self._of_32_bits:
            raise UserError(
                f"Pictures of {self._source} have grey values of 32 bits, some no more "
                f"than 255, others, as {path}, more: write all with 8 bits, or with 16."
            )
        self._left -= 1
        self._brightest = max(self._brightest, image.max())
        if self._left or self._brightest > _OF_TWELVE_BITS:
            return
        if all(map(has_sixteen_bits, self._found.pictures())):
            raise UserError(
                f"No 16-bit picture of {self._source} has values of more than 4095: "
                "expected 0 to 65535. Write them with 8 bits, or multiply those of 12 "
                "bits by 16."
            )

    def _generate_examples(self, found):
        for label, paths in found.items():
            for path in paths:
                image = read_image(path, self._size, self._channels)
                self._check_bits(path, image)
                # Names of files need not be UTF-8.
                key = os.fsencode(path.relative_to(self._source))
                example = {"image": image, "label": label}
                if self._found.attributes:
                    example["attributes"] = self._found.attributes[path]
                yield key, example

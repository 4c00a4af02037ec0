"""DeepFashion's In-shop pictures and keypoints: whether the files fit together."""

import json
import math
import os
from pathlib import Path
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from tfp_priors.core import joints
from tfp_priors.data.tables import read_table
from tfp_priors.data.tables import read_text
from tfp_priors.errors import UserError

PARTITION = "list_eval_partition.txt"
#: One of them has the keypoints.
TABLES = ("keypoints.csv", "keypoints.json")

_HEADINGS = ["image_name", "item_id", "evaluation_status"]
_SPLITS = {"train": "train", "query": "test", "gallery": "test"}
_COLUMNS = [f"{joint}_{axis}" for joint in joints.JOINTS for axis in "xy"]


class Person(NamedTuple):
    """One picture.

    Attributes:
      name: its path within the folder, as the files have it.
      path: of the picture.
      keypoints: float32 `[15, 2]`, see `tfp_priors.core.joints`.
    """

    name: str
    path: Path
    keypoints: np.ndarray


def read(
    source: Path, skip_incomplete: bool = False
) -> tuple[dict[str, list[Person]], list[str]]:
    """Reads the split and the keypoints, and checks them against the pictures.

    Args:
      source: folder with the split, a table of keypoints and the pictures that they
        name.
      skip_incomplete: leave out pictures without keypoints, or whose hips or shoulders
        cannot be seen.

    Returns:
      The people of "train" and "test", and what to tell of those left out.

    Raises:
      UserError: if a file is missing or not in its format, or they do not fit; the
        first picture that is concerned is named.
    """
    partition, table = _found(source)
    split_of = _read_partition(partition)
    keypoints = read_keypoints(table)
    for name in keypoints:
        if name not in split_of:
            raise UserError(
                f"{name} is in {table}, but not in {partition}: remove it, or take "
                "both files from one place."
            )
    # Unlike a path's own method it takes names that are too long.
    lost = [name for name in split_of if not os.path.isfile(source / name)]
    if lost:
        raise UserError(
            f"{lost[0]} is in {partition}, but not in {source}, as are {len(lost) - 1} "
            "other pictures: unpack all of them there."
        )
    bare = [name for name in split_of if name not in keypoints]
    cut = [name for name in split_of if _missing(keypoints.get(name))]
    if not skip_incomplete:
        _refuse(table, keypoints, bare, cut)
    left_out = {*bare, *cut}
    people = {split: [] for split in ("train", "test")}
    for name, split in split_of.items():
        if name not in left_out:
            people[split].append(Person(name, source / name, keypoints[name]))
    for split, found in people.items():
        if not found:
            statuses = [status for status in _SPLITS if _SPLITS[status] == split]
            raise UserError(
                f"{partition} leaves no picture for the split {split}: expected some "
                f"with the status {' or '.join(statuses)}."
            )
    notes = [
        f"left out {len(names)} pictures {what}: {names[0]}, ..."
        for names, what in (
            (bare, "without keypoints"),
            (cut, "without hips or shoulders"),
        )
        if names
    ]
    return people, notes


def _found(source):
    """The paths of the split and of the table of keypoints."""
    if not source.is_dir():
        raise UserError(f"Expected a folder with the files of deepfashion: {source}.")
    partition = source / PARTITION
    tables = [source / name for name in TABLES if (source / name).is_file()]
    if not partition.is_file() or not tables:
        missing = " or ".join(TABLES) if partition.is_file() else PARTITION
        raise UserError(
            f"{source} lacks {missing}; expected the pictures, {PARTITION} and "
            f"{' or '.join(TABLES)}, see docs/datasets.md."
        )
    if len(tables) > 1:
        raise UserError(f"{source} has {' and '.join(TABLES)}: remove one of them.")
    return partition, tables[0]


def read_keypoints(path: Path) -> dict[str, np.ndarray]:
    """The keypoints of a table, float32 `[15, 2]` by the name of the picture.

    Args:
      path: a CSV file with a column for each coordinate, or a JSON file with a
        dictionary of lists of 15 pairs.

    Raises:
      UserError: if it is something else; the picture and the joint are named.
    """
    return _read_csv(path) if path.suffix == ".csv" else _read_json(path)


def _missing(keypoints):
    """The required joints that cannot be seen, by name."""
    if keypoints is None:
        return []
    return [
        name for name in joints.REQUIRED if keypoints[joints.index(name)].min() < 0.0
    ]


def _refuse(table, keypoints, bare, cut):
    """Raises UserError if there are pictures without what the crops need."""
    advice = "mend the table, or leave such pictures out with --skip_incomplete."
    if bare:
        raise UserError(
            f"{bare[0]} is not in {table}, as are {len(bare) - 1} other pictures of "
            f"{PARTITION}: {advice}"
        )
    if cut:
        raise UserError(
            f"The joint {_missing(keypoints[cut[0]])[0]} of {cut[0]} in {table} cannot "
            f"be seen, and {len(cut) - 1} other pictures lack hips or shoulders, where "
            f"the crops need them: {advice}"
        )


def _read_partition(path):
    """The split, "train" or "test", of each picture."""
    count, headings, *rows = [*read_text(path).splitlines(), "", ""]
    if headings.split() != _HEADINGS:
        raise UserError(
            f"Line 2 of {path} is {headings!r}: expected {' '.join(_HEADINGS)}, after "
            "the number of pictures."
        )
    splits = {}
    for number, row in enumerate(rows, start=3):
        if not row:
            continue
        values = row.split()
        if len(values) != len(_HEADINGS) or values[2] not in _SPLITS:
            raise UserError(
                f"Line {number} of {path} is {row!r}: expected a picture, its item "
                f"and its status, one of {', '.join(_SPLITS)}."
            )
        picture = PurePosixPath(values[0])
        if picture.is_absolute() or ".." in picture.parts:
            raise UserError(
                f"Line {number} of {path} names {values[0]}: expected a path within "
                "that folder."
            )
        if values[0] in splits:
            raise UserError(f"Line {number} of {path} names {values[0]} again.")
        splits[values[0]] = _SPLITS[values[2]]
    if count.strip() != str(len(splits)):
        raise UserError(
            f"{path} has {len(splits)} rows, its first line says {count.strip()}: it "
            "is cut off or was edited. Download it again."
        )
    return splits


def _read_csv(path):
    """Keypoints by picture, of a table with a column for each coordinate."""
    header, rows = read_table(path)
    expected = ["image_name", *_COLUMNS]
    for name in header:
        if name not in expected or header.count(name) > 1:
            verb = "twice" if name in expected else "unknown"
            raise UserError(
                f"The column {name!r} of {path} is {verb}: expected {expected[0]} and, "
                f"in any order, {expected[1]}, {expected[2]}, ..., {expected[-1]}."
            )
    for name in expected:
        if name not in header:
            raise UserError(
                f"{path} lacks the column {name}: expected image_name and the "
                f"{len(joints.JOINTS)} joints' coordinates, see docs/datasets.md."
            )
    keypoints = {}
    for where, row in rows:
        values = dict(zip(header, row, strict=True))
        name = values["image_name"].strip()
        if name in keypoints:
            raise UserError(f"The picture {name} comes again in {where}.")
        keypoints[name] = _keypoints([values[name] for name in _COLUMNS], where)
    return keypoints


def _read_json(path):
    """Keypoints by picture, of a dictionary of lists of 15 pairs."""
    try:
        table = json.loads(read_text(path))
    # Too many brackets are an error of their own, too many digits a ValueError.
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({error}).") from error
    if not isinstance(table, dict):
        raise UserError(f'{path} is not a dictionary: expected {{"picture": [...]}}.')
    keypoints = {}
    for name, pairs in table.items():
        where = f"{name} in {path}"
        received = len(pairs) if isinstance(pairs, list) else "no list"
        if received != len(joints.JOINTS):
            raise UserError(
                f"Expected {len(joints.JOINTS)} joints, received {received} of "
                f"{where}: the order is {', '.join(joints.JOINTS)}."
            )
        for joint, pair in zip(joints.JOINTS, pairs, strict=True):
            if not isinstance(pair, list) or len(pair) != 2:
                raise UserError(
                    f"Expected [x, y] for {joint}, received {pair!r} of {where}."
                )
        keypoints[name] = _keypoints([value for pair in pairs for value in pair], where)
    return keypoints


def _keypoints(values, where):
    """Coordinates in the order of `_COLUMNS` as float32 `[15, 2]`."""
    numbers = []
    for column, value in zip(_COLUMNS, values, strict=True):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number) or number > 1.0:
            raise UserError(
                f"{column} is {value!r} in {where}: expected a number up to 1, as a "
                "share of the picture's side, or a negative one if the joint cannot be "
                "seen."
            )
        numbers.append(number)
    return np.reshape(np.array(numbers, np.float32), [len(joints.JOINTS), 2])

"""A small set in the layout of the In-shop Clothes Retrieval Benchmark."""

import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from tfp_priors.core import joints
from tfp_priors.data import deepfashion
from tfp_priors.data import load_dataset
from tfp_priors.data.builders.deepfashion import stored
from tfp_priors.data.prepare import prepare
from tfp_priors.errors import UserError

STATUSES = ("train", "train", "train", "query", "gallery")
NAMES = [
    f"img/WOMEN/Dresses/id_0000000{i}/02_{i}_front.jpg" for i in range(len(STATUSES))
]
COLUMNS = [f"{joint}_{axis}" for joint in joints.JOINTS for axis in "xy"]


def coordinates():
    """Of the pictures; every second one has no left wrist."""
    values = np.random.RandomState(0).uniform(0, 1, (len(NAMES), 15, 2)).round(4)
    values[0, 0] = (0.0, 1.0)  # The limits are within.
    values[1::2, joints.index("lwrist")] = -1.0
    return values


def write_split(folder, statuses=STATUSES):
    rows = [
        f"{name}   id_0000000{i}   {status}"
        for i, (name, status) in enumerate(zip(NAMES, statuses, strict=True))
    ]
    lines = [str(len(rows)), "image_name item_id evaluation_status", *rows]
    (folder / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")


def write_csv(folder, columns=("image_name", *COLUMNS)):
    table = io.StringIO()
    writer = csv.DictWriter(table, columns)
    writer.writeheader()
    for name, values in zip(NAMES, coordinates(), strict=True):
        row = dict(zip(COLUMNS, values.ravel().tolist(), strict=True))
        writer.writerow({"image_name": name} | row)
    (folder / "keypoints.csv").write_text(table.getvalue())


def write_json(folder, table=None):
    if table is None:
        table = dict(zip(NAMES, coordinates().tolist(), strict=True))
    (folder / "keypoints.json").write_text(json.dumps(table))


@pytest.fixture
def source(tmp_path):
    """Pictures and the split, as they are downloaded, without keypoints."""
    folder = tmp_path / "source"
    for i, name in enumerate(NAMES):
        path = folder / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (256, 256), (40 * i, 0, 0)).save(path)
    write_split(folder)
    return folder


def prepared(source, **kwargs):
    return prepare("deepfashion", source, str(source.parent / "data"), **kwargs)


def load(source, split, **kwargs):
    return load_dataset("deepfashion", split, str(source.parent / "data"), **kwargs)


def assert_refused(source, message, **kwargs):
    """In one line, and nothing is written."""
    with pytest.raises(UserError, match=message) as caught:
        prepared(source, **kwargs)
    assert "\n" not in str(caught.value)
    assert not list((source.parent / "data").rglob("*.tfrecord*"))


@pytest.mark.parametrize("kind", ["csv", "csv in another order", "json"])
def test_keypoints_stay_with_their_pictures(source, kind):
    write = {
        "csv": write_csv,
        "csv in another order": lambda f: write_csv(f, [*COLUMNS[::-1], "image_name"]),
        "json": write_json,
    }
    write[kind](source)
    assert prepared(source).notes == []
    for split, numbers in (("train", [0, 1, 2]), ("test", [3, 4])):
        dataset = load(source, split)
        assert dataset.image_shape == (256, 256, 3)
        batch = dataset.take(9)
        # TFDS shuffles what it writes; the red tells the picture.
        red = batch["image"][:, 128, 128, 0] * 255
        order = np.round(red / 40).astype(int)
        assert sorted(order) == numbers
        assert batch["keypoints"].dtype == np.float32
        expected = coordinates()[order].astype(np.float32)
        np.testing.assert_array_equal(batch["keypoints"], expected)


def test_a_prepared_set_is_left_as_it_is(source):
    write_json(source)
    first = prepared(source)
    assert first.is_new
    (source / "keypoints.json").unlink()
    again = prepared(source)
    assert not again.is_new and again.path == first.path


def test_pictures_are_kept_or_scaled_but_never_cropped(source):
    path = source / NAMES[0]
    assert stored(path) == path.read_bytes()
    picture = Image.new("RGB", (512, 512), "white")
    picture.paste("red", (0, 0, 512, 128))
    picture.save(path)
    pixels = stored(path)
    assert pixels.shape == (256, 256, 3)
    # The edge stays at a quarter of the height; JPEG is not exact.
    assert (pixels[:60, :, 1] < 20).all() and (pixels[68:, :, 1] > 235).all()
    for mode, suffix in (("L", "jpg"), ("RGBA", "png")):
        other = source / f"other.{suffix}"
        Image.new(mode, (256, 256)).save(other)
        assert stored(other).shape == (256, 256, 3)
    Image.new("RGB", (256, 250)).save(path)
    write_csv(source)
    assert_refused(source, f"{path} has 256 x 250 pixels: expected a square one")


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_pictures_are_stored_upright(source, orientation):
    path = source / NAMES[0]
    picture = Image.new("RGB", (256, 256), "white")
    picture.paste("red", (0, 0, 256, 64))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {1: 0, 3: 180, 6: 90}[orientation]
    picture.rotate(turned).save(path, exif=exif, quality=95)
    pixels = stored(path)
    assert isinstance(pixels, bytes) == (orientation == 1)
    if orientation == 1:
        pixels = np.asarray(Image.open(io.BytesIO(pixels)))
    assert (pixels[:56, :, 1] < 20).all() and (pixels[72:, :, 1] > 235).all()


def test_a_damaged_picture_is_named(source):
    write_csv(source)
    path = source / NAMES[2]
    path.write_bytes(path.read_bytes()[:-300])
    assert_refused(source, f"Cannot read the image {path}")


def test_the_split_and_keypoints_of_an_index_in_another_layout(source):
    # As docs/datasets.md writes them: no item is known.
    rows = [f"{n} x {'query' if i > 2 else 'train'}" for i, n in enumerate(NAMES)]
    head = f"{len(rows)}\nimage_name item_id evaluation_status\n"
    (source / "list_eval_partition.txt").write_text(head + "\n".join(rows))
    write_json(source)
    people, _ = deepfashion.read(source)
    assert [len(people[split]) for split in ("train", "test")] == [3, 2]
    np.testing.assert_allclose(people["test"][1].keypoints, coordinates()[4], 1e-6)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


HEADER = ",".join(["image_name", *COLUMNS])
FIRST = f"{NAMES[0]},0.0,1.0"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("csv", FIRST, f"{NAMES[0]},1.01,1.0", "rankle_x is '1.01' in line 2 of .*csv"),
        ("csv", FIRST, f"{NAMES[0]},0.0,nan", "rankle_y is 'nan' in line 2 of"),
        ("csv", FIRST, f"{NAMES[0]},0.0,", "rankle_y is '' in line 2 of"),
        ("csv", FIRST, f"{NAMES[0]},-inf,1.0", "rankle_x is '-inf' in line 2 of"),
        ("csv", FIRST, f"{NAMES[0]},1.0", "Expected 31 values.*30 in line 2 of"),
        ("csv", NAMES[1], NAMES[0], f"picture {NAMES[0]} comes again in line 3 of"),
        ("csv", "rwrist_y", "rhand_y", "column 'rhand_y' of .*csv is unknown"),
        ("csv", "rwrist_y", "rwrist_x", "column 'rwrist_x' of .*csv is twice"),
        ("csv", HEADER, HEADER[:-7], "lacks the column nose_y"),
        ("csv", HEADER, "", "lacks the column image_name"),
        ("csv", NAMES[4], "img/x.jpg", "img/x.jpg is in .*csv, but not in .*txt: rem"),
        ("txt", "5\n", "6\n", "has 5 rows, its first line says 6"),
        ("txt", "item_id", "item", "Line 2 of .*txt is 'image_name item evalu"),
        ("txt", "query", "val", "Line 6 of .*txt is .*one of train, query, gallery"),
        ("txt", NAMES[1], "\nx.jpg /", "Line 5 of .*txt is .*one of train, query, ga"),
        ("txt", "   query", "", "Line 6 of .*expected a picture, its item and its"),
        ("txt", NAMES[1], "img/../../x.jpg", "Line 4 .*expected a path within that f"),
        ("txt", NAMES[1], "/x.jpg", "Line 4 of .*txt names /x.jpg: expected a path"),
        ("txt", NAMES[1], NAMES[0], f"Line 4 of .*txt names {NAMES[0]} again"),
    ],
)
def test_bad_lines_are_named(source, file, old, new, message):
    write_csv(source)
    names = {"csv": "keypoints.csv", "txt": "list_eval_partition.txt"}
    edit(source / names[file], old, new)
    assert_refused(source, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[NAMES[1]].pop(), f"Expected 15 joints, received 14 of {NAMES[1]}"),
        (lambda t: t[NAMES[1]][2].pop(), "Expected [x, y] for rhip, received [0."),
        (lambda t: t.update({NAMES[1]: 3}), "Expected 15 joints, received no list"),
        (
            lambda t: t[NAMES[1]].__setitem__(4, [0.5, 2]),
            f"relbow_y is 2 in {NAMES[1]} in ",
        ),
        (lambda t: t[NAMES[1]].__setitem__(4, [None, 0]), "relbow_x is None in"),
        (lambda t: t[NAMES[1]].__setitem__(4, [10**400, 0]), "relbow_x is 1000"),
        (lambda t: t.update({"img/x.jpg": t[NAMES[0]]}), "img/x.jpg is in "),
    ],
)
def test_bad_entries_are_named(source, change, message):
    table = dict(zip(NAMES, coordinates().tolist(), strict=True))
    change(table)
    write_json(source, table)
    assert_refused(source, "^" + re.escape(message))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not a dictionary"),
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("9" * 5_000, "is not JSON"),
    ],
    ids=["cut off", "list", "empty", "brackets", "digits"],
)
def test_other_json(source, text, message):
    (source / "keypoints.json").write_text(text)
    assert_refused(source, f"keypoints.json {message}")


def test_names_and_cells_that_are_too_long(source):
    write_csv(source)
    edit(source / "keypoints.csv", NAMES[0], "x" * 200_000)
    assert_refused(source, "Line 2 of .*keypoints.csv: field larger than field limit")
    write_csv(source)
    long = f"{'x' * 300}.jpg"
    edit(source / "keypoints.csv", NAMES[0], long)
    edit(source / "list_eval_partition.txt", NAMES[0], long)
    assert_refused(source, f"{long} is in .*txt, but not in")


def test_missing_files_are_named(source):
    assert_refused(source, "lacks keypoints.csv or keypoints.json; expected")
    (source / "index.p").write_bytes(b"a pickle is not read")
    assert_refused(source, "lacks keypoints.csv or keypoints.json; expected")
    write_csv(source)
    write_json(source)
    assert_refused(source, "has keypoints.csv and keypoints.json: remove one")
    (source / "keypoints.json").unlink()
    (source / NAMES[3]).unlink()
    assert_refused(source, f"{NAMES[3]} is in .*txt, but not in .*, as are 0 other")
    (source / "list_eval_partition.txt").unlink()
    assert_refused(source, "lacks list_eval_partition.txt; expected")
    assert_refused(source / "nowhere", "Expected a folder with the files of deepfas")


def test_a_split_without_pictures(source):
    write_csv(source)
    write_split(source, ["train"] * len(NAMES))
    assert_refused(source, "no picture for the split test: .* query or gallery")


@pytest.mark.parametrize("joint", joints.REQUIRED)
def test_hips_and_shoulders_are_needed(source, joint):
    table = dict(zip(NAMES, coordinates().tolist(), strict=True))
    # One coordinate is enough.
    table[NAMES[1]][joints.index(joint)] = [0.5, -1.0]
    write_json(source, table)
    message = f"The joint {joint} of {NAMES[1]} in .*json cannot be seen, and 0 other"
    assert_refused(source, message)
    people, notes = deepfashion.read(source, skip_incomplete=True)
    assert [person.name for person in people["train"]] == [NAMES[0], NAMES[2]]
    assert notes == [f"left out 1 pictures without hips or shoulders: {NAMES[1]}, ..."]


def test_incomplete_pictures_are_skipped_only_if_asked(source):
    table = dict(zip(NAMES, coordinates().tolist(), strict=True))
    del table[NAMES[0]], table[NAMES[4]]
    table[NAMES[1]][joints.index("lhip")] = [-1, -1]
    write_json(source, table)
    message = f"{NAMES[0]} is not in .*json, as are 1 other pictures.*--skip_incomplete"
    assert_refused(source, message)
    # What is left out need not be readable.
    (source / NAMES[0]).write_bytes(b"")
    notes = prepared(source, skip_incomplete=True).notes
    assert notes == [
        f"left out 2 pictures without keypoints: {NAMES[0]}, ...",
        f"left out 1 pictures without hips or shoulders: {NAMES[1]}, ...",
    ]
    assert [load(source, split).size for split in ("train", "test")] == [1, 1]


def test_an_unprepared_set_and_a_crop(source):
    with pytest.raises(UserError, match="bin/prepare_data --dataset=deepfashion --so"):
        load(source, "train")
    write_csv(source)
    prepared(source)
    with pytest.raises(UserError, match="Cannot crop the images of deepfashion, whose"):
        load(source, "train", crop_size=128)
    small = load(source, "train", image_size=64)
    whole = load(source, "train")
    np.testing.assert_array_equal(
        small.features["keypoints"], whole.features["keypoints"]
    )

"""Folders as people have them; see also `test_prepare`."""

import numpy as np
import pytest
from PIL import Image

from tfp_priors.data.builders.image_folder import ImageFolder
from tfp_priors.data.builders.image_folder import _hashed
from tfp_priors.errors import UserError


def fill(folder, **counts):
    """Writes so many pictures below the folder, by the place."""
    for place, count in counts.items():
        target = folder.joinpath(*place.split("__"))
        target.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.fromarray(np.full((4, 4), i, "uint8")).save(target / f"{i}.png")
    return folder


def table(folder):
    builder = ImageFolder(folder, "a", data_dir=folder.parent / "data")
    return [" ".join(line.split()) for line in builder.table()]


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "Test"])
def test_two_splits(tmp_path, name):
    counts = {"train__cats": 4, "train__dogs": 3, f"{name}__cats": 2}
    assert table(fill(tmp_path / "in", **counts)) == [
        "class train test",
        "cats 4 2",
        "dogs 3 0",
        "all classes 7 2",
    ]


def test_three_splits(tmp_path):
    folder = fill(tmp_path / "in", train=4, val=3, test=2)
    assert table(folder) == ["class train validation test", "all 4 3 2"]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("trainset", "test"),
        ("train_images", "test_images"),
        ("pets-Train", "pets-Test"),
        ("train2017", "val2017"),
        ("train", "eval"),
        ("Train", "holdout"),
        ("pets__train", "pets__test"),
        ("01_train", "02_test"),
        ("1-pets-train", "2-pets-test"),
        ("trn", "tst"),
        ("a__images__train", "a__images__val"),
    ],
)
def test_other_names_of_two_splits(tmp_path, train, test):
    counts = {f"{train}__cats": 4, f"{train}__dogs": 3, f"{test}__cats": 2}
    lines = table(fill(tmp_path / "in", **counts))
    assert lines[:3] == ["class train test", "cats 4 2", "dogs 3 0"]


@pytest.mark.parametrize("train", ["pets", "a__b", "train", "pets__training", "trainA"])
def test_folders_around_those_of_classes(tmp_path, train):
    lines = table(fill(tmp_path / "in", **{f"{train}__cats": 4, f"{train}__dogs": 3}))
    assert [line.split()[0] for line in lines] == ["class", "cats", "dogs", "all"]


@pytest.mark.parametrize(
    "names",
    [
        ("1", "10", "2"),
        ("bullet train", "car", "crash_test"),
        ("trainers", "valley"),
        ("test_tube", "train_station"),
        ("+", "-"),
        ("only",),
    ],
)
def test_classes_of_any_name(tmp_path, names):
    lines = table(fill(tmp_path / "in", **dict.fromkeys(names, 3)))
    assert [line.rsplit(" ", 2)[0] for line in lines[1 : 1 + len(names)]] == [*names]


def test_folders_within_a_class_are_of_it(tmp_path):
    counts = {"cats__a": 2, "cats__train": 3, "dogs": 4}
    lines = table(fill(tmp_path / "in", **counts))
    assert [line.split()[0] for line in lines] == ["class", "cats", "dogs", "all"]


def test_a_table_within_the_folder_of_all(tmp_path):
    folder = fill(tmp_path / "in", pets__cats=1, pets__dogs=1)
    (folder / "pets" / "attributes.csv").write_text(
        "file,a\ncats/0.png,1\ndogs/0.png,0"
    )
    assert table(folder)[-1] == "attribute 0, a: 50.0%"


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (dict.fromkeys(("trainA", "trainB", "testA", "testB"), 3), "look like splits"),
        ({"cats_train": 3, "cats_test": 3, "dogs": 3}, "splits, but there is more"),
        ({"train": 3, "unlabeled": 3}, "the folders train and unlabeled: expected"),
        ({"train": 3, "car": 3, "bus": 3}, "the folders train and bus, car: expected"),
        ({"train": 3, "test1": 3}, "the folders train and test1"),
        (
            {
                f"{c}__{split}": 3
                for c in ("cats", "dogs")
                for split in ("train", "val")
            },
            "in.cats has the folders train and val, which look like splits",
        ),
        ({"train__train": 3, "train__test": 3}, "in.train has the folders test and tr"),
        (
            {"train__a__test": 3, "train__a__train": 3, "test__a": 3},
            "in.train.a has the folders test and train",
        ),
        (
            {"train__cats": 3, "train__dogs": 3, "test": 3},
            "in.test has pictures outside of classes, .*in.train has not:",
        ),
        (
            {"train__cats": 3, "test__unknown": 3},
            "test has the class unknown, ",
        ),
        ({"train__a": 3, "val__a": 3, "test__b": 3}, "test has the class b, "),
        ({"train": 3, "test__cats": 3}, "test has the class cats, .*train has not"),
    ],
)
def test_splits_that_cannot_be_told_are_not_mixed(tmp_path, counts, message):
    with pytest.raises(UserError, match=message) as caught:
        table(fill(tmp_path / "in", **counts))
    assert "expected" in str(caught.value)


def test_what_is_left_out_is_counted(tmp_path):
    folder = fill(tmp_path / "in", train__cats=4, val__cats=2, more=5)
    fill(folder / "train", **{".ipynb_checkpoints": 1})
    fill(folder / "train", **{".": 3})
    fill(folder, **{".cache": 2})
    fill(folder / "train" / "cats", **{"@eaDir": 2})
    fill(folder, **{"$RECYCLE.BIN": 1})
    (folder / "train" / "cats" / "list.csv").touch()
    assert table(folder) == [
        "class train test",
        "cats 4 2",
        "left out, beside the folders of the classes: 3",
        "left out, beside the folders of the splits: 5",
        "left out, hidden: 6",
        "left out, no picture (.csv): 1",
    ]


@pytest.mark.parametrize("count", [2, 3, 12])
def test_small_folders_have_both_splits(tmp_path, count):
    """A hash alone leaves the test split of a few pictures empty."""
    _, row = table(fill(tmp_path / "in", **{".": count}))
    train, test = map(int, row.split()[1:])
    assert train + test == count
    assert train and test


def test_a_tenth_of_many_pictures_is_the_test_split(tmp_path):
    found = {"cats": [tmp_path / f"{i}.png" for i in range(2000)]}
    test = _hashed(tmp_path, found)["test"]["cats"]
    # A byte of the hash decides; 4 standard errors.
    assert abs(len(test) / 2000 - 26 / 256) < 4 * np.sqrt(0.1 * 0.9 / 2000)


def test_a_folder_of_training_images_alone_is_split(tmp_path):
    _, row = table(fill(tmp_path / "in", train=40))
    train, test = map(int, row.split()[1:])
    assert row.startswith("all ")
    assert train + test == 40
    assert train > test > 0


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({".": 1}, "has 1 image: expected at least 2"),
        ({"test": 4}, "none of training images"),
        ({"train": 2, "val": 2, "valid": 2}, "two folders for the validation split"),
        ({"train": 2, "test": 0}, "found none"),
    ],
)
def test_what_cannot_be_split(tmp_path, counts, message):
    with pytest.raises(UserError, match=message):
        table(fill(tmp_path / "in", **counts))


@pytest.mark.parametrize(
    ("brightest", "refused"), [(255, True), (4095, True), (9000, False)]
)
def test_few_bits_in_pictures_of_sixteen(tmp_path, brightest, refused):
    """A dark one among others is as it is."""
    (tmp_path / "in").mkdir()
    random = np.random.RandomState(0)
    for i in range(12):
        pixels = random.randint(0, 200 if i else brightest + 1, (9, 9))
        pixels[0, 0] = 0 if i else brightest
        picture = Image.fromarray(pixels.astype("uint16"))
        picture.save(tmp_path / "in" / f"{i}.png")
    builder = ImageFolder(tmp_path / "in", "a", (6, 6), data_dir=tmp_path / "data")
    if not refused:
        builder.download_and_prepare()
        return
    with pytest.raises(UserError, match="No 16-bit picture of .* more than 4095: expe"):
        builder.download_and_prepare()
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


def test_many_classes_are_summed(tmp_path):
    counts = {f"train__c{i:02}": 1 for i in range(25)} | {"test__c00": 2}
    lines = table(fill(tmp_path / "in", **counts))
    assert len(lines) == 23
    assert lines[-2:] == ["5 more 5 0", "all classes 25 2"]


def test_pictures_of_32_bits_of_two_kinds(tmp_path):
    """A dark one among others would be white."""
    (tmp_path / "in").mkdir()
    for i in range(12):
        pixels = np.full((9, 9), 200 if i == 5 else 60_000, np.int32)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{i}.tif")
    builder = ImageFolder(tmp_path / "in", "a", (6, 6), data_dir=tmp_path / "data")
    with pytest.raises(UserError, match="32 bits, some no more than 255, others, as"):
        builder.download_and_prepare()

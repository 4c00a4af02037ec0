"""Folders as people have them; see also `test_prepare`."""

import numpy as np
import pytest
from PIL import Image

from tfp_priors.data.builders.image_folder import ImageFolder
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


def test_what_is_left_out_is_counted(tmp_path):
    folder = fill(tmp_path / "in", train__cats=4, val__cats=2, more=5)
    fill(folder / "train", **{".ipynb_checkpoints": 1})
    fill(folder / "train", **{".": 3})
    fill(folder, **{".cache": 2})
    (folder / "train" / "cats" / "list.csv").touch()
    assert table(folder) == [
        "class train test",
        "cats 4 2",
        "left out, beside the folders of the classes: 3",
        "left out, beside the folders of the splits: 5",
        "left out, hidden: 3",
        "left out, no picture (.csv): 1",
    ]


@pytest.mark.parametrize("count", [2, 3, 12])
def test_small_folders_have_both_splits(tmp_path, count):
    """A hash alone leaves the test split of a few pictures empty."""
    _, row = table(fill(tmp_path / "in", **{".": count}))
    train, test = map(int, row.split()[1:])
    assert train + test == count
    assert train and test


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


def test_many_classes_are_summed(tmp_path):
    counts = {f"train__c{i:02}": 1 for i in range(25)} | {"test__c00": 2}
    lines = table(fill(tmp_path / "in", **counts))
    assert len(lines) == 23
    assert lines[-2:] == ["5 more 5 0", "all classes 25 2"]

"""Tables of attributes beside a folder's pictures."""

import numpy as np
import pytest

from tests.data.builders.test_image_folder import fill
from tests.data.builders.test_image_folder import table
from tfp_priors.data import load_dataset
from tfp_priors.data.attributes import read_attributes
from tfp_priors.data.prepare import prepare
from tfp_priors.errors import UserError

ROWS = ["file,smiling,male", "a/0.png,1,0", "", "a/1.png, 0 ,1", "a/2.png,1,1"]


def written(folder, rows, encoding="utf-8"):
    (folder / "attributes.csv").write_text("\n".join(rows), encoding=encoding)
    return folder


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "in", a=3)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_read(folder, encoding):
    pictures = sorted(folder.glob("a/*"))
    found = read_attributes(written(folder, ROWS, encoding), pictures)
    assert found == {
        pictures[0]: {"smiling": True, "male": False},
        pictures[1]: {"smiling": False, "male": True},
        pictures[2]: {"smiling": True, "male": True},
    }
    assert list(read_attributes(folder, pictures[:1])) == pictures[:1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "The first line of .* is '': expected file and the names"),
        (["name,male", "a/0.png,1"], "is 'name,male': expected file and the names"),
        (["file", "a/0.png"], "is 'file': expected file and the names of attributes"),
        (["file,a,a"], "The attribute 'a' in the first line of .* twice: give each"),
        (
            ["file,a,", "a/0.png,1,0"],
            "The attribute '' in the first line of .* has no name",
        ),
        (["file,a/b"], "The attribute 'a/b' in the first line of .* has a slash"),
        ([*ROWS[:2], "a/1.png,1"], "Expected 3 values, .* received 2 in line 3 of"),
        (
            [*ROWS[:2], "a/1.png,1,yes"],
            "male is 'yes' in line 3 of .*: expected 0 or",
        ),
        ([*ROWS[:2], "a/1.png,-1,1"], "smiling is '-1' in line 3"),
        (
            ["file,male", "a\\0.png,1"],
            "lacks 3 of 3 .* It has .*0.png, which is no",
        ),
        (["\0"], "is no text in UTF-8"),
        ([*ROWS, "a/./0.png,1,0"], "The picture a/./0.png comes again in line 6"),
        ([*ROWS, "a/0.png,1,0"], "The picture a/0.png comes again in line 6"),
        (ROWS[:2], "lacks 2 of 3 pictures, the first of them a/1.png: add"),
    ],
)
def test_what_is_no_table(folder, rows, message):
    written(folder, rows)
    with pytest.raises(UserError, match=message.replace("twice: give each", ".*twice")):
        prepare("image_folder/a", folder, str(folder.parent / "data"))
    assert not (folder.parent / "data").exists()


def test_accents_are_one_character_or_two(tmp_path):
    source = fill(tmp_path / "in", **{"e\u0301t\u00e9": 1})
    written(source, ["file,male", "\u00e9te\u0301/0.png,1"])
    (picture,) = source.glob("*/*.png")
    assert read_attributes(source, [picture]) == {picture: {"male": True}}


def test_a_table_in_another_encoding_is_told(folder):
    written(folder, ["file,été", *ROWS[1:]], "latin-1")
    with pytest.raises(UserError, match="attributes.csv is no text in UTF-8: save"):
        read_attributes(folder, [])


def test_a_set_with_attributes(tmp_path):
    folder = fill(tmp_path / "in", train__a=5, test__a=4)
    splits = {"train/a": 5, "test/a": 4}
    names = [f"{place}/{i}.png" for place, n in splits.items() for i in range(n)]
    rows = [f"{name},{int(name[-5]) % 2},{int(name < 'tr')}" for name in names]
    written(folder, ["file,odd,held_out", *rows])
    data = str(tmp_path / "data")
    assert table(folder)[-2:] == [
        "attribute 0, held_out: 44.4%",
        "attribute 1, odd: 44.4%",
    ]
    prepare("image_folder/a", folder, data)
    for split, count in (("train", 5), ("test", 4)):
        dataset = load_dataset("image_folder/a", split, data)
        has = dataset.features["attributes"]
        # The pictures' grey value is their number; attributes are in order of names.
        number = np.round(255 * dataset.take(9)["image"][:, 0, 0, 0])
        assert has.shape == (count, 2) and has.dtype == bool
        np.testing.assert_array_equal(has[:, 0], split == "test")
        np.testing.assert_array_equal(has[:, 1], number % 2 == 1)

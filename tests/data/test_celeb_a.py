"""A small set in the layout of the CelebA page."""

import hashlib
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from tfp_priors.data import load_dataset
from tfp_priors.data.prepare import prepare
from tfp_priors.errors import UserError


def write_celeb_a(folder, truncated=()):
    names = [f"{i:06d}.jpg" for i in range(1, 7)]
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for i, name in enumerate(names):
            data = io.BytesIO()
            Image.new("RGB", (178, 218), (40 * i, 0, 0)).save(data, "JPEG")
            content = data.getvalue()
            if i in truncated:
                content = content[: len(content) // 2]
            archive.writestr(f"img_align_celeba/{name}", content)
    parts = "".join(f"{name} {i // 2}\n" for i, name in enumerate(names))
    (folder / "list_eval_partition.txt").write_text(parts)
    from tensorflow_datasets.datasets.celeb_a import celeb_a_dataset_builder as celeb_a

    tables = {
        "list_attr_celeba.txt": (celeb_a.ATTR_HEADINGS, "-1"),
        "list_landmarks_align_celeba.txt": (celeb_a.LANDMARK_HEADINGS, "7"),
    }
    for file, (headings, value) in tables.items():
        rows = [f"{name} {' '.join([value] * len(headings))}" for name in names]
        lines = [str(len(names)), " ".join(headings), *rows]
        (folder / file).write_text("\n".join(lines) + "\n")
    (folder / "identity_CelebA.txt").write_text("".join(f"{n} 1\n" for n in names))


def test_celeb_a(tmp_path):
    write_celeb_a(tmp_path)
    prepare("celeb_a", tmp_path, str(tmp_path / "data"))
    test = load_dataset("celeb_a", "test", str(tmp_path / "data"), crop_size=128)
    assert (test.size, test.image_shape) == (2, (128, 128, 3))
    batch = test.take(2)
    assert batch["attributes"].shape == (2, 40)
    assert not batch["attributes"].any()
    red = batch["image"][:, 64, 64, 0] * 255
    np.testing.assert_allclose(sorted(red), [160, 200], atol=3)
    streamed = load_dataset(
        "celeb_a", "test", str(tmp_path / "data"), crop_size=128, memory_limit=0
    )
    assert list(streamed.features) == ["attributes"]
    for name, value in streamed.take(2).items():
        np.testing.assert_array_equal(value, batch[name])


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "list_attr_celeba.txt",
            "000002.jpg",
            "000022.jpg",
            "000002.jpg is in img_align_celeba.zip, but not in list_attr_celeba.txt",
        ),
        (
            "identity_CelebA.txt",
            "000003.jpg 1\n",
            "",
            "000003.jpg is in img_align_celeba.zip, but not in identity_CelebA.txt",
        ),
        (
            "list_eval_partition.txt",
            "000001.jpg 0",
            "000000.jpg 0",
            "000000.jpg is in list_eval_partition.txt, but not in img_align_celeba.zip",
        ),
        ("list_attr_celeba.txt", "6\n", "7\n", "has 6 rows, its first line says 7"),
        ("list_attr_celeba.txt", " -1\n", "\n", "Line 3 of .* has 39 values"),
        ("list_eval_partition.txt", "jpg 0", "jpg x", "Line 1 of .*list_eval_part"),
    ],
)
def test_files_of_celeb_a_that_do_not_fit_are_named(tmp_path, file, old, new, message):
    write_celeb_a(tmp_path)
    edit(tmp_path / file, old, new)
    with pytest.raises(UserError, match=message):
        prepare("celeb_a", tmp_path, str(tmp_path / "data"))
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


@pytest.mark.parametrize(
    "file",
    [
        "list_eval_partition.txt",
        "list_attr_celeba.txt",
        "list_landmarks_align_celeba.txt",
        "identity_CelebA.txt",
    ],
)
def test_an_empty_table_of_celeb_a_is_named(tmp_path, file):
    write_celeb_a(tmp_path)
    (tmp_path / file).write_bytes(b"")
    with pytest.raises(UserError, match=f"{file} is empty. Download {file} again"):
        prepare("celeb_a", tmp_path, str(tmp_path / "data"))


def test_truncated_pictures_of_celeb_a_are_skipped_only_if_asked(tmp_path):
    write_celeb_a(tmp_path, truncated=(1, 5))
    data_dir = str(tmp_path / "data")
    message = r"000002.jpg in .* is damaged, as are 1 other pictures.*--skip_damaged"
    with pytest.raises(UserError, match=message):
        prepare("celeb_a", tmp_path, data_dir)
    prepared = prepare("celeb_a", tmp_path, data_dir, skip_damaged=True)
    assert prepared.is_new
    assert prepared.notes[0] == "left out 2 damaged pictures: 000002.jpg, ..."
    sizes = {
        split: load_dataset("celeb_a", split, data_dir, crop_size=128).size
        for split in ("train", "validation", "test")
    }
    assert sizes == {"train": 1, "validation": 2, "test": 1}
    again = prepare("celeb_a", tmp_path, data_dir)
    assert not again.is_new and again.path == prepared.path


def test_checksums_of_celeb_a_are_told(tmp_path):
    write_celeb_a(tmp_path)
    notes = prepare("celeb_a", tmp_path, str(tmp_path / "data")).notes
    content = (tmp_path / "identity_CelebA.txt").read_bytes()
    expected = hashlib.sha256(content).hexdigest()
    assert notes[-1] == (
        f"identity_CelebA.txt: SHA-256 {expected}, not the one of TFDS"
    )

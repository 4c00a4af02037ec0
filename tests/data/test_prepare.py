"""Local files in the real formats become TFDS data."""

import gzip
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tfp_priors.data import load_dataset
from tfp_priors.data import prepare as prepare_module
from tfp_priors.data.prepare import prepare
from tfp_priors.errors import UserError

LABELS = "t10k-labels-idx1-ubyte"


@pytest.fixture(autouse=True)
def quiet():
    tfds.disable_progress_bar()


def idx(array):
    header = bytes((0, 0, 8, array.ndim))
    return header + b"".join(n.to_bytes(4, "big") for n in array.shape) + bytes(array)


def shrink_mnist(monkeypatch, train, test):
    """Makes MNIST one of fewer images: TFDS's builder has the sizes as constants."""
    from tensorflow_datasets.image_classification import mnist

    monkeypatch.setattr(mnist, "_TRAIN_EXAMPLES", train)
    monkeypatch.setattr(mnist, "_TEST_EXAMPLES", test)
    shapes = prepare_module._IDX_SHAPES
    for name, shape in shapes.items():
        n = train if name.startswith("train") else test
        monkeypatch.setitem(shapes, name, (n, *shape[1:]))


@pytest.fixture
def small_mnist(monkeypatch):
    shrink_mnist(monkeypatch, 30, 20)


def write_mnist(folder, packed):
    random = np.random.RandomState(0)
    arrays = {}
    for name, shape in prepare_module._IDX_SHAPES.items():
        high = 256 if len(shape) == 3 else 10
        arrays[name] = random.randint(0, high, shape).astype(np.uint8)
        data = idx(arrays[name])
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / name).write_bytes(data)
    return arrays


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_idx_files(tmp_path, small_mnist, name, packed):
    source = tmp_path / "source"
    source.mkdir()
    arrays = write_mnist(source, packed)
    prepare(name, source, str(tmp_path / "data"))
    test = load_dataset(name, "test", str(tmp_path / "data")).take(20)
    images = np.round(test["image"][..., 0] * 255).astype(np.uint8)
    expected = arrays["t10k-images-idx3-ubyte"]
    order = [next(i for i in range(20) if (x == expected[i]).all()) for x in images]
    assert sorted(order) == list(range(20))
    expected_labels = arrays["t10k-labels-idx1-ubyte"][order]
    np.testing.assert_array_equal(test["label"], expected_labels)


def test_truncated_idx_file_is_named(tmp_path, small_mnist):
    write_mnist(tmp_path, packed=True)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1]))
    with pytest.raises(UserError, match="t10k-images-idx3-ubyte.gz is not the expect"):
        prepare("mnist", tmp_path, str(tmp_path / "data"))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match="t10k-images-idx3-ubyte.gz is damaged"):
        prepare("mnist", tmp_path, str(tmp_path / "data"))
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_missing(tmp_path, small_mnist, make, packed):
    """A pipe would be waited for."""
    write_mnist(tmp_path, packed)
    path = tmp_path / (f"{LABELS}.gz" if packed else LABELS)
    path.unlink()
    make(path)
    with pytest.raises(UserError, match=f"lacks {LABELS}.gz of mnist"):
        prepare("mnist", tmp_path, str(tmp_path / "data"))


def test_a_label_that_is_no_digit_is_refused(tmp_path, small_mnist):
    write_mnist(tmp_path, packed=False)
    path = tmp_path / LABELS
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(UserError, match=f"{LABELS} has the label 10: expected 0 to 9"):
        prepare("mnist", tmp_path, str(tmp_path / "data"))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match="lacks train-images-idx3-ubyte.gz, train-la"):
        prepare("mnist", tmp_path, str(tmp_path / "data"))


@pytest.mark.parametrize("unpacked", [False, True])
def test_cifar10(tmp_path, unpacked):
    random = np.random.RandomState(0)
    files = {"batches.meta.txt": b"\n".join(b"class%d" % i for i in range(10)) + b"\n"}
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        records = random.randint(0, 256, (4, 3073)).astype(np.uint8)
        records[:, 0] %= 10
        files[f"{name}.bin"] = records.tobytes()
    source = tmp_path / "source"
    folder = source / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if not unpacked:
        with tarfile.open(source / "cifar-10-binary.tar.gz", "w:gz") as archive:
            archive.add(folder, arcname=folder.name)
    prepare("cifar10", folder if unpacked else source, str(tmp_path / "data"))
    test = load_dataset("cifar10", "test", str(tmp_path / "data"))
    assert (test.size, test.image_shape) == (4, (32, 32, 3))
    record = np.frombuffer(files["test_batch.bin"], np.uint8).reshape(4, 3073)
    expected = record[:, 1:].reshape(4, 3, 32, 32).transpose(0, 2, 3, 1)
    received = np.round(test.take(4)["image"] * 255)
    assert sorted(map(bytes, received.astype(np.uint8))) == sorted(map(bytes, expected))
    assert load_dataset("cifar10", "train", str(tmp_path / "data")).size == 20


@pytest.fixture
def folder(tmp_path):
    """Two classes; grey, RGB, RGBA, palette, JPEG, of several sizes."""
    source = tmp_path / "source"
    for name in ("cats", "dogs"):
        (source / name).mkdir(parents=True)
    for i in range(40):
        mode = ("L", "RGB", "RGBA", "P")[i % 4]
        picture = Image.new(mode, (10 + i % 3, 12), 5 * i if mode in "LP" else "red")
        suffix = "jpg" if mode == "L" else "PNG"
        picture.save(source / ("cats" if i % 2 else "dogs") / f"{i}.{suffix}")
    (source / "cats" / "notes.txt").write_text("not a picture")
    return source


def test_image_folder(folder, tmp_path):
    data_dir = str(tmp_path / "data")
    prepare("image_folder/pets", folder, data_dir, image_size=8)
    train, test = (
        load_dataset("image_folder/pets", split, data_dir)
        for split in ("train", "test")
    )
    assert train.image_shape == (8, 8, 3)
    assert train.size + test.size == 40
    assert 0 < test.size < 12
    assert set(np.unique(train.features["label"])) == {0, 1}


@pytest.mark.parametrize("pixels", [40, 20])
def test_image_folder_with_a_picture_that_is_too_large(tmp_path, monkeypatch, pixels):
    """Pillow warns above its limit and refuses above twice that; here 64 pixels."""
    source = tmp_path / "source"
    source.mkdir()
    for i in range(40):
        Image.new("RGB", (2, 2)).save(source / f"small{i}.png")
    Image.new("RGB", (8, 8)).save(source / "large.png")
    monkeypatch.setattr("tfp_priors.data.pictures.LARGEST", pixels)
    with pytest.raises(UserError, match="The image .*large.png has more than"):
        prepare("image_folder/a", str(source), str(tmp_path / "data"))
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


def test_image_folder_of_grey_images_has_one_channel(tmp_path):
    for part in ("train", "test"):
        (tmp_path / "source" / part).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (6, 4), i).save(tmp_path / "source" / part / f"{i}.png")
    prepare("image_folder/grey", tmp_path / "source", str(tmp_path / "data"))
    test = load_dataset("image_folder/grey", "test", str(tmp_path / "data"))
    assert (test.size, test.image_shape) == (3, (4, 6, 1))


def test_empty_folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cats").symlink_to(tmp_path)
    with pytest.raises(UserError, match="found none, left out, a link to a folder"):
        prepare("image_folder/none", tmp_path / "in", str(tmp_path / "data"))
    with pytest.raises(UserError, match="is none"):
        prepare("image_folder/none", tmp_path / "nowhere", str(tmp_path / "data"))


@pytest.mark.parametrize("how", ["truncated", "text", "empty"])
def test_damaged_image_is_named_and_nothing_is_written(folder, tmp_path, how):
    path = folder / "cats" / "1.PNG"
    content = {"truncated": path.read_bytes()[:-20], "text": b"hello", "empty": b""}
    path.write_bytes(content[how])
    with pytest.raises(UserError, match=r"Cannot read the image .*cats/1\.PNG"):
        prepare("image_folder/pets", folder, str(tmp_path / "data"), image_size=8)
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


def test_names_of_pictures_and_classes(folder, tmp_path):
    """Those of pictures may be any, those of classes must fit in TFDS's list."""
    picture = (folder / "cats" / "1.PNG").read_bytes()
    for i in range(40):
        (folder / "cats" / os.fsdecode(b"\xff \n%d.png" % i)).write_bytes(picture)
    prepare("image_folder/pets", folder, str(tmp_path / "data"), image_size=8)
    assert load_dataset("image_folder/pets", "train", str(tmp_path / "data")).size > 40
    for name in (" birds", "birds\nbees", os.fsdecode(b"\xff")):
        path = folder / name
        path.mkdir()
        (path / "1.png").write_bytes(picture)
        with pytest.raises(UserError, match="cannot be a class: expected") as caught:
            prepare("image_folder/other", folder, str(tmp_path / "data"))
        assert str(UserError(str(path))) in str(caught.value)
        (path / "1.png").unlink()


@pytest.mark.parametrize("name", ["mnist", "celeb_a", "deepfashion", "embedded_digits"])
def test_a_size_is_for_image_folders_alone(tmp_path, name):
    with pytest.raises(UserError, match=f"image_size .* image_folder .* for {name}"):
        prepare(name, tmp_path, str(tmp_path / "data"), image_size=8)
    assert not (tmp_path / "data").exists()


def test_files_are_for_sets_that_have_them_alone(tmp_path):
    with pytest.raises(UserError, match="embedded_digits needs no files: leave"):
        prepare("embedded_digits", tmp_path, str(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("size", [0, -4, 2.5])
def test_sizes_that_are_none(folder, tmp_path, size):
    with pytest.raises(UserError, match=f"image_size must be .*{size}"):
        prepare("image_folder/a", folder, str(tmp_path / "data"), image_size=size)
    assert not (tmp_path / "data").exists()


def test_a_size_that_no_memory_has(folder, tmp_path):
    with pytest.raises(UserError, match="image_size of at most 16000, received 100000"):
        prepare("image_folder/a", folder, str(tmp_path / "data"), image_size=100_000)


@pytest.mark.parametrize("label", ["été", "a.b-c_d+e", "1.0.0"])
def test_names_that_can_be_loaded(folder, tmp_path, label):
    prepare(f"image_folder/{label}", folder, str(tmp_path / "data"), image_size=8)
    assert load_dataset(f"image_folder/{label}", "test", str(tmp_path / "data")).size


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("svhn", "Cannot prepare 'svhn'"),
        ("image_folder/", "needs a plain name"),
        ("image_folder/../x", "needs a plain name"),
        ("image_folder/.x", "needs a plain name"),
        *(
            (f"image_folder/{label}", "of letters, digits and _ - . [+], such as cats")
            for label in ("my cats", "a:b", "a*b", "x[1]", "a%20b", "a\\b", "cats\n")
        ),
    ],
)
def test_bad_names(tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        prepare(name, tmp_path, str(tmp_path))
    with pytest.raises(UserError, match="needs --source"):
        prepare("mnist", None, str(tmp_path))

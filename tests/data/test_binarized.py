"""Black and white pixels: how many are white, and which draws are the same."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfp_priors.data import ImageDataset
from tfp_priors.data.binarized import BinarizedDataset

GREY = np.array([0, 1, 64, 128, 254, 255], np.uint8)
WHITE = GREY / 255


def grey(size=400):
    images = np.broadcast_to(GREY[None, :, None, None], (size, 6, 50, 1))
    return ImageDataset(images, {"label": np.arange(size)}, (6, 50, 1))


@pytest.fixture(scope="module")
def dataset():
    return BinarizedDataset(grey())


def training(dataset, **kwargs):
    batches = dataset.training_batches(20, seed=1, **kwargs).take(3)
    return list(batches.as_numpy_iterator())


def check_shares(images):
    """Of 20,000 pixels of each grey value."""
    check_share((images == 255).mean(axis=(0, 2, 3)), WHITE, images.size / len(GREY))
    np.testing.assert_array_equal(np.unique(images), [0, 255])


def check_share(share, p, n):
    """Within 5 standard errors, of n independent pixels."""
    assert np.all(np.abs(share - p) <= 5 * np.sqrt(p * (1 - p) / n))


def test_pictures_are_black_and_white_too(dataset, tmp_path):
    pixels = np.broadcast_to(GREY[:, None], (6, 50))
    Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / "a.png")
    drawn = [dataset.read_picture(tmp_path / "a.png", i) for i in range(400)]
    check_shares(np.stack(drawn))
    # As an image of that number, and one that is black and white stays as it is.
    np.testing.assert_array_equal(drawn[3] / 255, dataset.gather([3])["image"][0])
    Image.fromarray(drawn[3][..., 0]).save(tmp_path / "b.png")
    again = dataset.read_picture(tmp_path / "b.png", 9)
    np.testing.assert_array_equal(again, drawn[3])


def test_white_as_often_as_the_grey_value_says(dataset):
    stored = np.concatenate([b["image"] for b in dataset.batches(30)])
    check_shares(255 * stored)
    drawn = [b["image"] for b in dataset.training_batches(400, seed=0).take(1)]
    assert drawn[0].dtype == tf.uint8
    check_shares(drawn[0].numpy())


def test_pixels_are_independent(dataset):
    images = dataset.take(400)["image"][:, 3]
    pairs = [(images[:, :-1], images[:, 1:]), (images[:-1], images[1:])]
    for one, other in pairs:
        correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 5 / np.sqrt(one.size)


def test_what_is_not_trained_on_never_changes(dataset):
    whole = dataset.take(400)["image"]
    again = BinarizedDataset(grey()).gather([7, 3, 7])["image"]
    np.testing.assert_array_equal(again, whole[[7, 3, 7]])
    one, other = (BinarizedDataset(grey()).split(0.1, seed=0)[1] for _ in range(2))
    assert one.size == 40
    np.testing.assert_array_equal(one.take(40)["image"], whole[one.features["label"]])
    inner = one.split(0.5, seed=1)[1]
    expected = whole[inner.features["label"]]
    np.testing.assert_array_equal(inner.take(20)["image"], expected)
    np.testing.assert_array_equal(one.take(40)["image"], other.take(40)["image"])
    np.testing.assert_array_equal(one.features["label"], other.features["label"])


def test_each_step_draws_anew_and_resumes(dataset):
    first, again = training(dataset), training(dataset)
    later = training(dataset, start_step=1)
    of_grey = training(grey())
    for a, b, c in zip(first, again, of_grey, strict=True):
        np.testing.assert_array_equal(a["image"], b["image"])
        np.testing.assert_array_equal(a["label"], c["label"])
    np.testing.assert_array_equal(later[0]["image"], first[1]["image"])
    assert not np.array_equal(first[0]["image"], first[1]["image"])
    workers = [training(dataset, worker=i, workers=2)[2]["image"] for i in range(2)]
    np.testing.assert_array_equal(np.concatenate(workers), first[2]["image"])


def test_each_epoch_draws_every_image_anew(dataset):
    learned, _ = dataset.split(0.5, seed=0)
    # A batch is all 200 images; here each is in its own place.
    epochs = learned.training_batches(200, seed=1).take(50).as_numpy_iterator()
    drawn = np.stack([b["image"][np.argsort(b["label"])] == 255 for b in epochs])
    # Pixels of two epochs agree if both are white or neither is.
    agree = (drawn[0] == drawn[1]).mean(axis=(0, 2, 3))
    check_share(agree, WHITE**2 + (1 - WHITE) ** 2, 200 * 50)
    # In the mean over all epochs each image is the grey one.
    check_share(drawn.mean(axis=(0, 3, 4)), WHITE, 50 * 50)


def test_known_factors_are_those_of_the_grey_images():
    images = grey()
    images.factors = {"shade": slice(0, 3)}
    dataset = BinarizedDataset(images)
    for part in (dataset, *dataset.split(0.5, seed=0)):
        assert part.factors == images.factors
    assert BinarizedDataset(grey()).factors == {}

"""Batches of images in memory: their order, their shares, what is held out."""

import re

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError


def numbered(size=10):
    images = np.zeros((size, 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(size)
    return ImageDataset(images, {"label": np.arange(size)}, (2, 2, 1))


def labels(dataset, batches, **kwargs):
    stream = dataset.training_batches(**kwargs).take(batches)
    return np.concatenate([batch["label"] for batch in stream.as_numpy_iterator()])


def test_each_epoch_is_a_permutation_and_no_two_are_the_same():
    seen = labels(numbered(), 20, batch_size=4, seed=0).reshape(8, 10)
    for epoch in seen:
        assert sorted(epoch) == list(range(10))
    assert len({tuple(epoch) for epoch in seen}) == 8


@pytest.mark.parametrize("size", [100, 4000])
def test_permutations_look_random(size):
    # A random permutation has 1 fixed point and 2 adjacent pairs in the mean, and a
    # variance of about 1 and 2; the bounds are 4 standard errors over 20 epochs.
    seen = labels(numbered_large(size), 20, batch_size=size, seed=0).reshape(20, size)
    fixed = (seen == np.arange(size)).sum(1).mean()
    adjacent = (np.abs(np.diff(seen, axis=1)) == 1).sum(1).mean()
    assert abs(fixed - 1) < 4 / np.sqrt(20)
    assert abs(adjacent - 2) < 4 * np.sqrt(2 / 20)


def numbered_large(size):
    images = np.zeros((size, 1, 1, 1), np.uint8)
    return ImageDataset(images, {"label": np.arange(size)}, (1, 1, 1))


def test_order_is_a_function_of_seed_and_step():
    whole = labels(numbered(), 10, batch_size=3, seed=1)
    rest = labels(numbered(), 6, batch_size=3, seed=1, start_step=4)
    np.testing.assert_array_equal(whole[12:], rest)
    assert not np.array_equal(whole, labels(numbered(), 10, batch_size=3, seed=2))


def test_a_step_far_away_costs_nothing():
    far = labels(numbered(), 1, batch_size=3, seed=1, start_step=10**12)
    assert len(far) == 3


def test_images_stay_with_their_labels_and_range():
    batch = next(iter(numbered().training_batches(8, seed=0)))
    assert batch["image"].dtype == tf.uint8
    assert batch["image"].shape == (8, 2, 2, 1)
    np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], batch["label"])
    for stored in (next(iter(numbered().batches(8))), numbered().gather([3, 9, 3])):
        assert stored["image"].dtype == np.float32
        np.testing.assert_allclose(
            stored["image"][:, 0, 0, 0] * 255, stored["label"], rtol=1e-6
        )
    means = numbered().map(lambda images: tf.reduce_sum(images, [1, 2, 3]), 4)
    np.testing.assert_allclose(means * 255, range(10), rtol=1e-6)


@pytest.mark.parametrize("workers", [1, 2, 3, 6])
def test_workers_together_see_the_batches_of_one(workers):
    whole = labels(numbered(), 10, batch_size=6, seed=1, start_step=2).reshape(10, 6)
    shares = [
        labels(
            numbered(),
            10,
            batch_size=6,
            seed=1,
            start_step=2,
            worker=worker,
            workers=workers,
        ).reshape(10, 6 // workers)
        for worker in range(workers)
    ]
    np.testing.assert_array_equal(np.concatenate(shares, axis=1), whole)


@pytest.mark.parametrize(
    ("images", "received"),
    [
        (np.full([3, 2, 2, 1], 0.5, "f4"), "float32 (3, 2, 2, 1) in [0.5, 0.5]"),
        (np.zeros([3, 2, 3, 1], np.uint8), "uint8 (3, 2, 3, 1)"),
    ],
)
def test_images_that_are_no_bytes_of_the_shape(images, received):
    expected = f"uint8 of shape ('size', 2, 2, 1), received {received}: floats in"
    with pytest.raises(UserError, match=re.escape(expected)):
        ImageDataset(images, {}, (2, 2, 1))


@pytest.mark.parametrize("labels", [np.arange(3), np.int64(7), np.zeros((11, 2))])
def test_features_of_another_length(labels):
    images = np.zeros((10, 2, 2, 1), np.uint8)
    shape = re.escape(str(labels.shape))
    message = f"'label' to have a row for each of the 10 images, .* shape {shape}: "
    with pytest.raises(UserError, match=message):
        ImageDataset(images, {"label": labels}, (2, 2, 1))


def test_stored_order():
    batches = list(numbered().batches(4).as_numpy_iterator())
    assert [len(batch["label"]) for batch in batches] == [4, 4, 2]
    assert numbered().take(99)["label"].tolist() == list(range(10))


def test_a_split_is_a_function_of_the_seed_and_nothing_is_in_both():
    whole = numbered(40)
    fit, held_out = whole.split(0.1, seed=3)
    assert (fit.size, held_out.size) == (36, 4)
    images, features = (
        np.concatenate([part.take(40)["image"][:, 0, 0, 0] * 255 for part in parts])
        for parts in ([fit, held_out], [whole])
    )
    assert sorted(np.rint(images)) == sorted(np.rint(features))
    labels_of = [part.take(40)["label"].tolist() for part in (fit, held_out)]
    assert labels_of == [part.features["label"].tolist() for part in (fit, held_out)]
    assert not set(labels_of[0]) & set(labels_of[1])
    again, other = (whole.split(0.1, seed)[1].features["label"] for seed in (3, 4))
    assert again.tolist() == labels_of[1] != other.tolist()
    seen = labels(fit, 9, batch_size=4, seed=0)
    assert sorted(seen) == labels_of[0]


def test_parts_have_the_factors_of_the_whole():
    whole = numbered()
    assert [part.factors for part in whole.split(0.5, seed=0)] == [{}, {}]
    whole.factors = {"shape": slice(0, 4), "side": slice(4, 6)}
    for part in whole.split(0.5, seed=0):
        assert part.factors == whole.factors
        assert part.split(0.5, seed=0)[1].factors == whole.factors


def test_a_picture_of_the_size_of_the_images_is_taken_as_it_is(tmp_path):
    pixels = np.random.RandomState(0).randint(0, 256, (4, 4)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    dataset = ImageDataset(np.zeros((2, 4, 4, 1), np.uint8), {}, (4, 4, 1))
    dataset.stored = (8, 8), lambda image: image[2:6, 2:6]
    for data in (dataset, dataset.split(0.5, seed=0)[0]):
        picture = data.read_picture(tmp_path / "a.png")
        np.testing.assert_array_equal(picture[..., 0], pixels)
    Image.fromarray(pixels.repeat(2, 0).repeat(2, 1)).save(tmp_path / "b.png")
    with open(tmp_path / "b.png", "rb") as file:
        picture = dataset.split(0.5, seed=0)[1].read_picture(file)
    np.testing.assert_array_equal(picture[::2, ::2, 0], pixels[1:3, 1:3])
    with pytest.raises(UserError, match="b.png has 8x8 pixels, the data set 4x4"):
        dataset.read_picture(tmp_path / "b.png", scale=False)


def test_a_split_of_few_images_and_of_no_share():
    assert [part.size for part in numbered(2).split(0.01, 0)] == [1, 1]
    assert [part.size for part in numbered(1).split(0.5, 0)] == [1, 1]
    for share in (0.0, 1.0):
        with pytest.raises(UserError, match="split.share must be a number in"):
            numbered().split(share, 0)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(np.arange(10), index=np.random.RandomState(0).permutation(10)),
        list(range(10)),
        tf.range(10),
    ],
)
def test_features_go_by_their_place(column):
    dataset = ImageDataset(
        np.zeros((10, 2, 2, 1), np.uint8), {"label": column}, (2, 2, 1)
    )
    for part in dataset.split(0.3, seed=0):
        np.testing.assert_array_equal(part.features["label"], part.take(10)["label"])

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfp_priors.data import ImageDataset
from tfp_priors.data import load_dataset
from tfp_priors.data.prepare import prepare
from tfp_priors.errors import UserError
from tfp_priors.evaluation import images


def random_images(n, seed=0, shape=(4, 4, 1)):
    return np.random.RandomState(seed).randint(0, 256, (n, *shape)).astype(np.uint8)


def test_quantized_rounds_to_the_nearest_level():
    levels = np.arange(256) / 255.0
    column = levels.reshape(1, 256, 1, 1)
    np.testing.assert_array_equal(images.quantized(column)[0, :, 0, 0], np.arange(256))
    nudged = np.clip(column + 0.4 / 255, 0, 1)
    np.testing.assert_array_equal(images.quantized(nudged)[0, :, 0, 0], np.arange(256))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4, 4)), "shape \\(3, 4, 4\\)"),
        (np.zeros((3, 4, 4, 2)), "1 or 3 channels"),
        (np.full((3, 4, 4, 1), 200.0), "in \\[0, 1\\], received \\[0, 200\\]"),
        (np.full((3, 4, 4, 1), -1.0), "divide by 255, or map"),
        (np.zeros((3, 4, 4, 1), int), "uint8 or as floats"),
        (np.where(np.arange(3) == 1, np.nan, 0.5).reshape(3, 1, 1, 1), "1 of 3 images"),
    ],
)
def test_bad_images(array, message):
    with pytest.raises(UserError, match=message):
        images.quantized(array)


def test_identity_follows_the_pixels():
    a, b = random_images(2100), random_images(2100)
    assert images.from_array(a).identity == images.from_array(b).identity
    b[2050, 0, 0, 0] ^= 1
    assert images.from_array(a).identity != images.from_array(b).identity
    assert (
        images.from_array(a[:4]).identity
        != images.from_array(a[:4].reshape(4, 2, 8, 1)).identity
    )


def test_chunks_make_up_the_whole():
    array = random_images(2500)
    whole = images.from_array(array)
    assert whole.spans() == [(0, 1000), (1000, 2000), (2000, 2500)]
    np.testing.assert_array_equal(np.concatenate(list(whole)), array)
    darker = whole.map(lambda chunk: chunk // 2, "half")
    np.testing.assert_array_equal(np.concatenate(list(darker)), array // 2)
    assert darker.identity != whole.identity


def test_data_set_images_are_distinct_and_always_the_same():
    numbers = np.arange(300)
    array = np.stack([numbers % 256, numbers // 256], axis=1).astype(np.uint8)
    dataset = ImageDataset(array.reshape(300, 2, 1, 1), {}, (2, 1, 1))
    chosen = images.from_dataset(dataset, 100)
    first = np.concatenate(list(chosen))
    assert len(np.unique(first.reshape(100, -1), axis=0)) == 100
    again = images.from_dataset(dataset, 100)
    assert chosen.identity == again.identity
    everything = images.from_dataset(dataset, 10_000)
    assert everything.size == 300
    rows = np.concatenate(list(everything)).reshape(300, -1)
    assert len(np.unique(rows, axis=0)) == 300


def sample(n, seed):
    return tf.random.stateless_uniform([n, 4, 4, 1], [seed, 0])


def test_samples_repeat_and_chunks_differ():
    a = np.concatenate(list(images.from_sampler(sample, 2000, 3, "w")))
    b = np.concatenate(list(images.from_sampler(sample, 2000, 3, "w")))
    np.testing.assert_array_equal(a, b)
    assert (a[:1000] != a[1000:]).any()
    c = np.concatenate(list(images.from_sampler(sample, 2000, 4, "w")))
    assert (a != c).mean() > 0.9
    # More samples begin with the same ones.
    d = images.from_sampler(sample, 3000, 3, "w")
    np.testing.assert_array_equal(np.concatenate(list(d))[:2000], a)


def test_pictures_of_a_folder(tmp_path):
    array = random_images(3, shape=(4, 6, 3))
    for i, image in enumerate(array):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    folder = images.from_folder(tmp_path, (4, 6, 3))
    array = array[np.random.RandomState(0).permutation(3)]
    np.testing.assert_array_equal(np.concatenate(list(folder)), array)
    gray = np.concatenate(list(images.from_folder(tmp_path, (4, 6, 1))))
    # Rec. 601 luma.
    expected = array @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(gray[..., 0], expected, atol=1)


def test_the_first_pictures_of_a_folder_are_of_all_its_classes(tmp_path):
    for value in range(4):
        (tmp_path / f"class{value}").mkdir()
        for i in range(20):
            picture = Image.fromarray(np.full((2, 2), value, np.uint8))
            picture.save(tmp_path / f"class{value}" / f"{i}.png")
    folder = images.from_folder(tmp_path, (2, 2, 1))
    first = folder.chunk(0, 40)[:, 0, 0, 0]
    # 10 of each are expected; 4 or fewer of one have a probability of 2e-5.
    assert np.bincount(first, minlength=4).min() > 4
    again = images.from_folder(tmp_path, (2, 2, 1))
    assert again.identity == folder.identity


@pytest.mark.parametrize(
    "settings",
    [{}, {"crop_size": 4}, {"image_size": 3}, {"crop_size": 5, "image_size": (2, 3)}],
)
def test_pictures_of_any_size_are_read_as_they_are_prepared(tmp_path, settings):
    for split, size in (("train", (9, 7)), ("test", (12, 20))):
        (tmp_path / "in" / split).mkdir(parents=True)
        exif = Image.Exif()
        exif[0x0112] = 6
        for i, image in enumerate(random_images(3, shape=(*size, 3))):
            path = tmp_path / "in" / split / f"{i}.webp"
            Image.fromarray(image).save(path, lossless=True, exif=exif)
    prepare("image_folder/a", str(tmp_path / "in"), str(tmp_path / "data"), 6)
    for split in ("train", "test"):
        dataset = load_dataset(
            "image_folder/a", split, str(tmp_path / "data"), **settings
        )
        found = images.from_folder(
            tmp_path / "in" / split, dataset.image_shape, dataset.read_picture
        )
        received, expected = (
            sorted(image.tobytes() for image in np.concatenate(list(chunks)))
            for chunks in (found, images.from_dataset(dataset, 3))
        )
        assert received == expected


def test_bad_folders(tmp_path):
    with pytest.raises(UserError, match="nothing is not there"):
        images.from_folder(tmp_path / "nothing", (4, 4, 1))
    with pytest.raises(UserError, match="no pictures"):
        images.from_folder(tmp_path, (4, 4, 1))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file is no folder"):
        images.from_folder(tmp_path / "file", (4, 4, 1))
    (tmp_path / "file").unlink()
    (tmp_path / "a.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(UserError, match="Cannot read the image .*a.png"):
        list(images.from_folder(tmp_path, (4, 4, 1)))

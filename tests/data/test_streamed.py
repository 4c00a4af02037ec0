"""Prepared files on the disk: the same batches from memory and from the files."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from tfp_priors.data import StreamedDataset
from tfp_priors.data import load_dataset
from tfp_priors.data import tfrecords
from tfp_priors.data.builders import procedural_people
from tfp_priors.data.builders.image_folder import ImageFolder
from tfp_priors.errors import UserError
from tfp_priors.errors import raised_in_graph

SIZE = 37
SHAPE = (9, 8, 3)
SHARDS = 3


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Noise, so that all images differ, as PNG in three shards."""
    tfds.disable_progress_bar()
    folder = tmp_path_factory.mktemp("source")
    random = np.random.RandomState(0)
    for split, size in (("train", SIZE), ("test", 5)):
        for i in range(size):
            path = folder / split / "abc"[i % 3] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.randint(0, 256, SHAPE).astype(np.uint8)).save(path)
    data_dir = tmp_path_factory.mktemp("data")
    builder = ImageFolder(folder, "noise", data_dir=str(data_dir))
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=SHARDS)
    )
    assert len(shards(data_dir)) == SHARDS
    return data_dir


@pytest.fixture
def data_dir(prepared, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(prepared, tmp_path / "data"))


def shards(data_dir):
    return sorted(Path(data_dir).rglob("*train.tfrecord*"))


def load(data_dir, split="train", **kwargs):
    return load_dataset("image_folder/noise", split, str(data_dir), **kwargs)


def batches(dataset, n, **kwargs):
    stream = dataset.training_batches(**kwargs).take(n)
    return list(stream.as_numpy_iterator())


def assert_same(received, expected):
    assert len(received) == len(expected)
    for one, other in zip(received, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            assert one[name].dtype == other[name].dtype
            np.testing.assert_array_equal(one[name], other[name])


#: Memory for the pixels, for the PNG alone (the scaled pixels take ten times as
#: much), and for nothing.
LIMITS = {"pixels": 2**30, "encoded": 10 * SIZE * 216, "streamed": 0}


def test_the_memory_limit_chooses(prepared):
    kinds = {
        kind: load(prepared, image_size=64, memory_limit=limit)
        for kind, limit in LIMITS.items()
    }
    assert kinds["pixels"]._images.dtype == tf.uint8
    assert kinds["encoded"]._images.dtype == tf.string
    assert isinstance(kinds["streamed"], StreamedDataset)
    for dataset in kinds.values():
        assert (dataset.size, dataset.image_shape) == (SIZE, (64, 64, 3))
    # The limits themselves are still within.
    pixels = SIZE * 64 * 64 * 3
    encoded = sum(path.stat().st_size for path in shards(prepared))
    for limit, kind in (
        (pixels, "uint8"),
        (pixels - 1, "string"),
        (encoded, "string"),
    ):
        dataset = load(prepared, image_size=64, memory_limit=limit)
        assert dataset._images.dtype.name == kind
    below = load(prepared, image_size=64, memory_limit=encoded - 1)
    assert isinstance(below, StreamedDataset)


@pytest.mark.parametrize("kind", ["encoded", "streamed"])
@pytest.mark.parametrize("split", ["train", "train[5:31]", "test+train[:9]"])
def test_batches_are_those_from_memory(prepared, kind, split):
    expected, received = (
        load(prepared, split, crop_size=6, image_size=64, memory_limit=LIMITS[which])
        for which in ("pixels", kind)
    )
    assert expected._images.dtype == tf.uint8
    assert received.size == expected.size
    assert received.image_shape == expected.image_shape
    assert list(received.features) == list(expected.features) == ["label"]
    np.testing.assert_array_equal(
        received.features["label"], expected.features["label"]
    )
    kwargs = {"batch_size": 8, "seed": 3, "start_step": 2}
    assert_same(batches(received, 12, **kwargs), batches(expected, 12, **kwargs))
    stored = [list(d.batches(10).as_numpy_iterator()) for d in (received, expected)]
    assert_same(*stored)
    assert_same([received.take(7)], [expected.take(7)])
    assert_same([received.gather([8, 1, 1])], [expected.gather([8, 1, 1])])
    sums = [d.map(lambda x: tf.reduce_sum(x, [1, 2, 3])) for d in (received, expected)]
    np.testing.assert_array_equal(*sums)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("people")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(procedural_people, "_EXAMPLES", {"train": 11, "test": 2})
        load_dataset("procedural_people", data_dir=str(data_dir))
    return data_dir


@pytest.mark.parametrize("kind", ["encoded", "streamed"])
def test_keypoints_are_those_from_memory(people, kind):
    def load_people(memory_limit):
        return load_dataset(
            "procedural_people",
            data_dir=str(people),
            image_size=(96, 64),
            memory_limit=memory_limit,
        )

    # The PNG take less than the pixels of a training split of 11.
    pixels = 11 * 96 * 64 * 3
    expected = load_people(pixels)
    received = load_people({"encoded": pixels - 1, "streamed": 0}[kind])
    assert isinstance(received, StreamedDataset) == (kind == "streamed")
    assert received._images.dtype == tf.string if kind == "encoded" else True
    names = ["attributes", "keypoints"]
    assert sorted(received.features) == sorted(expected.features) == names
    for name in names:
        np.testing.assert_array_equal(received.features[name], expected.features[name])
    assert expected.features["keypoints"].shape == (11, 15, 2)
    assert expected.features["keypoints"].dtype == np.float32
    kwargs = {"batch_size": 4, "seed": 3, "start_step": 2}
    assert_same(batches(received, 6, **kwargs), batches(expected, 6, **kwargs))
    stored = [list(d.batches(5).as_numpy_iterator()) for d in (received, expected)]
    assert_same(*stored)
    assert_same([received.gather([8, 1, 1])], [expected.gather([8, 1, 1])])
    # Of a person, not of the picture's size.
    whole = load_dataset("procedural_people", data_dir=str(people))
    np.testing.assert_array_equal(
        whole.take(11)["keypoints"], expected.features["keypoints"]
    )
    with pytest.raises(UserError, match="Cannot crop the images of procedural_people"):
        load_dataset("procedural_people", data_dir=str(people), crop_size=64)


def test_the_images_are_those_of_the_builder(prepared):
    # TFDS's own reader, one shard after the other, is another way to the same images.
    builder = tfds.core.read_only_builder.builder_from_files(
        "image_folder/noise", data_dir=str(prepared)
    )
    config = tfds.ReadConfig(interleave_cycle_length=1)
    examples = builder.as_dataset(split="train", read_config=config).as_numpy_iterator()
    received = load(prepared, memory_limit=0).take(SIZE)
    for i, example in enumerate(examples):
        image = np.round(received["image"][i] * 255).astype(np.uint8)
        np.testing.assert_array_equal(image, example["image"])
        assert received["label"][i] == example["label"]


def test_streaming_resumes_at_any_step(prepared):
    dataset = load(prepared, memory_limit=0)
    whole = batches(dataset, 12, batch_size=5, seed=1)
    rest = batches(dataset, 4, batch_size=5, seed=1, start_step=8)
    assert_same(rest, whole[8:])
    # In a new process, or after 10**12 steps.
    again = load(prepared, memory_limit=0)
    assert_same(batches(again, 12, batch_size=5, seed=1), whole)
    (far,) = batches(again, 1, batch_size=5, seed=1, start_step=10**12)
    assert far["image"].shape == (5, *SHAPE)


def test_streaming_shows_every_image_once_per_epoch(prepared):
    dataset = load(prepared, memory_limit=0)
    seen = batches(dataset, SIZE, batch_size=3, seed=0)
    images = np.concatenate([batch["image"] for batch in seen])
    epochs = [
        [image.tobytes() for image in epoch]
        for epoch in images.reshape(3, SIZE, *SHAPE)
    ]
    assert all(len(set(epoch)) == SIZE for epoch in epochs)
    for one, other in itertools.combinations(epochs, 2):
        assert set(one) == set(other)
        assert one != other


def test_streaming_workers_share_the_batches(prepared):
    dataset = load(prepared, memory_limit=0)
    whole = batches(dataset, 9, batch_size=8, seed=1)
    shares = [
        batches(dataset, 9, batch_size=8, seed=1, worker=worker, workers=4)
        for worker in range(4)
    ]
    assert shares[0][0]["image"].shape == (2, *SHAPE)
    joined = [
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for parts in zip(*shares, strict=True)
    ]
    assert_same(joined, whole)


def test_features_are_read_when_asked_for(prepared, monkeypatch):
    dataset = load(prepared, memory_limit=0)

    def fail(*args):
        raise AssertionError

    monkeypatch.setattr(tfrecords, "stream", fail)
    assert "label" in dataset.features and "name" not in dataset.features
    assert len(dataset.features) == 1
    with pytest.raises(KeyError):
        dataset.features["name"]
    with pytest.raises(AssertionError):
        dataset.features["label"]


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("memory_limit", [0, 2**30])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-300]), "is damaged"),
        (lambda path: path.write_bytes(b""), "expected 13 records, received 0"),
        (lambda path: path.write_bytes(b"hello"), "is damaged"),
        (lambda path: flip(path, 0), "is damaged"),
        (lambda path: path.unlink(), "There is no file"),
    ],
    ids=["truncated", "cut", "empty", "text", "length", "missing"],
)
def test_a_damaged_file_is_named_at_the_start(data_dir, damage, message, memory_limit):
    path = shards(data_dir)[1]
    damage(path)
    with pytest.raises(UserError, match=message) as caught:
        load(data_dir, memory_limit=memory_limit)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_image_is_found_when_it_is_read(data_dir):
    path = shards(data_dir)[1]
    flip(path, path.stat().st_size // 2)
    with pytest.raises(UserError, match=f"{path} is damaged"):
        load(data_dir)
    dataset = load(data_dir, memory_limit=0)
    assert dataset.take(3)["label"].shape == (3,)
    pattern = f"^{path} is damaged: the record at byte .* prepare the data set again.$"
    reads = (
        lambda: dataset.take(SIZE),
        lambda: dataset.gather(range(12, 25)),
        lambda: dataset.map(lambda images: images),
        lambda: dataset.features["label"],
    )
    for read in reads:
        with pytest.raises(UserError, match=f"{path} is damaged"):
            read()
    with pytest.raises(UserError, match=pattern), raised_in_graph():
        batches(dataset, 5, batch_size=8, seed=0)


def test_records_of_another_kind(data_dir):
    for path in shards(data_dir):
        records = [b"hello"] * sum(1 for _ in tf.data.TFRecordDataset(str(path)))
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)
    with pytest.raises(UserError, match="Cannot read the data in .*noise") as caught:
        load(data_dir)
    assert "{{" not in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_go_are_named(data_dir):
    dataset = load(data_dir, memory_limit=0)
    path = shards(data_dir)[2]
    path.unlink()
    with pytest.raises(UserError, match=f"There is no file {path}"):
        dataset.take(SIZE)


def test_other_errors_pass_as_they_are():
    with pytest.raises(tf.errors.InvalidArgumentError), raised_in_graph():
        tf.io.decode_png(b"hello")

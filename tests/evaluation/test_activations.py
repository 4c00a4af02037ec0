import concurrent.futures
import time

import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.evaluation.activations import Activator
from tfp_priors.evaluation.activations import Extractor
from tfp_priors.evaluation.activations import on_all_devices
from tfp_priors.evaluation.images import Images
from tfp_priors.evaluation.images import from_array
from tfp_priors.training import create_strategy

ARRAY = np.random.RandomState(0).randint(0, 256, (2300, 2, 2, 1)).astype(np.uint8)


def function(images):
    flat = tf.cast(tf.reshape(images, [-1, 4]), tf.float32)
    return flat, flat[:, :3] - 1.0


def extractor(identity="a", **kwargs):
    return Extractor("classifier", identity, function, batch_size=300, **kwargs)


def test_activations_are_those_of_each_image():
    features, logits = Activator(extractor()).activations(from_array(ARRAY))
    np.testing.assert_array_equal(features, ARRAY.reshape(-1, 4))
    np.testing.assert_array_equal(logits, ARRAY.reshape(-1, 4)[:, :3] - 1.0)


def counted(images, seconds=0.0):
    """The images, which take a while to be read, and a list of the chunks that were."""
    reads = []

    def read(start, stop):
        reads.append(start)
        time.sleep(seconds)
        return images.chunk(start, stop)

    return Images(images.size, read, images.identity), reads


def chunks_read(folder):
    """The chunks of `ARRAY` that a folder lacks; its activations must be right."""
    images, reads = counted(from_array(ARRAY))
    features, _ = Activator(extractor()).activations(images, folder)
    np.testing.assert_array_equal(features, ARRAY.reshape(-1, 4))
    return reads


def test_interrupted_work_goes_on(tmp_path):
    images, reads = counted(from_array(ARRAY))
    chunks = Activator(extractor()).chunks(images, tmp_path)
    next(chunks)
    next(chunks)
    chunks.close()
    assert reads == [0, 1000]
    assert chunks_read(tmp_path) == [2000]


def test_processes_share_the_chunks_of_a_folder(tmp_path):
    array = np.resize(ARRAY, (20_500, 2, 2, 1))
    images, reads = counted(from_array(array), seconds=0.05)
    activators = [Activator(extractor()) for _ in range(3)]
    for activator in activators:
        activator.compute(array[:1000])  # Compiled before the race.
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        parts = pool.map(lambda a: a.activations(images, tmp_path), activators)
        for features, _ in parts:
            np.testing.assert_array_equal(features, array.reshape(-1, 4))
    assert set(reads) == {*range(0, 20_500, 1000)}
    # Only what each had in hand when nothing was left to begin is done again.
    assert sum(reads.count(start) > 1 for start in set(reads)) <= 3
    assert not list(tmp_path.rglob("*.claim"))


def test_the_claim_of_a_process_that_died_holds_nothing_up(tmp_path):
    Activator(extractor()).activations(from_array(ARRAY), tmp_path)
    path = min(tmp_path.rglob("*.npz"))
    path.unlink()
    path.with_name(f".{path.stem}.claim").touch()
    assert chunks_read(tmp_path) == [0]


def test_a_damaged_or_missing_file_is_computed_again(tmp_path):
    Activator(extractor()).activations(from_array(ARRAY), tmp_path)
    first, second, _ = sorted(tmp_path.rglob("*.npz"))
    first.write_bytes(first.read_bytes()[:100])
    second.unlink()
    assert chunks_read(tmp_path) == [0, 1000]


def test_other_images_or_weights_share_nothing(tmp_path):
    Activator(extractor()).activations(from_array(ARRAY), tmp_path)
    other = ARRAY.copy()
    other[5, 0, 0, 0] ^= 1
    for weights, array in (("a", other), ("b", ARRAY)):
        images, reads = counted(from_array(array))
        Activator(extractor(weights)).activations(images, tmp_path)
        assert reads == [0, 1000, 2000]


def test_images_that_do_not_fit():
    activator = Activator(extractor(image_shape=(8, 8, 3)))
    with pytest.raises(UserError, match="expects images of shape \\(8, 8, 3\\)"):
        activator.activations(from_array(ARRAY))


@pytest.mark.parametrize("n", [1, 7, 8])
def test_two_devices_equal_one(n):
    strategy = create_strategy("mirrored")
    with strategy.scope():
        weights = tf.Variable(tf.random.stateless_normal([4, 2], [1, 2]))

    def apply(images):
        pixels = tf.cast(images, tf.float32)
        return tf.reshape(pixels, [-1, 4]) @ weights, pixels

    one, two = (
        on_all_devices(apply)(ARRAY[:n]),
        on_all_devices(apply, strategy)(ARRAY[:n]),
    )
    np.testing.assert_allclose(two[0], one[0], rtol=1e-5)
    np.testing.assert_array_equal(two[1], ARRAY[:n])

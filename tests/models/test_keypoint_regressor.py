import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks.test_people import standing
from tfp_priors.errors import UserError
from tfp_priors.evaluation.metrics.pose import joint_distances
from tfp_priors.models import KeypointRegressor
from tfp_priors.networks import ConvFeatures

SHAPE = (16, 16, 3)


def make():
    return KeypointRegressor(ConvFeatures(SHAPE, widths=(8,), size=32))


def spots(n, seed):
    """Images of one bright pixel, and persons whose joints are all there."""
    random = np.random.RandomState(seed)
    places = random.randint(0, 16, (n, 2))
    images = np.zeros((n, *SHAPE), np.uint8)
    images[np.arange(n), places[:, 1], places[:, 0]] = 255
    keypoints = np.repeat((places[:, None] + 0.5) / 16, 15, axis=1)
    return images, keypoints.astype(np.float32)


@pytest.mark.slow
def test_learns_places():
    model = make()
    model.compile(keras.optimizers.Adam(3e-3))
    images, keypoints = spots(2048, 0)
    data = tf.data.Dataset.from_tensor_slices({"image": images, "keypoints": keypoints})
    batches = data.repeat().batch(64, drop_remainder=True)
    model.fit(batches, steps_per_epoch=300, shuffle=False, verbose=0)
    images, keypoints = spots(256, 1)
    test = tf.data.Dataset.from_tensors({"image": images, "keypoints": keypoints})
    distance = model.evaluate(test, verbose=0, return_dict=True)["distance"]
    # The mean of all places is 0.38 away; a pixel has 0.06.
    assert distance < 0.1
    outputs = model(images / np.float32(255)).numpy()
    assert distance == pytest.approx(joint_distances(outputs, keypoints).mean(), 1e-4)


def test_unseen_joints_do_not_count():
    model = make()
    model.compile("adam")
    keypoints = standing()
    images = np.zeros((3, *SHAPE), np.float32)

    def evaluated():
        data = tf.data.Dataset.from_tensors({"image": images, "keypoints": keypoints})
        return model.evaluate(data, verbose=0, return_dict=True)

    outputs = model(images).numpy().reshape(3, 15, 2)
    distances = np.linalg.norm(outputs - keypoints, axis=-1)
    keypoints[1, 4] = -1.0
    distances[1, 4] = np.nan
    expected = {
        "distance": np.nanmean(distances),
        "loss": np.nanmean(np.square(distances)),
    }
    assert evaluated() == pytest.approx(expected, rel=1e-5)


def test_data_without_keypoints():
    with pytest.raises(UserError, match="no feature 'keypoints' .* it has label:"):
        make().check_data(SHAPE, {"label": np.zeros(3)})

"""Where joints are found, in a world whose pixels are their places in hundredths."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.evaluation.activations import Extractor
from tfp_priors.evaluation.evaluator import Evaluator
from tfp_priors.evaluation.images import from_sampler
from tfp_priors.evaluation.metrics.pose import joint_distances
from tfp_priors.evaluation.subject import Subject

# A row for each of two joints.
SHAPE = (2, 2, 1)
# Along x and along y.
SHIFT = np.array([[3], [4]])


def load_dataset(split):
    images = np.random.RandomState(0).randint(90, size=(40, *SHAPE)).astype(np.uint8)
    keypoints = images[..., 0] / 100
    # A joint that is not seen, wherever it is found.
    keypoints[7, 1] = -1.0
    return ImageDataset(images, {"keypoints": keypoints.astype(np.float32)}, SHAPE)


def joints(images):
    """What a regressor that sees pixels finds."""
    places = tf.reshape(tf.cast(images, tf.float32), [-1, 4]) / 100
    return places, places


def subject(**parts):
    return Subject("world", "weights", SHAPE, **parts)


def drawn(n, seed, keypoints):
    """Images of joints that are not where they were asked for."""
    hundredths = np.rint(100 * np.maximum(keypoints, 0))[..., None]
    return (hundredths + SHIFT).astype(np.uint8)


def test_joint_distances_leave_unseen_ones_out():
    keypoints = np.full((3, 2, 2), -1.0)
    keypoints[0, 0] = (0.1, 0.1)
    keypoints[2] = ((0.5, 0.5), (0.0, 1.0))
    outputs = np.array([[0.4, 0.5, 9, 9], [0.0] * 4, [0.5, 0.5, 0.0, 0.2]])
    received = joint_distances(outputs, keypoints)
    # The second image shows no joint; the third one's are 0 and 0.8 away.
    np.testing.assert_allclose(received, [0.5, 0.4])


def test_how_far_samples_are_from_the_joints_that_they_were_given():
    person = subject(
        condition="keypoints",
        samples=lambda n, seed, *given: from_sampler(drawn, n, seed, "w", *given),
    )
    extractor = Extractor("keypoints", "known", joints)
    evaluator = Evaluator(person, load_dataset, {"keypoints": lambda: extractor})
    (result,) = evaluator.evaluate("pose_error40")
    # sqrt(3^2 + 4^2) hundredths, of each joint.
    assert result["value"] == pytest.approx(0.05)
    assert result["floor"] == pytest.approx(0.0, abs=1e-7)
    assert result["standard_error"] == pytest.approx(0.0, abs=1e-7)
    assert result["images"] == 40 and result["extractor_identity"] == "known"


def test_a_model_of_another_condition_has_no_pose():
    evaluator = Evaluator(subject(condition="label"), load_dataset)
    with pytest.raises(UserError, match="world is not conditional on keypoints"):
        evaluator.evaluate("pose_error40")


@pytest.mark.parametrize(("shift", "distance"), [(SHIFT, 0.05), (0 * SHIFT, 0.0)])
def test_how_far_a_regressor_is_from_the_joints_of_the_data(shift, distance):
    regressor = subject(
        # Of floats in [0, 1].
        activations=lambda images: joints(255.0 * images + shift),
        target="keypoints",
    )
    (result,) = Evaluator(regressor, load_dataset).evaluate("joint_distance_test")
    assert result["value"] == pytest.approx(distance, abs=1e-6)
    assert result["standard_error"] == pytest.approx(0.0, abs=1e-6)
    assert result["images"] == 40


def test_a_classifier_finds_no_joints():
    evaluator = Evaluator(subject(target="label"), load_dataset)
    with pytest.raises(UserError, match="finds no joints: give the run of a Keypoint"):
        evaluator.evaluate("joint_distance_test")

"""Where the joints of people are."""

import numpy as np

from tfp_priors.errors import UserError
from tfp_priors.evaluation.metrics.metric import mean_of
from tfp_priors.evaluation.metrics.metric import metric


def joint_distances(outputs: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """How far the joints that can be seen are from where they should be.

    Args:
      outputs: places that a regressor found, `[n, 2 joints]`.
      keypoints: `[n, joints, 2]`; unseen joints are negative.

    Returns:
      The mean over the seen joints of each image that has any, in units of its side:
      joints of one image err together, so images are what is independent.
    """
    offsets = outputs.reshape(keypoints.shape).astype(np.float64) - keypoints
    seen = (keypoints >= 0).all(axis=-1)
    seen, offsets = seen[seen.any(axis=1)], offsets[seen.any(axis=1)]
    return (seen * np.linalg.norm(offsets, axis=-1)).sum(axis=1) / seen.sum(axis=1)


@metric(
    "pose_error{n}",
    "pose_error5k",
    "a model conditional on keypoints, and a regressor of them",
    "n passes of the regressor",
    network="keypoints",
)
def _pose_error(evaluator, n):
    """Mean distance, in units of the image's side, between the joints that samples were
    given and those that the regressor finds in them; the floor is that of the test
    images themselves."""
    if evaluator.subject.condition != "keypoints":
        raise UserError(f"{evaluator.subject.name} is not conditional on keypoints.")

    def errors(images, label):
        found = evaluator.logits("keypoints", images, label)
        return joint_distances(found, images.condition)

    of_samples = errors(evaluator.samples(n), "samples")
    floor = errors(evaluator.real_images("test", n), "test images")
    yield mean_of(of_samples) | {
        "floor": float(floor.mean()),
        "extractor": "keypoints",
    }


@metric(
    "joint_distance_{split}",
    "joint_distance_test",
    "the run of a keypoint regressor",
    "a pass over the split",
)
def _joint_distance(evaluator, split):
    """Mean distance between the joints of the data and those that a regressor finds, in
    units of the image's side."""
    if evaluator.subject.target != "keypoints":
        raise UserError(
            f"{evaluator.subject.name} finds no joints: give the run of a "
            "KeypointRegressor."
        )
    yield mean_of(joint_distances(*evaluator.predictions(split)))

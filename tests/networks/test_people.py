import colorsys

import numpy as np
import tensorflow as tf
from scipy import ndimage

from tfp_priors.core import joints
from tfp_priors.networks import PoseContext
from tfp_priors.networks import people

SIZE = 32
PART_NAMES = list(joints.PARTS)


def standing(seed=0, spread=0.02):
    """Persons, arms and legs apart, moved a little at random: `[3, 15, 2]`."""
    places = {
        "rankle": (0.35, 0.92),
        "rknee": (0.38, 0.75),
        "rhip": (0.42, 0.55),
        "rshoulder": (0.4, 0.3),
        "relbow": (0.3, 0.4),
        "rwrist": (0.22, 0.5),
        "reye": (0.47, 0.14),
        "lankle": (0.66, 0.92),
        "lknee": (0.63, 0.75),
        "lhip": (0.58, 0.55),
        "lshoulder": (0.6, 0.3),
        "lelbow": (0.7, 0.4),
        "lwrist": (0.78, 0.5),
        "leye": (0.53, 0.14),
        "nose": (0.5, 0.18),
    }
    rows = np.array([places[name] for name in joints.JOINTS], np.float32)
    noise = np.random.RandomState(seed).uniform(-spread, spread, (3, 15, 2))
    return (rows + noise).astype(np.float32)


def pictures(seed=0, n=3):
    return np.random.RandomState(seed).uniform(size=(n, SIZE, SIZE, 3)).astype("f4")


def test_stickman_of_one_limb():
    keypoints = np.full((1, 15, 2), -1.0, np.float32)
    keypoints[0, joints.index("rshoulder")] = (0.25, 0.5)
    keypoints[0, joints.index("relbow")] = (0.75, 0.5)
    picture = people.stickman(keypoints, 64)[0].numpy()
    number = joints.LIMBS.index(("rshoulder", "relbow"))
    colour = colorsys.hsv_to_rgb(number / len(joints.LIMBS), 1.0, 1.0)
    # The line, 1.6 pixels thick, has its middle between two rows of pixels.
    expected = 0.8 * np.tile(colour, (30, 1))
    for row in (31, 32):
        np.testing.assert_allclose(picture[row, 17:47], expected, 1e-5)
    assert picture[:30].max() == 0 and picture[34:].max() == 0
    assert picture[:, :14].max() == 0 and picture[:, 50:].max() == 0


def test_stickman_leaves_unseen_limbs_out():
    keypoints = standing()
    whole = people.stickman(keypoints, SIZE).numpy()
    keypoints[:, joints.index("lwrist")] = -1.0
    without = people.stickman(keypoints, SIZE).numpy()
    changed = np.abs(whole - without).max(-1) > 0
    # Nothing but the left lower arm: x from 0.68 on, y from 0.36 to 0.54.
    rows, columns = np.nonzero(changed.any(0))
    assert changed.any() and columns.min() > 0.65 * SIZE
    assert rows.min() > 0.33 * SIZE and rows.max() < 0.57 * SIZE


def test_crops_against_scipy():
    images, keypoints = pictures(), standing()
    crops = people.part_crops(images, keypoints, 8).numpy()
    centres, across, down, _ = (x.numpy() for x in people.part_frames(keypoints))
    axis = (np.arange(8) + 0.5) / 4 - 1
    for image in range(3):
        for part in range(8):
            frame = (a[image, part].astype(np.float64) for a in (centres, across, down))
            centre, right, below = frame
            places = centre + axis[None, :, None] * right + axis[:, None, None] * below
            x, y = np.moveaxis(places * SIZE - 0.5, -1, 0)
            for channel in range(3):
                expected = ndimage.map_coordinates(
                    images[image, :, :, channel].astype(np.float64),
                    [y, x],
                    order=1,
                    mode="grid-constant",
                )
                received = crops[image, :, :, 3 * part + channel]
                np.testing.assert_allclose(received, expected, atol=2e-4)


def test_frames_of_a_limb():
    keypoints = np.full((1, 15, 2), 0.5, np.float32)
    keypoints[0, joints.index("lknee")] = (0.5, 0.9)
    centres, across, down, _ = (x.numpy()[0] for x in people.part_frames(keypoints))
    leg = PART_NAMES.index("left_upper_leg")
    np.testing.assert_allclose(centres[leg], [0.5, 0.7], atol=1e-6)
    np.testing.assert_allclose(down[leg], [0.0, 0.25], atol=1e-6)
    np.testing.assert_allclose(across[leg], [0.125, 0.0], atol=1e-6)


def test_crops_carry_no_pose():
    """A person that is moved, or turned by a right angle, has the same crops."""
    images, keypoints = pictures(), standing()
    images[:, :4] = images[:, -4:] = images[:, :, :4] = images[:, :, -4:] = 0
    crops = people.part_crops(images, keypoints, 8)
    moved = np.roll(images, (2, -3), (1, 2))
    shifted = keypoints + np.array([-3, 2], np.float32) / SIZE
    np.testing.assert_allclose(people.part_crops(moved, shifted, 8), crops, atol=1e-4)
    turned = np.rot90(images, axes=(1, 2))
    # Counterclockwise: what was at the right is at the top.
    x, y = keypoints[..., 0], keypoints[..., 1]
    around = np.stack([y, 1 - x], axis=-1)
    np.testing.assert_allclose(people.part_crops(turned, around, 8), crops, atol=1e-4)


def test_crops_do_not_see_what_is_outside_the_parts():
    images, keypoints = pictures(), standing()
    centres, across, down, _ = (x.numpy() for x in people.part_frames(keypoints))
    y, x = (np.indices((SIZE, SIZE)) + 0.5) / SIZE
    inside = np.zeros((3, SIZE, SIZE), bool)
    for image in range(3):
        for part in range(8):
            axes = np.stack([across[image, part], down[image, part]], axis=1)
            offset = np.stack([x, y], -1) - centres[image, part]
            place = offset @ np.linalg.inv(axes).T
            # Bilinear values reach one pixel further.
            margin = 1.5 / SIZE / np.linalg.norm(axes, axis=0)
            inside[image] |= (np.abs(place) <= 1 + margin).all(-1)
    assert 0.2 < inside.mean() < 0.9
    other = np.where(inside[..., None], images, pictures(1))
    np.testing.assert_array_equal(
        people.part_crops(other, keypoints, 8), people.part_crops(images, keypoints, 8)
    )


def test_unseen_parts_are_black():
    images, keypoints = pictures(), standing()
    keypoints[1, joints.index("relbow")] = -1.0
    crops = people.part_crops(images, keypoints, 8).numpy().reshape(3, 8, 8, 8, 3)
    for number, name in enumerate(PART_NAMES):
        black = crops[1, :, :, number].max() == 0
        assert black == (name in ("right_upper_arm", "right_lower_arm")), name
    assert crops[[0, 2]].max(axis=(1, 2, 4)).min() > 0


def test_context():
    keypoints = standing()
    keypoints[0, 2] = -1.0
    context = PoseContext()(tf.constant(keypoints)).numpy()
    assert context.shape == (3, 45)
    expected = 2 * keypoints.reshape(3, 30) - 1
    expected[0, 4:6] = 0.0
    np.testing.assert_allclose(context[:, :30], expected, atol=1e-6)
    assert context[0, 32] == 0.0 and context[:, 30:].sum() == 3 * 15 - 1

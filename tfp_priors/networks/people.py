"""What the Variational U-Net sees of a person: stickman, crops, pose vector."""

import colorsys

import tensorflow as tf

from tfp_priors.core import joints
from tfp_priors.core.conditioner import Conditioner

# Of a limb's line, as a share of the image's side.
_THICKNESS = 0.025
# A crop reaches beyond its joints by this share; its least width, by its height.
_MARGIN, _SLENDERNESS = 0.25, 0.5

_COLOURS = [
    colorsys.hsv_to_rgb(i / len(joints.LIMBS), 1.0, 1.0)
    for i in range(len(joints.LIMBS))
]


def visible(keypoints):
    """Which joints can be seen: `[batch, 15, 2]` to bools `[batch, 15]`."""
    return tf.reduce_all(keypoints >= 0.0, axis=-1)


def stickman(keypoints, size: int):
    """Draws the limbs as lines, each in a colour of its own, on black.

    Args:
      keypoints: `[batch, 15, 2]`, see `tfp_priors.core.joints`.
      size: side of the pictures in pixels.

    Returns:
      `[batch, size, size, 3]` in [0, 1]; limbs with an unseen end are left out.
    """
    seen = visible(keypoints)
    centres = (tf.range(size, dtype=tf.float32) + 0.5) / size
    x, y = centres[None, None, :], centres[None, :, None]
    picture = 0.0
    for (start, end), colour in zip(joints.LIMBS, _COLOURS, strict=True):
        i, j = joints.index(start), joints.index(end)
        a = keypoints[:, i, :, None, None]  # [B, 2, 1, 1]
        b = keypoints[:, j, :, None, None]
        along_x, along_y = b[:, 0] - a[:, 0], b[:, 1] - a[:, 1]
        length = tf.square(along_x) + tf.square(along_y)
        # The nearest point of the limb, as a share of its length.
        share = (x - a[:, 0]) * along_x + (y - a[:, 1]) * along_y
        share = tf.clip_by_value(tf.math.divide_no_nan(share, length), 0.0, 1.0)
        distance = tf.square(x - a[:, 0] - share * along_x)
        distance = tf.sqrt(distance + tf.square(y - a[:, 1] - share * along_y))
        # Falls from 1 to 0 over one pixel.
        ink = tf.clip_by_value((_THICKNESS / 2 - distance) * size + 0.5, 0.0, 1.0)
        ink *= tf.cast(seen[:, i] & seen[:, j], tf.float32)[:, None, None]
        picture = tf.maximum(picture, ink[..., None] * tf.constant(colour))
    return picture


def part_frames(keypoints):
    """The parallelogram around each part.

    The vertical axis of a crop goes along the limb, from the first to the second joint;
    from the shoulders to the hips for the body, from above the nose to the neck for the
    head.

    Args:
      keypoints: `[batch, 15, 2]`.

    Returns:
      Centres, horizontal and vertical half axes, each `[batch, 8, 2]` in units of the
      image's side, and which parts can be seen, bools `[batch, 8]`.
    """
    at = {name: keypoints[:, i] for i, name in enumerate(joints.JOINTS)}
    seen = dict(zip(joints.JOINTS, tf.unstack(visible(keypoints), axis=1), strict=True))
    frames, parts_seen = [], []
    for name, names in joints.PARTS.items():
        if name == "body":
            top = (at["lshoulder"] + at["rshoulder"]) / 2
            bottom = (at["lhip"] + at["rhip"]) / 2
            # From the person's right to its left.
            across = at["lshoulder"] - at["rshoulder"] + at["lhip"] - at["rhip"]
            frames.append(_frame((top + bottom) / 2, (bottom - top) / 2, across / 4))
        elif name == "head":
            neck = (at["lshoulder"] + at["rshoulder"]) / 2
            down = neck - at["nose"]
            frames.append(_frame(at["nose"], down, _turned(down)))
        else:
            start, end = (at[joint] for joint in names)
            frames.append(_frame((start + end) / 2, (end - start) / 2, 0.0))
        parts_seen.append(tf.reduce_all([seen[joint] for joint in names], axis=0))
    centres, across, down = (tf.stack(axes, axis=1) for axes in zip(*frames))
    return centres, across, down, tf.stack(parts_seen, axis=1)


def _frame(centre, down, across):
    """Adds the margins; an axis that is too short is set across the other."""
    short = _SLENDERNESS * tf.norm(down, axis=-1, keepdims=True)
    upright = _turned(down) * _SLENDERNESS
    narrow = tf.norm(across + tf.zeros_like(down), axis=-1, keepdims=True) < short
    across = tf.where(narrow, upright, across)
    return centre, (1 + _MARGIN) * across, (1 + _MARGIN) * down


def _turned(vector):
    """The vector turned by a right angle, to the image's right if it points down."""
    return tf.stack([vector[..., 1], -vector[..., 0]], axis=-1)


def part_crops(images, keypoints, size: int):
    """Cuts out the parts of a person, each turned upright and scaled to one size.

    Args:
      images: `[batch, height, width, 3]`.
      keypoints: `[batch, 15, 2]` of the same persons.
      size: side of a crop in pixels.

    Returns:
      `[batch, size, size, 24]`, three channels for each of `joints.PARTS`; parts that
      cannot be seen, and what lies outside the image, are 0.
    """
    centres, across, down, seen = part_frames(keypoints)
    # Of the crop's pixels, from -1 to 1.
    grid = (tf.range(size, dtype=tf.float32) + 0.5) * (2.0 / size) - 1.0
    horizontal = across[:, :, None, None] * grid[None, None, None, :, None]
    vertical = down[:, :, None, None] * grid[None, None, :, None, None]
    places = centres[:, :, None, None] + horizontal + vertical  # [B, 8, S, S, 2]
    crops = _bilinear(images, places)  # [B, 8, S, S, 3]
    crops *= tf.cast(seen, images.dtype)[:, :, None, None, None]
    crops = tf.transpose(crops, [0, 2, 3, 1, 4])
    return tf.reshape(crops, [-1, size, size, len(joints.PARTS) * images.shape[-1]])


def _bilinear(images, places):
    """Values of images at (x, y) in units of their sides; 0 outside.

    Args:
      images: `[batch, height, width, channels]`.
      places: `[batch, ..., 2]`.
    """
    height, width, channels = images.shape[1:]
    pixels = tf.reshape(images, [-1, height * width, channels])
    x = places[..., 0] * width - 0.5
    y = places[..., 1] * height - 0.5
    left, top = tf.floor(x), tf.floor(y)
    total = 0.0
    for column, share_x in ((left, left + 1 - x), (left + 1, x - left)):
        for row, share_y in ((top, top + 1 - y), (top + 1, y - top)):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            share = tf.where(inside, share_x * share_y, 0.0)
            index = tf.where(inside, row * width + column, 0.0)
            value = tf.gather(pixels, tf.cast(index, tf.int32), axis=1, batch_dims=1)
            total += tf.cast(share, images.dtype)[..., None] * value
    return total


class PoseContext(Conditioner):
    """A pose as the context vector of a prior; makes a model conditional on it.

    Call arguments:
      keypoints: `[batch, 15, 2]`, see `tfp_priors.core.joints`.

    Returns:
      `[batch, 45]`: coordinates from -1 to 1, 0 for joints that cannot be seen, and
      which can.
    """

    feature = "keypoints"
    condition_shape = (len(joints.JOINTS), 2)
    argument = "pose"
    context_size = 3 * len(joints.JOINTS)

    def picture(self, keypoints, size: int):
        """Pictures of the condition; see `stickman`."""
        return stickman(keypoints, size)

    def call(self, keypoints):
        seen = visible(keypoints)
        places = tf.where(seen[..., None], 2.0 * keypoints - 1.0, 0.0)
        places = tf.reshape(places, [-1, 2 * len(joints.JOINTS)])
        return tf.concat([places, tf.cast(seen, tf.float32)], axis=-1)

"""Other views of images, which are as good as the images to learn from."""

import tensorflow as tf

from tfp_priors.errors import UserError

#: Places in a batch after which its shifts repeat, so that they are the same in batches
#: of any multiple: on any number of devices.
PERIOD = 500


class Views:
    """Images that are shifted at random, and mirrored in every other copy.

    Args:
      copies: views of each image.
      shift: largest shift up, down and to the sides, in pixels; what comes in at a
        border is what has gone out there, reflected.
      mirrored: whether copies 0, 2, .. are mirrored left to right.
      seed: of the shifts.
    """

    def __init__(
        self, copies: int = 1, shift: int = 0, mirrored: bool = False, seed: int = 0
    ):
        if copies < 1 or shift < 0 or not (shift or mirrored):
            raise UserError(
                "Views expects copies >= 1 and shift >= 0, and a shift unless it is "
                f"mirrored, received copies = {copies} and shift = {shift}."
            )
        self.copies = copies
        self.shift = shift
        self.mirrored = mirrored
        self.seed = seed

    def __call__(self, images, copy: int):
        """One view of each image.

        Args:
          images: `[batch, height, width, channels]`; a batch's shifts depend on the
            places of its images alone, and repeat after `PERIOD`.
          copy: number of the view.
        """
        if self.mirrored and copy % 2 == 0:
            images = tf.reverse(images, axis=[2])
        if not self.shift:
            return images
        count = tf.shape(images)[0]
        shifts = tf.random.stateless_uniform(
            [PERIOD, 2], [self.seed, copy], -self.shift, self.shift + 1, tf.int32
        )
        shifts = tf.gather(shifts, tf.range(count) % PERIOD)
        dy, dx = tf.unstack(tf.cast(shifts, tf.float32), axis=1)
        zero, one = tf.zeros_like(dx), tf.ones_like(dx)
        shifted = tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=tf.stack([one, zero, dx, zero, one, dy, zero, zero], axis=1),
            output_shape=tf.shape(images)[1:3],
            interpolation="NEAREST",
            fill_mode="REFLECT",
            fill_value=0.0,
        )
        return tf.ensure_shape(shifted, images.shape)

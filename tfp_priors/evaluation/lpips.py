"""LPIPS, a distance of images by learned features.

Zhang et al. 2018, The Unreasonable Effectiveness of Deep Features as a Perceptual
Metric. The numbers are those of the authors' PyTorch package, lpips 0.1.4.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.evaluation.lpips_weights import SMALLEST_SIDE
from tfp_priors.evaluation.lpips_weights import TRUNKS
from tfp_priors.evaluation.lpips_weights import Convolution
from tfp_priors.evaluation.lpips_weights import Fire
from tfp_priors.evaluation.lpips_weights import Pool
from tfp_priors.evaluation.lpips_weights import Tap
from tfp_priors.evaluation.lpips_weights import load_weights

# Mean and standard deviation of ImageNet's pixels, for pixels in [-1, 1]; rounded
# this way by the package.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-10
# By how much resizing may leave [0, 1] without a complaint.
_ROUNDING = 1e-4


class LPIPS:
    """The distance of image pairs by the features of a classifier (Zhang et al. 2018).

        sum_i mean_hw sum_c w_ic (y_ihwc - y'_ihwc)^2,    y = f / (|f| + 1e-10)

    f_i are the features at tap i of the trunk (see `lpips_weights.TRUNKS`), |f| is
    their norm over the channels. The weights are fixed; gradients reach the images.

    Args:
      net: the trunk: "alex", "vgg" or "squeeze".
      version: of the weights w: "0.1", or "0.0", whose trunk sees pixels in [-1, 1]
        as they are, not standardised by ImageNet's moments.
      weights: .npz file of bin/convert_lpips.

    Call arguments:
      first: float images of shape `[batch, height, width, 1 or 3]` in [0, 1]; gray
        ones become three equal channels.
      second: images of the same shape.

    Returns:
      Distances of shape `[batch]`, float32, at least 0 if the weights w are.

    Raises:
      UserError: for an unknown net or version, for a file that is not there or holds
        other weights, and for images of a wrong type, shape, size, or range.
    """

    def __init__(
        self,
        net: str = "alex",
        version: str = "0.1",
        weights: str | Path | None = None,
    ):
        self.net = net
        self.version = version
        arrays = load_weights(weights, net, version)
        self._arrays = {name: tf.constant(array) for name, array in arrays.items()}

    def __call__(self, first, second):
        first, second = (self._checked(images) for images in (first, second))
        if first.shape != second.shape:
            raise UserError(
                "LPIPS expects two batches of one shape, received "
                f"{tuple(first.shape)} and {tuple(second.shape)}."
            )
        # One after the other and not in one batch, where a convolution may round by an
        # image's place: the distance of equal images is exactly 0.
        taps = zip(self._taps(first), self._taps(second), strict=True)
        distance = 0.0
        for i, (first, second) in enumerate(taps):
            error = tf.square(_unit_normalized(first) - _unit_normalized(second))
            error = tf.tensordot(error, self._arrays[f"linear.{i}"], 1)  # [B, H, W]
            distance += tf.reduce_mean(error, axis=[1, 2])  # [B]
        return distance

    def _taps(self, images):
        """Yields the features of images in [0, 1], tap by tap."""
        x = 2.0 * images - 1.0
        if self.version != "0.0":
            x = (x - tf.constant(_SHIFT)) / tf.constant(_SCALE)
        for step in TRUNKS[self.net]:
            match step:
                case Convolution():
                    x = self._convolve(x, step)
                case Fire():
                    squeeze, *expand = step.convolutions
                    x = self._convolve(x, squeeze)
                    x = tf.concat([self._convolve(x, e) for e in expand], axis=-1)
                case Pool():
                    x = _max_pool(x, step)
                case Tap():
                    yield x

    def _convolve(self, x, step):
        # Symmetrical, as in PyTorch; "SAME" would pad by the stride and the size.
        sides = [step.padding, step.padding]
        padding = [[0, 0], sides, sides, [0, 0]]
        kernel = self._arrays[f"{step.name}.kernel"]
        x = tf.nn.conv2d(x, kernel, step.stride, padding)
        return tf.nn.relu(tf.nn.bias_add(x, self._arrays[f"{step.name}.bias"]))

    def _checked(self, images):
        """The images as float32 `[batch, height, width, 3]`, or a `UserError`."""
        images = tf.convert_to_tensor(images)
        if not images.dtype.is_floating:
            raise UserError(
                "LPIPS expects float images in [0, 1], received "
                f"{images.dtype.name}: divide uint8 images by 255."
            )
        shape = images.shape
        if shape.rank != 4 or shape[3] not in (1, 3):
            raise UserError(
                "LPIPS expects images of shape [batch, height, width, channels] with 1 "
                f"or 3 channels, received {tuple(shape)}."
            )
        smallest = SMALLEST_SIDE[self.net]
        if min(shape[1:3]) < smallest:
            raise UserError(
                f"LPIPS {self.net} expects images of at least {smallest} x {smallest} "
                f"pixels, received {shape[1]} x {shape[2]}: enlarge them with "
                "tf.image.resize, or choose another net."
            )
        values = images.numpy()
        if not np.all((values >= -_ROUNDING) & (values <= 1.0 + _ROUNDING)):
            nan = np.isnan(values).sum()
            received = f"{nan} NaN" if nan else f"{values.min():g} to {values.max():g}"
            raise UserError(
                f"LPIPS expects images in [0, 1], received {received}: scale or clip "
                "them."
            )
        return tf.broadcast_to(tf.cast(images, tf.float32), [*shape[:3], 3])


def _unit_normalized(features):
    # Where all channels are off the root's gradient is no number; the ReLU before
    # every tap drops it.
    norm = tf.sqrt(tf.reduce_sum(tf.square(features), axis=-1, keepdims=True))
    return features / (norm + _EPSILON)


def _max_pool(x, step):
    if step.partial:
        # A pixel of zeros below and to the right completes the last window. It wins
        # nowhere: features are at least 0. Where no window lacks it, none reaches it.
        x = tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]])
    return tf.nn.max_pool2d(x, step.size, 2, "VALID")

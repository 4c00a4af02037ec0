"""Batches in the forms in which Keras models are given them, as tensors by name."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.core.asserted import asserted
from tfp_priors.errors import UserError

# Rows whose bytes are looked at.
_LOOKED_AT = 1_000

# Resizing may leave a float image just outside.
_MARGIN = 1e-2


def batch_of(data, target: str = "label") -> dict[str, Any]:
    """What `fit`, `evaluate` and `predict` take, as tensors by name.

    Args:
      data: a dict with the key "image"; or images, alone, in a tuple, or in one with
        the values of another feature.
      target: the name of that feature.

    Raises:
      UserError: if it is something else, as far as can be told without its values.
    """
    if isinstance(data, Mapping):
        return dict(data)
    if not isinstance(data, (tuple, list)):
        return {"image": data}
    first, *others = data
    while others and others[-1] is None:
        others.pop()
    if not others:
        return batch_of(first, target)
    if len(others) > 1:
        raise UserError(
            "Expected images, or (images, labels), received weights of the samples "
            "too: the objective has none. Leave sample_weight and class_weight out."
        )
    (values,) = others
    if isinstance(values, Mapping):
        return batch_of(first) | dict(values)
    if tf.TensorShape(getattr(values, "shape", ())).rank == 4:
        raise UserError(
            "Expected images, or (images, labels), received two sets of images: an "
            "autoencoder reconstructs its input. Pass the images alone."
        )
    return batch_of(first) | {target: values}


def check_images(images, image_shape) -> None:
    """Checks images `[batch, *image_shape]`: uint8, bool, or floats in [0, 1].

    Raises:
      UserError: if the type or the shape is wrong; and if the values can be seen, as
        outside of a graph, unless floats are finite and in [0, 1], and bytes go on
        beyond 1.
    """
    images = _array(images)
    if np.ma.is_masked(images):
        raise UserError(
            "Expected images without a mask, received masked numbers: give their "
            "filled(0), or leave such images out."
        )
    if getattr(images.shape, "rank", 0) is None:
        raise UserError(
            "Expected images of a known rank: give tf.data an output_signature such as "
            f"tf.TensorSpec({(None, *image_shape)}, tf.uint8)."
        )
    shape = tuple(images.shape)
    if len(shape) != 4 or any(
        n not in (None, m) for n, m in zip(shape[1:], image_shape, strict=True)
    ):
        raise UserError(
            f"Expected images of shape {('batch', *image_shape)}, received "
            f"{shape}: reshape or resize them, or build the networks for their shape."
        )
    dtype = tf.as_dtype(images.dtype)
    is_seen = isinstance(images, np.ndarray) or hasattr(images, "_numpy")
    if dtype.is_floating:
        if is_seen:
            _check_range(np.asarray(images))
    elif dtype == tf.uint8:
        # A single image may be as dark.
        is_seen = is_seen and len(images) > 1
        if is_seen and np.asarray(images[:_LOOKED_AT]).max(initial=0) == 1:
            raise UserError(
                "Expected bytes in 0..255, received 0 and 1, which are black: pass "
                "them as bool or as floats, or multiply them by 255."
            )
    elif dtype != tf.bool:
        raise UserError(
            "Expected images as uint8 or as floats in [0, 1], received "
            f"{dtype.name}: cast them to uint8 if they are in 0..255."
        )


def _array(images):
    """The images as they are; a list of them as one array."""
    if isinstance(images, list):
        # One by one: of a list of bytes TensorFlow makes 32-bit integers.
        images = [tf.convert_to_tensor(image) for image in images]
        shapes = {tuple(image.shape) for image in images}
        if len(shapes) > 1:
            raise UserError(
                f"Expected images of one shape, received a list of {len(images)} "
                "arrays of others: resize them, or pass the images alone."
            )
        images = tf.stack(images)
    if not hasattr(images, "shape"):
        raise UserError(
            f"Expected images as an array, received a {type(images).__name__}: pass "
            "the images alone, or use predict, which takes what fit takes."
        )
    return images


def _check_range(images):
    low, high = images.min(initial=0.0), images.max(initial=0.0)
    if np.isnan(low):
        raise UserError("Expected images without NaN: leave those that have one out.")
    if low < -_MARGIN or high > 1 + _MARGIN:
        raise UserError(
            f"Expected float images in [0, 1], received values in [{low:.4g}, "
            f"{high:.4g}]: divide by 255, map [-1, 1] by (x + 1) / 2, or pass uint8."
        )


def scaled(images):
    """Images as float32 in [0, 1]: uint8 are divided by 255."""
    images = tf.convert_to_tensor(_array(images))
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 255.0
    return tf.cast(images, tf.float32)


def checked(images):
    """As `scaled`; within a graph the values of floats are checked as it runs.

    XLA leaves the check out. A NaN shows itself, as a loss that is none.

    Raises:
      UserError: if they are not in [0, 1]; see `errors.raised_in_graph`.
    """
    images = tf.convert_to_tensor(_array(images))
    if tf.executing_eagerly() or not images.dtype.is_floating:
        return scaled(images)
    error = UserError(
        "Expected float images in [0, 1], received others: divide by 255, map [-1, 1] "
        "by (x + 1) / 2, or pass uint8."
    )
    outside = tf.reduce_any((images < -_MARGIN) | (images > 1 + _MARGIN))
    return scaled(asserted(images, ~outside, error))


def first_batch(x) -> tuple[Any, Any]:
    """The first batch of what `fit` takes, and this, whole again.

    The batch is None if it cannot be looked at, or need not be.

    Raises:
      UserError: if there is none.
    """
    if isinstance(x, list):
        raise UserError(
            "Expected an array, a dict of arrays or a tf.data.Dataset, received a "
            "list: make it an array with numpy.stack."
        )
    if isinstance(x, (Mapping, tuple)) or hasattr(x, "shape"):
        return x, x
    if isinstance(x, Iterator):
        first = next(x, None)
        x = _again(first, x)
    elif isinstance(x, keras.utils.PyDataset):
        first = None if x.num_batches == 0 else x[0]
    elif isinstance(x, tf.data.Dataset):
        leaves = tf.nest.flatten(x.element_spec)
        if not any(leaf.dtype.is_floating or leaf.dtype == tf.uint8 for leaf in leaves):
            return None, x
        # Read to its end: one that is given up midway can cut a cache of `x` short.
        first, *_ = [*x.take(1), None]
    elif hasattr(x, "training_batches"):
        raise UserError(
            f"Expected arrays, or batches of them, received an {type(x).__name__}: "
            "pass its training_batches(batch_size, seed) with steps_per_epoch, or "
            "its batches(batch_size)."
        )
    else:
        return None, x
    if first is None:
        raise UserError("Expected batches of images, received none: the data is empty.")
    return first, x


def _again(first, rest):
    for batch in itertools.chain([first], rest):
        # Keras takes tuples alone.
        yield tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)


def check_shares(x, replicas: int, batch_size: int | None, validation_split=0.0):
    """Checks that replicas can share each batch of arrays evenly.

    Of other data `CheckedModel.shared_batch` looks at each batch.

    Raises:
      UserError: if they cannot.
    """
    arrays = tf.nest.flatten(x)
    if not hasattr(arrays[0], "shape"):
        return
    # As Keras has them.
    rows = math.floor(arrays[0].shape[0] * (1.0 - validation_split))
    size = batch_size or 32
    if min(rows, size) % replicas or rows % size % replicas:
        raise uneven(replicas)


def uneven(replicas: int) -> UserError:
    """The error on a batch that replicas cannot share evenly.

    They would take another step than one device.
    """
    return UserError(
        f"The {replicas} replicas cannot share a batch evenly, so that the step would "
        "be another one: choose a batch size that they divide, and "
        "batch(size, drop_remainder=True)."
    )

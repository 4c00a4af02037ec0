"""Batches in the forms in which Keras models are given them, as tensors by name."""

import itertools
import types
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.errors import UserError


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
    if len(values.shape) == 4:
        raise UserError(
            "Expected images, or (images, labels), received two sets of images: an "
            "autoencoder reconstructs its input. Pass the images alone."
        )
    return batch_of(first) | {target: values}


def check_images(images, image_shape) -> None:
    """Checks images `[batch, *image_shape]`: uint8, bool, or floats in [0, 1].

    Raises:
      UserError: if the type or the shape is wrong; and if the values can be seen, as
        outside of a graph, unless they are finite and in [0, 1].
    """
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
    if dtype.is_floating:
        if isinstance(images, np.ndarray) or hasattr(images, "_numpy"):
            _check_range(np.asarray(images))
    elif dtype not in (tf.uint8, tf.bool):
        raise UserError(
            "Expected images as uint8 or as floats in [0, 1], received "
            f"{dtype.name}: cast them to uint8 if they are in 0..255."
        )


# Resizing may leave a float image just outside.
_MARGIN = 1e-2


def _check_range(images):
    low, high = images.min(initial=0.0), images.max(initial=0.0)
    # A NaN compares as false.
    if not (low >= -_MARGIN and high <= 1 + _MARGIN):
        raise UserError(
            f"Expected float images in [0, 1], received values in [{low:.4g}, "
            f"{high:.4g}]: divide by 255, map [-1, 1] by (x + 1) / 2, or pass uint8."
        )


def scaled(images):
    """Images as float32 in [0, 1]: uint8 are divided by 255."""
    images = tf.convert_to_tensor(images)
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 255.0
    return tf.cast(images, tf.float32)


def first_batch(x) -> tuple[Any, Any]:
    """The first batch of what `fit` takes, and this, whole again.

    The batch is None if it cannot be looked at, or need not be, as the images of
    `ImageDataset.training_batches`, which are uint8.
    """
    if isinstance(x, list):
        raise UserError(
            "Expected an array, a dict of arrays or a tf.data.Dataset, received a "
            "list: make it an array with numpy.stack."
        )
    if isinstance(x, types.GeneratorType):
        first = next(x, None)
        return first, x if first is None else _again(first, x)
    if isinstance(x, keras.utils.PyDataset):
        return (x[0] if len(x) else None), x
    if isinstance(x, tf.data.Dataset):
        leaves = tf.nest.flatten(x.element_spec)
        floating = any(leaf.dtype.is_floating for leaf in leaves)
        return (next(iter(x), None) if floating else None), x
    if isinstance(x, (Mapping, tuple, list)) or hasattr(x, "shape"):
        return x, x
    return None, x


def _again(first, rest):
    for batch in itertools.chain([first], rest):
        # Keras takes tuples alone.
        yield batch if isinstance(batch, tuple) else (batch,)


def evenly_shared(x, replicas: int, batch_size: int | None):
    """What `fit` takes, whose batches must divide by the number of replicas.

    Replicas that shared one unevenly would take another step than one device.

    Raises:
      UserError: if arrays do not; in a `tf.data.Dataset` once a batch does not.
    """
    error = UserError(
        f"The {replicas} replicas cannot share a batch evenly, so that the step would "
        "be another one: choose a batch size that they divide, and "
        "batch(size, drop_remainder=True)."
    )
    if isinstance(x, tf.data.Dataset):
        rows = tf.nest.flatten(x.element_spec)[0].shape[0]
        if rows is not None and rows % replicas == 0:
            return x

        def checked(*batch):
            size = tf.shape(tf.nest.flatten(batch)[0])[0]
            check = tf.debugging.Assert(size % replicas == 0, [error.in_graph])
            with tf.control_dependencies([check]):
                batch = tf.nest.map_structure(tf.identity, batch)
            return batch if isinstance(x.element_spec, tuple) else batch[0]

        return x.map(checked)
    arrays = tf.nest.flatten(x)
    if hasattr(arrays[0], "shape"):
        rows, size = arrays[0].shape[0], batch_size or 32  # As Keras.
        if min(rows, size) % replicas or rows % size % replicas:
            raise error
    return x

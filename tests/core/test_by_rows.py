"""Functions of rows on tensors of other ranks."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.core.by_rows import by_rows

WEIGHTS = np.random.RandomState(0).randn(4, 2).astype("float32")
CONTEXT = np.random.RandomState(1).randn(3, 2).astype("float32")


def affine(rows, context):
    """Of rows alone, as a network; an image and a number of each."""
    assert rows.shape.rank == 2
    image = tf.matmul(rows, WEIGHTS)
    image = image if context is None else image + context
    return image, tf.reduce_sum(rows, axis=-1)


@pytest.mark.parametrize(
    ("shape", "context"),
    [
        ((4,), None),
        ((3, 4), None),
        ((5, 3, 4), None),
        ((3, 4), CONTEXT),
        ((2, 5, 3, 4), CONTEXT),
    ],
)
def test_all_but_the_last_dimension_are_kept(shape, context):
    x = np.random.RandomState(2).randn(*shape).astype("float32")
    image, total = by_rows(affine, tf.constant(x), context)
    # Contexts go along the last dimension but one.
    expected = x @ WEIGHTS + (0.0 if context is None else context)
    assert image.shape == expected.shape and total.shape == shape[:-1]
    np.testing.assert_allclose(image, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(total, x.sum(-1), rtol=1e-5, atol=1e-6)

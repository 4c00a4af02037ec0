import keras
import numpy as np
import tensorflow as tf

from tfp_priors.models import Classifier
from tfp_priors.networks import ConvActivations
from tfp_priors.networks import ConvFeatures

SHAPE = (8, 6, 3)


def trained_body():
    """A body whose batch norms have seen data."""
    network = ConvFeatures(SHAPE, widths=(4, 5), size=7)
    model = Classifier(network, classes=2)
    model.compile(keras.optimizers.Adam(1e-2))
    images = np.random.RandomState(0).randint(0, 256, (8, *SHAPE)).astype(np.uint8)
    data = tf.data.Dataset.from_tensors({"image": images, "label": np.arange(8) % 2})
    model.fit(data.repeat(3), shuffle=False, verbose=0)
    return network


def convolved(x, kernel, strides):
    """A 3x3 convolution with "same" padding, as sums over windows in NumPy."""
    height, width = (-(-n // strides) for n in x.shape[1:3])
    before = [
        max((size - 1) * strides + 3 - n, 0) // 2
        for size, n in zip((height, width), x.shape[1:3], strict=True)
    ]
    padded = np.zeros((len(x), x.shape[1] + 4, x.shape[2] + 4, x.shape[3]))
    padded[
        :, before[0] : before[0] + x.shape[1], before[1] : before[1] + x.shape[2]
    ] = x
    out = np.zeros((len(x), height, width, kernel.shape[-1]))
    for i in range(height):
        for j in range(width):
            top, left = i * strides, j * strides
            window = padded[:, top : top + 3, left : left + 3]
            out[:, i, j] = np.einsum("bhwc,hwcd->bd", window, kernel)
    return out


def test_equal_to_numpy():
    network = trained_body()
    x = np.random.RandomState(1).uniform(size=(2, *SHAPE)).astype(np.float32)
    received = ConvActivations(network)(x)
    layers = network._body.layers
    expected, activation = [], np.float64(x)
    for i in range(0, 12, 3):
        kernel = layers[i].kernel.numpy()
        norm = layers[i + 1]
        activation = convolved(activation, kernel, 1 + (i // 3) % 2)
        activation = (activation - norm.moving_mean.numpy()) / np.sqrt(
            norm.moving_variance.numpy() + norm.epsilon
        )
        activation = np.maximum(
            activation * norm.gamma.numpy() + norm.beta.numpy(), 0.0
        )
        expected.append(activation)
    assert [a.shape[1:] for a in received] == [
        (8, 6, 4),
        (4, 3, 4),
        (4, 3, 5),
        (2, 2, 5),
    ]
    for a, b in zip(received, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_never_trained():
    layer = ConvActivations(trained_body())
    before = [v.numpy() for v in layer.weights]
    x = tf.random.stateless_uniform([2, *SHAPE], [1, 2])
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = sum(tf.reduce_sum(a) for a in layer(x, training=True))
    assert np.abs(tape.gradient(value, x)).max() > 0
    assert not layer.trainable_variables
    for old, new in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(old, new)

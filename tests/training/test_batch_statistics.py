import keras
import numpy as np
import pytest

from tfp_priors.data import ImageDataset
from tfp_priors.training.batch_statistics import recompute_batch_statistics


class Encoder(keras.layers.Layer):
    image_shape = (4, 4, 1)

    def __init__(self):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.norm = keras.layers.BatchNormalization()
        self.dense = keras.layers.Dense(3)
        self.last = keras.layers.BatchNormalization(momentum=0.9)

    def build(self, input_shape):
        self.norm.build((None, 16))
        self.dense.build((None, 16))
        self.last.build((None, 3))
        self.built = True

    def call(self, images, training=False):
        x = self.norm(self.flatten(images), training=training)
        return self.last(self.dense(x), training=training)

    def compute_output_shape(self, shape):
        return (shape[0], 3)


def test_layers_that_are_not_trainable_keep_their_moments(make_model):
    images = np.random.RandomState(0).randint(0, 256, (100, 4, 4, 1)).astype(np.uint8)
    encoder = Encoder()
    model = make_model(encoder=encoder, image_shape=(4, 4, 1))
    encoder.norm.moving_variance.assign(np.full(16, 2.0))
    encoder.norm.trainable = False
    recompute_batch_statistics(model, ImageDataset(images, {}, (4, 4, 1)), seed=0)
    assert set(encoder.norm.moving_variance.numpy()) == {2.0}
    assert set(encoder.last.moving_variance.numpy()) != {1.0}


@pytest.mark.parametrize("size", [300, 999, 1_200])
def test_the_moments_are_those_of_the_set(make_model, size):
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (size, 4, 4, 1)).astype(np.uint8)
    dataset = ImageDataset(images, {}, (4, 4, 1))
    encoder = Encoder()
    decoder = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(16),
            keras.layers.Reshape((4, 4, 1)),
        ]
    )
    model = make_model(encoder=encoder, decoder=decoder)
    before = [w.numpy() for w in decoder.weights]
    recompute_batch_statistics(model, dataset, seed=0)
    x = images.reshape(size, 16) / 255.0
    # A batch of an odd number leaves one image out.
    tolerance = 1e-5 if size % 2 == 0 else 2.0 / size
    np.testing.assert_allclose(encoder.norm.moving_mean, x.mean(0), atol=tolerance)
    np.testing.assert_allclose(
        encoder.norm.moving_variance, x.var(0), rtol=10 * tolerance
    )
    # What the next layer sees under these statistics.
    y = encoder.dense((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3)).numpy()
    np.testing.assert_allclose(encoder.last.moving_mean, y.mean(0), atol=0.05)
    np.testing.assert_allclose(encoder.last.moving_variance, y.var(0), rtol=0.05)
    for old, new in zip(before, decoder.weights, strict=True):
        np.testing.assert_array_equal(old, new)

import numpy as np
import tensorflow as tf

from tfp_priors.priors.standardization import LatentStandardization


def test_converges_to_the_moments_and_standardises():
    layer = LatentStandardization(decay=0.9)
    layer.build((None, 2))
    random = np.random.RandomState(0)
    z = (random.randn(500, 2) * [3.0, 0.1] + [5.0, -2.0]).astype(np.float32)
    for _ in range(200):
        layer.update(tf.constant(z))
    np.testing.assert_allclose(layer.mean, z.mean(0), rtol=1e-4)
    np.testing.assert_allclose(layer.variance, z.var(0), rtol=1e-4)
    standard = layer(z).numpy()
    np.testing.assert_allclose(standard.mean(0), 0.0, atol=1e-3)
    np.testing.assert_allclose(standard.std(0), 1.0, atol=1e-3)


def test_one_update_is_a_weighted_mean():
    layer = LatentStandardization(decay=0.9)
    layer.build((None, 1))
    layer.update(tf.constant([[1.0], [3.0]]))
    np.testing.assert_allclose(layer.mean, [0.1 * 2.0], rtol=1e-6)
    np.testing.assert_allclose(layer.variance, [0.9 * 1.0 + 0.1 * 1.0], rtol=1e-6)
    assert not layer.trainable_variables

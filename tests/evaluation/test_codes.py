import numpy as np
import tensorflow as tf

from tfp_priors.data import ImageDataset
from tfp_priors.evaluation.codes import encode_dataset


def test_order_and_last_batch():
    images = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1)
    dataset = ImageDataset(images, {}, (1, 1, 1))
    codes = encode_dataset(lambda x: tf.reshape(x, [-1, 1]) * 255, dataset, 3)
    np.testing.assert_allclose(codes[:, 0], np.arange(7), rtol=1e-6)

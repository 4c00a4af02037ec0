import numpy as np
import tensorflow as tf

from tfp_priors.models.grouped_model import _sum_of_squares
from tfp_priors.models.grouped_model import fold_in


def test_sum_of_squares_of_a_large_tensor():
    x = np.random.RandomState(0).randn(128, 64).astype(np.float32)
    np.testing.assert_allclose(_sum_of_squares(tf.constant(x)), (x**2).sum(), rtol=1e-5)


def test_seeds_of_one_step_differ():
    seed = tf.constant([3, 4])
    seeds = {tuple(fold_in(seed, i).numpy()) for i in (0, 1, 100, 101, 200, 201)}
    assert len(seeds) == 6

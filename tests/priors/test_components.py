import numpy as np
import scipy.special
import scipy.stats
import tensorflow as tf

from tests.core.test_replicas import on_two_replicas
from tfp_priors.priors.components import draw_components

SEED = tf.constant([1, 2])
WEIGHTS = np.array([0.1, 0.6, 0.3])
LOGITS = tf.constant(np.log(WEIGHTS), tf.float32)


def test_components_have_their_weights():
    drawn = draw_components(LOGITS, 10_000, SEED)
    counts = np.bincount(drawn, minlength=3)
    assert scipy.stats.chisquare(counts, 10_000 * WEIGHTS).pvalue > 1e-3


def test_draws_with_weights_of_their_own():
    rows = np.repeat([[0.0, 2.0, -1.0], [3.0, 0.0, 0.0]], 10_000, axis=0)
    drawn = draw_components(tf.constant(rows, tf.float32), 20_000, SEED).numpy()
    for part, logits in zip(np.split(drawn, 2), rows[::10_000], strict=True):
        counts = np.bincount(part, minlength=3)
        expected = 10_000 * scipy.special.softmax(logits)
        assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3


def test_replicas_draw_what_one_device_would():
    together = on_two_replicas(lambda n: draw_components(LOGITS, n, SEED), 50)
    np.testing.assert_array_equal(together, draw_components(LOGITS, 100, SEED))

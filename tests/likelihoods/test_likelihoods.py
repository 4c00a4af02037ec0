import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.likelihoods import BernoulliLikelihood
from tfp_priors.likelihoods import NormalLikelihood


@pytest.fixture
def outputs():
    return np.random.RandomState(0).randn(3, 4, 4, 2).astype(np.float32)


def test_bernoulli_against_scipy(outputs):
    images = np.random.RandomState(1).randint(0, 2, outputs.shape).astype(np.float32)
    expected = scipy.stats.bernoulli(scipy.special.expit(outputs)).logpmf(images)
    received = BernoulliLikelihood().log_prob(images, outputs)
    np.testing.assert_allclose(received, expected.sum((1, 2, 3)), rtol=1e-5)


def test_bernoulli_takes_grey_values(outputs):
    p = scipy.special.expit(outputs.astype(np.float64))
    expected = (0.3 * np.log(p) + 0.7 * np.log1p(-p)).sum((1, 2, 3))
    received = BernoulliLikelihood().log_prob(np.full_like(outputs, 0.3), outputs)
    np.testing.assert_allclose(received, expected, rtol=1e-5)


@pytest.mark.parametrize("learned", [False, True])
def test_normal_against_scipy(outputs, learned):
    images = np.random.RandomState(1).rand(*outputs.shape).astype(np.float32)
    likelihood = NormalLikelihood(gamma=0.04, learned=learned)
    likelihood.build()
    normal = scipy.stats.norm(scipy.special.expit(outputs), 0.2)
    expected = normal.logpdf(images).sum((1, 2, 3))
    np.testing.assert_allclose(
        likelihood.log_prob(images, outputs), expected, rtol=1e-4
    )


def test_learned_gamma_goes_to_the_mean_squared_error(outputs):
    images = np.random.RandomState(1).rand(*outputs.shape).astype(np.float32)
    error = np.mean((images - scipy.special.expit(outputs)) ** 2)
    likelihood = NormalLikelihood(gamma=error, learned=True)
    likelihood.build()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(likelihood.log_prob(images, outputs))
    # The maximum of the likelihood: a gradient of 0, where each pixel adds up to 0.5.
    gradient = tape.gradient(loss, likelihood.trainable_variables[0].value)
    assert abs(gradient) < 1e-3


def test_means_are_images(outputs):
    for likelihood in (BernoulliLikelihood(), NormalLikelihood()):
        expected = scipy.special.expit(outputs)
        np.testing.assert_allclose(likelihood.mean(outputs), expected, rtol=1e-5)


def test_a_learned_gamma_starts_where_it_is_told():
    likelihood = NormalLikelihood(gamma=0.04, learned=True, gamma_floor=0.03)
    likelihood.build()
    np.testing.assert_allclose(likelihood.variance(), 0.04, rtol=1e-5)


def test_outputs_that_are_means_are_clipped():
    outputs = np.float32([-0.5, 0.0, 0.3, 1.0, 1.5])
    means = NormalLikelihood(squash=False).mean(outputs)
    np.testing.assert_array_equal(means, np.float32([0.0, 0.0, 0.3, 1.0, 1.0]))


def test_bad_gamma():
    with pytest.raises(UserError, match=r"gamma must be a number in \("):
        NormalLikelihood(gamma=0.0)

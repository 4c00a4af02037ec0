import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tfp_priors.divergences import FlowMatchingDivergence
from tfp_priors.divergences import KLDivergence
from tfp_priors.divergences import usual_divergence
from tfp_priors.errors import UserError
from tfp_priors.posteriors import DeterministicPosterior
from tfp_priors.priors import FlowMatchingPrior
from tfp_priors.priors import RealNVPPrior

SEED = tf.constant([1, 2])


def prior_and_codes():
    prior = FlowMatchingPrior(3, units=8)
    prior.build((None, 3))
    randomize(prior)
    return prior, tf.Variable(tf.random.stateless_normal([7, 3], [3, 4]))


def test_the_prior_learns_and_the_code_does_not():
    prior, z = prior_and_codes()
    with tf.GradientTape() as tape:
        terms = FlowMatchingDivergence().terms(None, z, prior, 0.0, SEED)
        loss = tf.reduce_mean(terms.loss)
    np.testing.assert_array_equal(terms.metrics["velocity_error"], terms.loss)
    variables = [v.value for v in prior.trainable_variables]
    *gradients, of_codes = tape.gradient(loss, [*variables, z])
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)
    assert of_codes is None


def test_it_is_what_such_a_prior_learns_by():
    assert isinstance(usual_divergence(FlowMatchingPrior(3)), FlowMatchingDivergence)
    assert isinstance(usual_divergence(RealNVPPrior(3)), KLDivergence)


@pytest.mark.parametrize(
    "prior, beta, message",
    [
        (RealNVPPrior(3), 0.0, "needs a velocity, which a RealNVPPrior does not have"),
        (FlowMatchingPrior(3), 0.1, "cannot push the code .*set beta = 0, or use KLD"),
        (FlowMatchingPrior(3), lambda step: 0.0, "cannot push the code"),
    ],
)
def test_what_it_cannot_do(prior, beta, message):
    with pytest.raises(UserError, match=message):
        FlowMatchingDivergence().check(DeterministicPosterior(3), prior, beta)

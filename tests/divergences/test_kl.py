import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.conftest import randomize
from tfp_priors.divergences import KLDivergence
from tfp_priors.divergences import scale_gradient
from tfp_priors.errors import UserError
from tfp_priors.posteriors import DeterministicPosterior
from tfp_priors.priors import RealNVPPrior
from tfp_priors.priors import StandardNormalPrior

tfd = tfp.distributions

MEAN = np.array([[0.5, -1.0, 2.0]], np.float32)
SCALE = np.array([[0.3, 1.0, 2.0]], np.float32)
# KL[N(m, s^2) || N(0, 1)] = (s^2 + m^2 - 1) / 2 - log s, summed.
CLOSED_FORM = np.sum((SCALE**2 + MEAN**2 - 1) / 2 - np.log(SCALE))


def test_closed_form_for_the_standard_normal():
    posterior = tfd.MultivariateNormalDiag(MEAN, SCALE)
    z = posterior.sample(seed=tf.constant([1, 2]))
    terms = KLDivergence().terms(posterior, z, StandardNormalPrior(3), beta=1.0)
    np.testing.assert_allclose(terms.metrics["kl"], [CLOSED_FORM], rtol=1e-5)


def test_single_draws_average_to_the_closed_form():
    # The flow is new, hence a standard normal, but no closed form is known to it.
    n = 20_000
    posterior = tfd.MultivariateNormalDiag(
        np.repeat(MEAN, n, 0), np.repeat(SCALE, n, 0)
    )
    z = posterior.sample(seed=tf.constant([1, 2]))
    prior = RealNVPPrior(3, couplings=2, hidden_sizes=(4,))
    prior.build()
    kl = KLDivergence().terms(posterior, z, prior, beta=1.0).metrics["kl"].numpy()
    assert abs(kl.mean() - CLOSED_FORM) < 4 * kl.std() / np.sqrt(n)


@pytest.mark.parametrize("beta", [0.0, 1e-3, 0.5, 1.0])
def test_gradients_of_equations_6_and_7(beta):
    """The code feels beta D, the prior all of D, against two separate passes."""
    prior = RealNVPPrior(3, couplings=2, hidden_sizes=(4,))
    prior.build()
    randomize(prior)
    mean, scale = tf.Variable(MEAN), tf.Variable(SCALE)
    noise = tf.constant([[0.3, -0.2, 1.1]])

    def terms(weight):
        posterior = tfd.MultivariateNormalDiag(mean, scale)
        z = mean + scale * noise
        return KLDivergence().terms(posterior, z, prior, weight), posterior, z

    variables = [v.value for v in prior.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(terms(beta)[0].loss)
    code_gradients, prior_gradients = tape.gradient(loss, [[mean, scale], variables])
    with tf.GradientTape(persistent=True) as tape:
        _, posterior, z = terms(beta)
        kl = posterior.log_prob(z) - prior.log_prob(z)
    for gradient, variable in zip(code_gradients, (mean, scale), strict=True):
        expected = beta * tape.gradient(kl, variable)
        received = tf.zeros_like(variable) if gradient is None else gradient
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)
    for gradient, variable in zip(prior_gradients, variables, strict=True):
        np.testing.assert_allclose(
            gradient, tape.gradient(kl, variable), rtol=1e-4, atol=1e-6
        )


def test_scale_gradient_keeps_the_value_exactly():
    x = tf.Variable(np.random.RandomState(0).randn(100).astype(np.float32))
    with tf.GradientTape() as tape:
        y = scale_gradient(x, tf.constant(0.3))
    np.testing.assert_array_equal(x, y)
    np.testing.assert_allclose(tape.gradient(y, x), 0.3 * np.ones(100), rtol=1e-6)


def test_beta_zero_meets_no_infinity():
    x = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        y = tf.sqrt(scale_gradient(x, 0.0)) + x
    assert tape.gradient(y, x) == 1.0


def test_deterministic_posterior_has_no_kl():
    with pytest.raises(UserError, match="DeterministicPosterior does not have"):
        KLDivergence().check(DeterministicPosterior(3), StandardNormalPrior(3), 0.5)
    KLDivergence().check(DeterministicPosterior(3), StandardNormalPrior(3), 0.0)

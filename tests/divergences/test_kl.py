import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.conftest import randomize
from tests.core.test_replicas import on_two_replicas
from tfp_priors.core import replicas
from tfp_priors.divergences import KLDivergence
from tfp_priors.errors import UserError
from tfp_priors.posteriors import DeterministicPosterior
from tfp_priors.posteriors import NormalPosterior
from tfp_priors.priors import FlowMatchingPrior
from tfp_priors.priors import GaussianMixturePrior
from tfp_priors.priors import GeneratorPrior
from tfp_priors.priors import RealNVPPrior
from tfp_priors.priors import SecondStageVAEPrior
from tfp_priors.priors import StandardNormalPrior

tfd = tfp.distributions

MEAN = np.array([[0.5, -1.0, 2.0]], np.float32)
SCALE = np.array([[0.3, 1.0, 2.0]], np.float32)
# KL[N(m, s^2) || N(0, 1)] = (s^2 + m^2 - 1) / 2 - log s, summed.
PER_DIMENSION = ((SCALE**2 + MEAN**2 - 1) / 2 - np.log(SCALE))[0]
CLOSED_FORM = np.sum(PER_DIMENSION)
SEED = tf.constant([1, 2])


def test_closed_form_for_the_standard_normal():
    posterior = tfd.MultivariateNormalDiag(MEAN, SCALE)
    z = posterior.sample(seed=tf.constant([1, 2]))
    prior = StandardNormalPrior(3)
    terms = KLDivergence().terms(posterior, z, prior, beta=1.0, seed=SEED)
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
    kl = KLDivergence().terms(posterior, z, prior, 1.0, SEED).metrics["kl"].numpy()
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
        return KLDivergence().terms(posterior, z, prior, weight, SEED), posterior, z

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


def test_deterministic_posterior_has_no_kl():
    with pytest.raises(UserError, match="DeterministicPosterior does not have"):
        KLDivergence().check(DeterministicPosterior(3), StandardNormalPrior(3), 0.5)
    KLDivergence().check(DeterministicPosterior(3), StandardNormalPrior(3), 0.0)


def test_implicit_prior_has_no_kl():
    with pytest.raises(UserError, match="GeneratorPrior does not have: use Adv"):
        KLDivergence().check(NormalPosterior(3), GeneratorPrior(3), 0.0)
    KLDivergence().check(NormalPosterior(3), SecondStageVAEPrior(3), 1.0)


def test_free_bits_per_subset():
    """max(lambda, KL) by hand: of each dimension, of pairs, and of the whole code."""
    mean, scale = tf.Variable(MEAN), tf.constant(SCALE)
    mean4 = np.append(MEAN[0], 0.1)
    scale4 = np.append(SCALE[0], 1.0)
    per_dimension = np.append(PER_DIMENSION, 0.1**2 / 2)

    def loss(free_bits, subset_size, m, s):
        posterior = tfd.MultivariateNormalDiag(m, s)
        divergence = KLDivergence(free_bits, subset_size)
        prior = StandardNormalPrior(m.shape[-1])
        return divergence.terms(posterior, posterior.mean(), prior, 2.0, SEED).loss

    for bits, size in ((0.7, 1), (1.5, 2), (2.0, 4), (99.0, None)):
        subsets = per_dimension.reshape(-1, size or 4).sum(1)
        received = loss(bits, size, mean4[None].astype("f"), scale4[None].astype("f"))
        np.testing.assert_allclose(received, 2 * np.maximum(subsets, bits).sum(), 1e-5)
    # KL per dimension is 0.83, 0.5 and 2.31: at 0.7 nats the second is not pushed.
    with tf.GradientTape() as tape:
        value = loss(0.7, 1, mean, scale)
    expected = 2.0 * MEAN * (PER_DIMENSION > 0.7)
    np.testing.assert_allclose(tape.gradient(value, mean), expected, rtol=1e-5)


def test_by_default_no_nat_is_free():
    posterior = tfd.MultivariateNormalDiag([[0.01, 0.0, 0.0]], [[1.0, 1.0, 1.0]])
    prior = StandardNormalPrior(3)
    terms = KLDivergence().terms(posterior, posterior.mean(), prior, 1.0, SEED)
    np.testing.assert_allclose(terms.loss, [0.01**2 / 2], rtol=1e-3)


@pytest.mark.parametrize("pushed", [True, False])
def test_free_bits_with_a_learned_prior(pushed):
    """The code is pushed above the bound alone, the prior learns in both cases."""
    prior = RealNVPPrior(3, couplings=2, hidden_sizes=(4,))
    prior.build()
    randomize(prior)
    mean = tf.Variable(MEAN)

    def gradients(divergence):
        with tf.GradientTape() as tape:
            posterior = tfd.MultivariateNormalDiag(mean, SCALE)
            z = posterior.sample(seed=SEED)
            terms = divergence.terms(posterior, z, prior, 0.5, SEED)
            loss = tf.reduce_mean(terms.loss)
        own = [v.value for v in prior.trainable_variables]
        kl = float(tf.reduce_mean(terms.metrics["kl"]))
        return kl, *tape.gradient(loss, [mean, own], unconnected_gradients="zero")

    kl, code, own = gradients(KLDivergence())
    bits = kl - 0.1 if pushed else kl + 0.1
    _, free_code, free_own = gradients(KLDivergence(free_bits=bits))
    np.testing.assert_allclose(free_code, code * pushed, rtol=1e-5, atol=1e-7)
    for a, b in zip(free_own, own, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("learned", [False, True])
def test_free_bits_are_of_the_batch_of_all_replicas(learned):
    """Its KL is 0.125 on one replica and 2 on the other, 1.06 on average."""
    means = tf.constant([[0.5, 0.0]] * 2 + [[2.0, 0.0]] * 2)
    prior = StandardNormalPrior(2)
    if learned:
        prior = GaussianMixturePrior(2, components=1)
        prior.build()
        prior.trainable_variables[1].assign([[0.0, 0.0]])  # Its mean.

    def gradient(n, bits):
        mean = replicas.rows(lambda _: means, n)
        with tf.GradientTape() as tape:
            tape.watch(mean)
            posterior = tfd.MultivariateNormalDiag(mean, tf.ones([n, 2]))
            terms = KLDivergence(bits).terms(posterior, mean, prior, 1.0, SEED)
            loss = tf.reduce_sum(tf.reduce_mean(terms.loss))
        return tape.gradient(loss, mean)

    received = on_two_replicas(
        lambda n: tf.concat([gradient(n, bits) for bits in (0.5, 1.5)], axis=1), 2
    )
    # Of |mean|^2 / 2, in the mean of a replica's 2 rows; or nothing is pushed.
    np.testing.assert_allclose(received, np.c_[means / 2, 0 * means], atol=1e-6)


@pytest.mark.parametrize("kwargs", [{"free_bits": 9.0, "subset_size": 1}, {}])
def test_without_a_push_no_bits_are_free(kwargs):
    """As in a phase at rest, where the prior learns from any posterior."""
    prior = RealNVPPrior(3, couplings=1, hidden_sizes=())
    prior.build()
    posterior = tfd.MultivariateNormalDiag(MEAN, SCALE)
    z = posterior.sample(seed=SEED)
    terms = KLDivergence(**kwargs).terms(posterior, z, prior, 0.0, SEED)
    np.testing.assert_allclose(terms.loss, -prior.log_prob(z), rtol=1e-6)


def test_bad_arguments():
    with pytest.raises(UserError, match=r"free_bits must be a number in \[0, inf\)"):
        KLDivergence(free_bits=-1.0)
    with pytest.raises(UserError, match="subset_size must be a whole number, rec"):
        KLDivergence(free_bits=1.0, subset_size=1.5)
    divergence = KLDivergence(free_bits=1.0, subset_size=2)
    with pytest.raises(UserError, match="does not divide the 3 latent"):
        divergence.check(NormalPosterior(3), StandardNormalPrior(3), 1.0)
    prior = RealNVPPrior(2, couplings=1, hidden_sizes=())
    prior.build()
    posterior = tfd.MultivariateNormalDiag([[0.0, 0.0]], [[1.0, 1.0]])
    with pytest.raises(UserError, match="needs the closed form"):
        divergence.terms(posterior, posterior.mean(), prior, 1.0, SEED)


def test_without_a_push_a_code_that_is_far_out_costs_nothing():
    posterior = tfd.MultivariateNormalDiag([[1e20, 0.0, 0.0]], SCALE)
    z = posterior.mean()
    terms = KLDivergence().terms(posterior, z, StandardNormalPrior(3), 0.0, SEED)
    assert np.all(np.asarray(terms.loss) == 0.0)


def test_dropout_that_it_would_not_use_is_refused():
    prior = FlowMatchingPrior(3, units=8, dropout=0.1)
    with pytest.raises(UserError, match="without its dropout = 0.1: set it to 0"):
        KLDivergence().check(DeterministicPosterior(3), prior, 0.0)

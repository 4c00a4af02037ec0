import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from tests.conftest import randomize
from tfp_priors.core.gradients import gradient_norm
from tfp_priors.divergences import AdversarialDivergence
from tfp_priors.divergences import HingeLoss
from tfp_priors.divergences import NonSaturatingLoss
from tfp_priors.divergences import WassersteinLoss
from tfp_priors.errors import UserError
from tfp_priors.networks import MLP
from tfp_priors.posteriors import DeterministicPosterior
from tfp_priors.priors import GaussianMixturePrior
from tfp_priors.priors import GeneratorPrior
from tfp_priors.priors import RealNVPPrior
from tfp_priors.priors import StandardNormalPrior

SEED = tf.constant([1, 2])


class Plane(keras.layers.Layer):
    """T(z) = w z: its gradient is w everywhere."""

    def __init__(self, weights):
        super().__init__()
        self.w = self.add_weight(name="w", shape=(len(weights), 1))
        self.w.assign(np.reshape(weights, (-1, 1)))
        self.built = True

    def call(self, z, training=False):
        return tf.matmul(z, self.w)


class Square(keras.layers.Layer):
    """T(z) = |z|^2 / 2: its gradient is z."""

    def call(self, z, training=False):
        return 0.5 * tf.reduce_sum(tf.square(z), axis=-1, keepdims=True)


class Trains(keras.layers.Layer):
    """T is 1 in training, and 0 else."""

    def call(self, z, training=False):
        return tf.ones_like(z[:, :1]) * float(training)


def generator():
    prior = GeneratorPrior(2, hidden_sizes=(8,))
    prior.build()
    randomize(prior)
    return prior


# By hand: the critic's loss on a draw with output t, and a follower's loss.
LOSSES = {
    "non_saturating": (
        NonSaturatingLoss(),
        lambda t: np.log1p(np.exp(-t)),
        lambda t: np.log1p(np.exp(-t)),
    ),
    "wasserstein": (WassersteinLoss(), lambda t: -t, lambda t: -t),
    "hinge": (HingeLoss(), lambda t: np.maximum(0, 1 - t), lambda t: -t),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_by_hand(name):
    loss, critic, follower = LOSSES[name]
    prior = generator()
    divergence = AdversarialDivergence(Plane([1.0, -2.0]), loss)
    z = tf.random.stateless_normal([16, 2], [3, 4])
    t_codes = z.numpy() @ [1.0, -2.0]
    posterior = tfp.distributions.VectorDeterministic(z)
    terms = divergence.terms(posterior, z, prior, 0.5, SEED)
    t_draws = prior.sample(16, SEED).numpy() @ [1.0, -2.0]
    metrics = terms.metrics
    np.testing.assert_allclose(metrics["adversarial"], follower(t_codes), rtol=1e-4)
    # The draws want to be taken for codes: the sign is the other one.
    expected = follower(-t_draws)
    np.testing.assert_allclose(metrics["prior_adversarial"], expected, rtol=1e-4)
    received = divergence.critic_terms(z, prior, SEED).loss
    draws = prior.sample(16, tf.random.experimental.stateless_split(SEED, 2)[0])
    t_draws = draws.numpy() @ [1.0, -2.0]
    expected = critic(t_draws).mean() + critic(-t_codes).mean()
    np.testing.assert_allclose(received, expected, rtol=1e-4)


@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_beta_weighs_the_codes_share_alone(beta):
    prior = generator()
    divergence = AdversarialDivergence(MLP((8,), 1, "leaky_relu"))
    divergence.build((None, 2))
    z = tf.Variable(tf.random.stateless_normal([16, 2], [3, 4]))
    posterior = tfp.distributions.VectorDeterministic(z)

    def gradients(weight):
        with tf.GradientTape() as tape:
            terms = divergence.terms(posterior, z, prior, weight, SEED)
            loss = tf.reduce_mean(terms.loss)
        own = [v.value for v in prior.trainable_variables]
        return tape.gradient(loss, [z, own], unconnected_gradients="zero")

    (code, own), (full_code, full_own) = gradients(beta), gradients(1.0)
    np.testing.assert_allclose(code, beta * full_code, rtol=1e-5, atol=1e-9)
    assert np.abs(full_code).max() > 0
    for a, b in zip(own, full_own, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-9)
        assert np.abs(a).max() > 0


def test_critic_holds_codes_and_prior_fixed():
    prior = generator()
    divergence = AdversarialDivergence(MLP((8,), 1), gradient_penalty=1.0, r1=1.0)
    divergence.build((None, 2))
    z = tf.Variable(tf.random.stateless_normal([16, 2], [3, 4]))
    with tf.GradientTape() as tape:
        loss = divergence.critic_terms(z, prior, SEED).loss
    own = [v.value for v in prior.trainable_variables]
    critic = [v.value for v in divergence.trainable_variables]
    code, own, critic = tape.gradient(loss, [z, own, critic])
    assert code is None and set(own) == {None}
    assert np.abs(critic[0]).max() > 0


def test_penalties_of_a_plane():
    """|grad| = 5 everywhere: penalties (5 - 1)^2 and 5^2 / 2."""
    z = tf.random.stateless_normal([16, 2], [3, 4])
    prior = StandardNormalPrior(2)
    plane = Plane([3.0, -4.0])
    losses = [
        float(
            AdversarialDivergence(plane, WassersteinLoss(), **kwargs)
            .critic_terms(z, prior, SEED)
            .loss
        )
        for kwargs in ({}, {"gradient_penalty": 10.0}, {"r1": 2.0})
    ]
    np.testing.assert_allclose(losses[1] - losses[0], 160.0, rtol=1e-5)
    np.testing.assert_allclose(losses[2] - losses[0], 25.0, rtol=1e-5)


def test_penalties_are_of_the_code_and_not_of_its_context():
    """T = 3 z_1 - 4 z_2 + 12 c has a slope of 5 by the code."""
    z = tf.random.stateless_normal([16, 2], [3, 4])
    context = tf.random.stateless_normal([16, 1], [5, 6])
    prior = RealNVPPrior(2, couplings=1, hidden_sizes=(), context_size=1)
    prior.build()
    plane = Plane([3.0, -4.0, 12.0])
    losses = [
        float(
            AdversarialDivergence(plane, WassersteinLoss(), **kwargs)
            .critic_terms(z, prior, SEED, context)
            .loss
        )
        for kwargs in ({}, {"gradient_penalty": 10.0}, {"r1": 2.0})
    ]
    np.testing.assert_allclose(losses[1] - losses[0], 160.0, rtol=1e-5)
    np.testing.assert_allclose(losses[2] - losses[0], 25.0, rtol=1e-5)


def test_the_gradient_penalty_is_on_lines_between_draws_and_codes():
    n, prior = 20_000, StandardNormalPrior(2)
    z = tf.tile([[10.0, 0.0]], [n, 1])
    with_penalty, without = (
        float(
            AdversarialDivergence(Square(), WassersteinLoss(), gradient_penalty=penalty)
            .critic_terms(z, prior, SEED)
            .loss
        )
        for penalty in (1.0, 0.0)
    )
    random = np.random.RandomState(0)
    share = random.rand(n, 1)
    between = share * random.randn(n, 2) + (1 - share) * z.numpy()
    squares = (np.linalg.norm(between, axis=1) - 1) ** 2
    error = 4 * np.sqrt(2 / n) * squares.std()
    assert abs(with_penalty - without - squares.mean()) < error < 2


def test_the_critic_alone_is_in_training():
    z = tf.random.stateless_normal([16, 2], [3, 4])
    divergence, prior = AdversarialDivergence(Trains()), generator()
    loss = divergence.critic_terms(z, prior, SEED).loss
    expected = np.log1p(np.exp(-1.0)) + np.log1p(np.exp(1.0))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    posterior = tfp.distributions.VectorDeterministic(z)
    for loss in divergence.terms(posterior, z, prior, 1.0, SEED).metrics.values():
        np.testing.assert_allclose(loss, np.log(2.0), rtol=1e-5)


def test_gradient_norm_of_a_known_function():
    x = tf.constant([[3.0, 4.0], [0.0, 0.0]])
    norm = gradient_norm(lambda a: tf.reduce_sum(tf.square(a), axis=-1), x)
    np.testing.assert_allclose(norm, [10.0, 0.0], atol=1e-5)


@pytest.mark.parametrize("learned", [True, False])
def test_r1_is_on_the_side_that_does_not_follow(learned):
    # |grad|^2 of |z|^2 / 2 is |z|^2: 100 on codes at distance 10, about 2 on draws.
    z = tf.constant([[10.0, 0.0], [0.0, -10.0]])
    prior = generator() if learned else StandardNormalPrior(2)
    with_r1, without = (
        float(
            AdversarialDivergence(Square(), WassersteinLoss(), r1=r1)
            .critic_terms(z, prior, SEED)
            .loss
        )
        for r1 in (2.0, 0.0)
    )
    penalty = with_r1 - without
    assert penalty == pytest.approx(100.0, rel=1e-5) if learned else penalty < 10


def test_optimal_discriminator_of_two_normals():
    """T* = log p - log q: for N(0, 1) against codes N(1, 1) it is 1/2 - z."""
    prior = StandardNormalPrior(1)
    discriminator = MLP((), 1)
    divergence = AdversarialDivergence(discriminator)
    divergence.build((None, 1))
    optimizer = keras.optimizers.Adam(0.02)
    variables = divergence.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(i):
        z = tf.random.stateless_normal([512, 1], tf.stack([i, 7])) + 1.0
        with tf.GradientTape() as tape:
            terms = divergence.critic_terms(z, prior, tf.stack([i, 8]))
        gradients = tape.gradient(terms.loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return terms.metrics

    for i in range(600):
        metrics = step(tf.constant(i))
    kernel, bias = (v.numpy().item() for v in variables)
    # The last steps still wander by a few per cent.
    np.testing.assert_allclose([kernel, bias], [-1.0, 0.5], atol=0.15)
    # Twice the Jensen-Shannon divergence below 2 log 2, and the Bayes accuracy.
    accuracy = scipy.stats.norm.cdf(0.5)
    np.testing.assert_allclose(metrics["discriminator_accuracy"], accuracy, atol=0.06)


def test_bad_arguments():
    for kwargs in ({"critic_steps": 0}, {"r1": -1.0}, {"gradient_penalty": -1.0}):
        (name,) = kwargs
        with pytest.raises(UserError, match=rf"AdversarialDivergence\.{name} must be"):
            AdversarialDivergence(MLP((), 1), **kwargs)
    prior = GaussianMixturePrior(3)
    prior.build()
    with pytest.raises(UserError, match="have no gradient: use KLDivergence"):
        AdversarialDivergence(MLP((), 1)).check(DeterministicPosterior(3), prior, 0.0)

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import tensorflow as tf

from tests.conftest import randomize
from tests.priors.contract import FlowContract
from tfp_priors.errors import UserError
from tfp_priors.priors import FlowMatchingPrior
from tfp_priors.priors.flow_matching import _times

SEED = tf.constant([1, 2])


class TestFlowMatchingPrior(FlowContract):
    # Kernels and biases of five layers, less a bias.
    variables = 9

    def make(self, latent_size=5, **kwargs):
        return FlowMatchingPrior(latent_size, units=8, steps=8, **kwargs)

    def test_new_flow_equals_its_base(self):
        prior = self.make()
        prior.build()
        z = 3.0 * tf.random.stateless_normal([7, 5], SEED)
        np.testing.assert_array_equal(prior.to_base(z), z)
        np.testing.assert_array_equal(prior.from_base(z), z)
        expected = scipy.stats.norm.logpdf(z).sum(-1)
        np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-5)


def moved(latent_size=3, steps=12, scale=0.2):
    prior = FlowMatchingPrior(latent_size, units=16, steps=steps)
    prior.build()
    randomize(prior, scale=scale)
    return prior


def velocity(prior, y, t):
    network = prior._network
    return network(y, network.conditions(tf.reshape(tf.cast(t, tf.float32), [-1, 1])))


def test_flow_and_density_against_scipys_solver():
    prior = moved()

    def of(y):
        return tf.constant(y[None, :3], tf.float32)

    @tf.function
    def slopes(y, t):
        with tf.GradientTape() as tape:
            tape.watch(y)
            v = velocity(prior, y, t)
        return v, tf.linalg.trace(tape.batch_jacobian(v, y))

    def slope(t, state):
        v, trace = slopes(of(state), tf.constant(t, tf.float32))
        return 0.5 * np.pi * np.append(v[0], trace[0])

    for z0 in np.random.RandomState(0).randn(4, 3):
        solved = scipy.integrate.solve_ivp(
            slope, (0.0, 1.0), np.append(z0, 0.0), rtol=1e-5, atol=1e-6
        ).y[:, -1]
        z = prior.from_base(of(z0))
        np.testing.assert_allclose(z[0], solved[:3], atol=2e-3)
        expected = scipy.stats.norm.logpdf(z0).sum() - solved[3]
        np.testing.assert_allclose(prior.log_prob(of(solved))[0], expected, atol=2e-3)
        assert np.abs(z[0] - z0).max() > 0.1


def test_the_error_is_that_of_straight_paths():
    """On x = (1 - s) z0 + s z, s uniform, of the same flow in coordinates of x."""
    prior, n = moved(), 400_000
    random = np.random.RandomState(0)
    z = (random.randn(n, 3) * [0.5, 1.0, 1.5] + [1, 0, -1]).astype(np.float32)
    received = prior.velocity_error(z, SEED).numpy()
    z0, s = random.randn(n, 3), random.rand(n, 1)
    x = (1 - s) * z0 + s * z
    # y = x / scale, so that dx/ds = scale' y + scale dy/dt dt/ds.
    scale = np.hypot(1 - s, s)
    t = np.arctan2(s, 1 - s) / (0.5 * np.pi)
    y = tf.constant(x / scale, tf.float32)
    slope = (2 * s - 1) / scale
    of_x = slope * y + velocity(prior, y, t) / scale
    expected = 0.5 * np.sum((of_x - (z - z0)) ** 2, axis=1)
    error = 4 * np.hypot(received.std(), expected.std()) / np.sqrt(n)
    assert abs(received.mean() - expected.mean()) < error < 0.05


def test_times_are_spread_over_a_batch():
    """One in each n-th of [0, 1], so that the error's mean has less noise."""
    times = np.sort(_times(64, SEED)[:, 0])
    np.testing.assert_array_equal(np.floor(times * 64), np.arange(64))
    assert np.abs(times - np.sort(_times(64, [1, 3])[:, 0])).max() > 1e-3


@pytest.fixture(scope="module")
def learned():
    """A flow that has learned two bananas, and such codes."""

    def codes(n, seed):
        random = np.random.RandomState(seed)
        x = random.randn(n, 2).astype(np.float32)
        side = random.choice([-1, 1], n)
        return np.stack([x[:, 0], 0.4 * x[:, 1] + side * (x[:, 0] ** 2 - 1)], 1)

    prior = FlowMatchingPrior(2, units=64, standardize=True)
    keras.utils.set_random_seed(0)
    prior.fit(codes(8000, 0), epochs=100, batch_size=256)
    return prior, codes(2000, 1)


@pytest.mark.slow
def test_the_density_integrates_to_one(learned):
    prior, _ = learned
    side = np.linspace(-12, 12, 241, dtype=np.float32)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    density = np.exp(prior.log_prob(grid))
    assert abs(density.sum() * 0.1**2 - 1) < 0.01


@pytest.mark.slow
def test_there_and_back(learned):
    prior, _ = learned
    z0 = tf.random.stateless_normal([1000, 2], SEED)
    error = np.abs(prior.to_base(prior.from_base(z0)) - z0)
    assert np.quantile(error, 0.99) < 1e-3
    assert np.abs(prior.from_base(z0) - z0).max() > 1


@pytest.mark.slow
def test_held_out_codes_are_as_likely_as_they_can_be(learned):
    prior, codes = learned
    x, y = codes.T
    normal = scipy.stats.norm
    sides = [normal.pdf(y, side * (x**2 - 1), 0.4) for side in (-1, 1)]
    true = normal.logpdf(x) + np.log(np.mean(sides, axis=0))
    gap = np.mean(true - prior.log_prob(codes))
    assert -0.01 < gap < 0.1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"units": 0}, ".units must be at least 1, received 0"),
        ({"steps": 0}, ".steps must be at least 1, received 0"),
        ({"steps": 1.5}, ".steps must be a whole number, received 1.5"),
        ({"dropout": 1.0}, r".dropout must be a number in \[0, 1\), received 1.0"),
        (
            {"context_dropout": -0.1},
            ".context_dropout must .*, received -0.1",
        ),
    ],
)
def test_bad_arguments(given, message):
    with pytest.raises(UserError, match=f"^FlowMatchingPrior{message}"):
        FlowMatchingPrior(3, **given)


def test_steps_may_be_set():
    prior = FlowMatchingPrior(3, units=2)
    prior.steps = 3
    assert prior.steps == 3 and prior.sample(2).shape == (2, 3)
    with pytest.raises(UserError, match="steps must be a whole number, received 2.5"):
        prior.steps = 2.5


def test_zeros_are_a_context():
    """Else codes given them would be learned with those whose context is left out."""
    random = np.random.RandomState(0)
    which = random.rand(4000) < 0.5
    codes = 0.3 * random.randn(4000, 2) + np.where(which, 3.0, -3.0)[:, None]
    prior = FlowMatchingPrior(2, units=64, context_size=1, standardize=True)
    prior.fit(codes, context=which[:, None], batch_size=128, epochs=30)
    for given in (0.0, 1.0):
        draws = prior.sample(2000, context=np.full([2000, 1], given)).numpy()
        assert np.mean((draws[:, 0] > 0) == given) > 0.99
    with prior.guided(0.0):
        draws = prior.sample(2000, context=np.zeros([2000, 1])).numpy()
    assert abs(np.mean(draws[:, 0] > 0) - np.mean(which)) < 0.05


def test_by_likelihood_too_the_velocity_without_a_context_is_learned():
    prior = FlowMatchingPrior(2, units=8, context_size=1, context_dropout=0.5)
    prior.build()
    randomize(prior)
    z, context = tf.random.normal([40, 2]), tf.random.normal([40, 1])
    outside = prior.log_prob(z, context)
    with prior.learning(SEED):
        within = prior.log_prob(z, context)
    moved = np.abs(within - outside) > 1e-4
    assert 0.25 < moved.mean() < 0.75
    # The others are those without a context.
    with prior.learning(None):
        np.testing.assert_allclose(prior.log_prob(z, context), outside)


class Drift:
    """The velocity is the context, and 3 where that is left out."""

    def conditions(self, t, context):
        return context[:, :1] + 3.0 * context[:, 1:]

    def __call__(self, y, conditions):
        return tf.zeros_like(y) + conditions


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0, 2.0])
def test_guidance_goes_on_from_no_context_to_the_context(monkeypatch, guidance):
    prior = FlowMatchingPrior(2, units=8, context_size=1)
    prior.build()
    monkeypatch.setattr(prior, "_network", Drift())
    z0 = tf.random.stateless_normal([4, 2], SEED)
    context = tf.constant([[-1.0], [0.0], [1.0], [5.0]])
    with prior.guided(guidance):
        z = prior.from_base(z0, context)
    # A quarter of a turn, in radians.
    expected = z0 + 0.5 * np.pi * (3.0 + guidance * (context - 3.0))
    np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-5)


def test_a_share_of_the_contexts_is_left_out():
    prior = FlowMatchingPrior(2, units=8, context_size=1, context_dropout=0.25)
    context = 1.0 + tf.random.stateless_uniform([4000, 1], SEED)
    with prior.learning(SEED):
        told = prior._some_left_out(context).numpy()
    left_out = told[:, 1:] == 1.0
    np.testing.assert_array_equal(told[:, :1], np.where(left_out, 0.0, context))
    assert abs(left_out.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)


def test_draws_in_a_step_are_of_their_contexts():
    prior = FlowMatchingPrior(2, units=8, context_size=1, context_dropout=0.9)
    prior.build()
    randomize(prior)
    context = tf.random.stateless_normal([40, 1], SEED)
    expected = prior.sample(40, 3, context=context)
    with prior.learning(SEED):
        drawn = prior.sample(40, 3, context=context)
    np.testing.assert_allclose(drawn, expected, rtol=1e-5, atol=1e-6)

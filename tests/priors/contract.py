"""The contracts that priors keep; one subclass per prior."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tfp_priors.errors import UserError

SEED = tf.constant([1, 2])


class PriorContract:
    """What holds for all. Subclasses define `make` and `variables`."""

    latent_size = 5
    #: Of codes that are maps of as many numbers.
    map_shape = None
    context_size = 3
    #: Of the weights where draws with and without a context must differ.
    spread = 0.5

    def make(self, latent_size=5, **kwargs):
        """A prior with that many dimensions."""
        raise NotImplementedError

    #: Trainable variables without a context.
    variables: int

    def built(self, context=False, standardize=False):
        prior = self.make(
            standardize=standardize, context_size=self.context_size if context else 0
        )
        prior.build((None, self.latent_size))
        randomize(prior)
        if standardize:
            mean, variance = self.statistics
            prior._standardization.mean.assign(mean)
            prior._standardization.variance.assign(variance)
        if standardize and context:
            # Where a method standardises twice, or not at all, another disagrees.
            prior._context_standardization.mean.assign([0.5] * self.context_size)
            prior._context_standardization.scale.assign([0.5] * self.context_size)
        context_value = tf.random.stateless_normal([7, self.context_size], [9, 9])
        return prior, context_value if context else None

    @property
    def statistics(self):
        """Mean and variance of each dimension, or of each channel."""
        size = self.latent_size if self.map_shape is None else self.map_shape[-1]
        return np.linspace(-3, 3, size), np.linspace(0.5, 9, size)

    @pytest.fixture(params=["plain", "both"])
    def prior_and_context(self, request):
        return self.built(
            context=request.param == "both", standardize=request.param == "both"
        )

    def test_draws_are_unstandardized_standard_draws(self):
        prior, _ = self.built(standardize=True)
        standard = prior.standard_sample(7, SEED)
        z = prior.sample(7, SEED)
        mean, variance = self.statistics
        # A map's channels are its last axis.
        expected = tf.reshape(standard, z.shape) * np.sqrt(variance) + mean
        np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(prior.standardized(z), standard, atol=1e-5)

    def test_draws_are_the_images_of_base_draws(self, prior_and_context):
        """Of the same seed: separability pairs z0 with the images of z by it."""
        prior, context = prior_and_context
        if not prior.has_base:
            with pytest.raises(UserError, match="has no z0"):
                prior.sample_base(7, SEED, 1.0, context)
            return
        z0 = prior.sample_base(7, SEED, 1.0, context)
        z = prior.sample(7, SEED, 1.0, context)
        np.testing.assert_allclose(
            prior.from_base(z0, context), z, rtol=1e-4, atol=1e-4
        )
        z = prior.from_base(prior.sample_base(7, 3, context=context), context)
        drawn = prior.sample(7, 3, context=context)
        np.testing.assert_allclose(drawn, z, rtol=1e-4, atol=1e-4)

    def test_same_seed_same_samples(self):
        prior, _ = self.built()
        first, second, other = (
            prior.sample(7, tf.constant([seed, 0])).numpy() for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, second)
        assert np.abs(first - other).max() > 0.05
        assert first.shape == (7, *(self.map_shape or [self.latent_size]))

    def test_context_moves_the_draws(self):
        prior, context = self.built(context=True)
        randomize(prior, seed=5, scale=self.spread)
        first, second = (
            prior.sample(7, SEED, context=value).numpy()
            for value in (context, context + 3.0)
        )
        assert np.abs(first - second).max() > 1e-3

    def test_number_of_variables(self):
        prior, _ = self.built()
        assert len(prior.trainable_variables) == self.variables

    def test_every_variable_learns(self, prior_and_context):
        prior, context = prior_and_context
        with tf.GradientTape() as tape:
            loss = self.loss(prior, context)
        gradients = tape.gradient(loss, [v.value for v in prior.trainable_variables])
        for variable, gradient in zip(
            prior.trainable_variables, gradients, strict=True
        ):
            assert gradient is not None, variable.path
            assert np.abs(gradient).max() > 0, variable.path

    def loss(self, prior, context):
        z = tf.random.stateless_normal([7, self.latent_size], [5, 6])
        return tf.reduce_mean(prior.nll(z, 0.0, SEED, context))

    def test_config_round_trip(self):
        prior = self.make(standardize=True, context_size=2)
        copy = type(prior).from_config(prior.get_config())
        assert copy.get_config() == prior.get_config()

    def test_wrong_context_is_refused(self):
        prior, _ = self.built()
        with pytest.raises(UserError, match="context of width 0, received 2"):
            prior.sample(1, SEED, context=tf.zeros([1, 2]))
        prior, _ = self.built(context=True)
        with pytest.raises(UserError, match="context of width 3, received none"):
            prior.sample(1, SEED)

    def test_latent_size_zero_is_refused(self):
        with pytest.raises(UserError, match="latent size of at least"):
            self.make(latent_size=0)


class ImplicitContract(PriorContract):
    """What holds for priors without a density."""

    def test_no_density(self):
        prior, _ = self.built()
        assert not prior.has_density
        with pytest.raises(UserError, match="has no density: its draws are the"):
            prior.log_prob(tf.zeros([1, self.latent_size]))

    def test_no_inverse(self):
        prior, _ = self.built()
        with pytest.raises(UserError, match="has no to_base: .*RealNVPPrior"):
            prior.to_base(tf.zeros([1, self.latent_size]))


class DensityContract(PriorContract):
    """What holds for priors with a density."""

    #: By which a mean is estimated.
    draws = 40_000

    def test_density_is_the_distributions(self, prior_and_context):
        prior, context = prior_and_context
        z = tf.random.stateless_normal([7, self.latent_size], [5, 6])
        expected = prior.distribution(context).log_prob(z)
        log_prob = prior.log_prob(z, context)
        assert log_prob.shape == (7,)
        np.testing.assert_allclose(log_prob, expected, rtol=1e-4)

    def test_distribution_takes_tensors_of_any_rank(self, prior_and_context):
        """As TFP's own do; networks take rows alone."""
        prior, context = prior_and_context
        distribution = prior.distribution(context)
        batch = [] if context is None else [7]
        z = distribution.sample([2, 3], seed=SEED)
        assert z.shape == (2, 3, *batch, self.latent_size)
        assert distribution.sample(seed=SEED).shape == (*batch, self.latent_size)
        if not prior.has_exact_density:
            return
        rows = tf.reshape(z, [-1, self.latent_size])
        contexts = None if context is None else tf.tile(context, [6, 1])
        expected = np.reshape(prior.log_prob(rows, contexts), [2, 3, *batch])
        np.testing.assert_allclose(distribution.log_prob(z), expected, rtol=1e-4)
        if context is None:
            np.testing.assert_allclose(
                distribution.log_prob(rows[0]), prior.log_prob(rows[:1])[0], rtol=1e-4
            )

    def test_nll_is_the_negative_density(self, prior_and_context):
        prior, context = prior_and_context
        z = tf.random.stateless_normal([7, self.latent_size], [5, 6])
        for beta in (0.0, 0.3, 1.0):
            nll = prior.nll(z, beta, SEED, context)
            np.testing.assert_allclose(-nll, prior.log_prob(z, context), rtol=1e-5)

    @pytest.mark.parametrize("beta", [0.0, 0.3])
    def test_nll_scales_the_gradient_of_the_code(self, beta):
        prior, _ = self.built(standardize=True)
        z = tf.Variable(tf.random.stateless_normal([7, self.latent_size], [5, 6]))
        # Two tapes: TensorFlow prepares a persistent one for gradients of gradients.
        with tf.GradientTape() as tape:
            log_prob = prior.log_prob(z)
        expected = -beta * tape.gradient(log_prob, z)
        with tf.GradientTape() as tape:
            nll = prior.nll(z, beta, SEED)
        received = tape.gradient(nll, z, unconnected_gradients="zero")
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-6)

    def test_samples_have_the_density(self):
        # E_p[u(z)] for a bounded u, by draws and by importance weights of a broad
        # normal: both estimate one number. 4 standard errors at a fixed seed.
        prior, _ = self.built()
        n = self.draws
        draws = prior.sample(n, tf.constant([1, 1])).numpy().reshape(n, -1)
        draws = np.tanh(draws).mean(1)
        scale = 2.5
        noise = tf.random.stateless_normal([n, self.latent_size], [2, 2]) * scale
        log_q = -0.5 * (noise.numpy() ** 2 / scale**2 + np.log(2 * np.pi * scale**2))
        weights = np.exp(prior.log_prob(noise).numpy() - log_q.sum(1))
        values = weights * np.tanh(noise.numpy()).mean(1)
        error = 4 * np.hypot(draws.std(), values.std()) / np.sqrt(n)
        assert abs(draws.mean() - values.mean()) < error
        assert abs(weights.mean() - 1.0) < 4 * weights.std() / np.sqrt(n)


class FlowContract(DensityContract):
    """What holds for priors that are bijectors of a normal z0."""

    def test_round_trip(self, prior_and_context):
        prior, context = prior_and_context
        z0 = tf.random.stateless_normal([7, self.latent_size], [3, 4])
        # The identities break TFP's cache, which would return z0 itself.
        z = tf.identity(prior.from_base(z0, context))
        back = prior.to_base(tf.identity(z), context)
        np.testing.assert_allclose(back, z0, atol=2e-5)

    def test_density_against_autodiff(self, prior_and_context):
        prior, context = prior_and_context
        z = tf.random.stateless_normal([7, self.latent_size], [5, 6])
        # Column by column: TensorFlow would take long to make one graph of all.
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(z)
            z0 = prior.to_base(z, context)
        jacobian = tape.batch_jacobian(z0, z, experimental_use_pfor=False).numpy()
        _, log_det = np.linalg.slogdet(jacobian.astype(np.float64))
        base = prior.base_distribution(prior.standard_context(context))
        mean = np.broadcast_to(base.mean(), z0.shape)
        error = z0.numpy() - mean
        normal = -0.5 * (error**2 + np.log(2 * np.pi)).sum(1)
        np.testing.assert_allclose(
            prior.log_prob(z, context), normal + log_det, rtol=1e-4, atol=1e-4
        )

    def test_temperature_zero_is_the_mode_of_the_base(self):
        prior, _ = self.built()
        z = prior.sample(3, tf.constant([1, 1]), temperature=0.0)
        expected = prior.from_base(tf.zeros([3, self.latent_size]))
        np.testing.assert_allclose(z, expected, atol=1e-5)

    def test_one_bijector_serves_many_codes(self):
        """What a conditioner has said of some codes is not taken for others."""
        prior, _ = self.built()
        one = prior.bijector()
        if one is None:
            pytest.skip("It is the identity.")
        for seed in (0, 1):
            z = tf.random.stateless_normal([7, self.latent_size], [seed, 0])
            z0, log_det = one.inverse(z), one.inverse_log_det_jacobian(z, 1)
            new = prior.bijector()
            np.testing.assert_allclose(z0, new.inverse(z), rtol=1e-5, atol=1e-5)
            expected = prior.bijector().inverse_log_det_jacobian(tf.identity(z), 1)
            np.testing.assert_allclose(log_det, expected, rtol=1e-4, atol=1e-5)

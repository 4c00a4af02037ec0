import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from tests.conftest import randomize
from tests.priors.contract import SEED
from tests.priors.contract import DensityContract
from tfp_priors.errors import UserError
from tfp_priors.networks import InfoGANEncoder
from tfp_priors.posteriors import DeterministicPosterior
from tfp_priors.posteriors import NormalPosterior
from tfp_priors.priors import VampPrior

SHAPE = (8, 8, 1)


class TestVampPrior(DensityContract):
    variables = 1
    spread = 10.0  # Grey pseudo-inputs have nearly equal posteriors.

    def make(self, latent_size=5, **kwargs):
        prior = VampPrior(latent_size, SHAPE, pseudo_inputs=4, **kwargs)
        encoder = InfoGANEncoder(SHAPE, width=4)
        posterior = NormalPosterior(latent_size)
        encoder.build((None, *SHAPE))
        posterior.build((None, 64))
        # A batch-normalised encoder starts with nearly equal codes.
        randomize(posterior, seed=3, scale=0.3)
        prior.connect(encoder, posterior)
        return prior

    def posteriors(self, prior):
        """The q(z|x) of the pseudo-inputs."""
        encoder, posterior = prior._parts()
        images = 1 / (1 + np.exp(-prior.trainable_variables[0].numpy()))
        return posterior.distribution(posterior(encoder(images, training=False)))

    @pytest.mark.parametrize("temperature", [0.5, 1.0])
    def test_density_against_scipy(self, temperature):
        prior, _ = self.built()
        q = self.posteriors(prior)
        z = np.random.RandomState(0).randn(9, 5).astype(np.float32)
        densities = [
            scipy.stats.norm(m, temperature * s).logpdf(z).sum(1)
            for m, s in zip(q.mean().numpy(), q.stddev().numpy(), strict=True)
        ]
        expected = scipy.special.logsumexp(densities, axis=0) - np.log(4)
        received = prior.distribution(temperature=temperature).log_prob(z)
        np.testing.assert_allclose(received, expected, rtol=1e-4)
        if temperature == 1.0:
            np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-4)

    def test_temperature_zero_draws_the_means(self):
        prior, _ = self.built()
        draws = prior.sample(50, SEED, temperature=0.0).numpy()
        distance = np.abs(draws[:, None] - self.posteriors(prior).mean()).max(-1)
        np.testing.assert_allclose(distance.min(1), 0.0, atol=1e-6)
        assert set(distance.argmin(1)) == {0, 1, 2, 3}

    def test_standardization_leaves_the_density(self):
        plain, standardized = self.built()[0], self.built(standardize=True)[0]
        standardized._parts = plain._parts
        standardized.trainable_variables[0].assign(plain.trainable_variables[0])
        z = np.random.RandomState(0).randn(9, 5).astype(np.float32)
        np.testing.assert_allclose(
            standardized.log_prob(z), plain.log_prob(z), rtol=1e-4
        )

    @pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
    def test_encoder_feels_beta_times_the_pull(self, beta):
        prior, _ = self.built()
        encoder, posterior = prior._parts()
        weights = [*encoder.trainable_variables, *posterior.trainable_variables]
        z = tf.random.stateless_normal([7, 5], [5, 6])

        def gradients(weight):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(prior.nll(z, weight, SEED))
            own = [v.value for v in prior.trainable_variables]
            others = [v.value for v in weights]
            return tape.gradient(loss, [own, others], unconnected_gradients="zero")

        own, others = gradients(beta)
        full_own, full_others = gradients(1.0)
        np.testing.assert_allclose(own[0], full_own[0], rtol=1e-4, atol=1e-7)
        for received, expected in zip(others, full_others, strict=True):
            np.testing.assert_allclose(received, beta * expected, rtol=1e-4, atol=1e-6)
        assert any(np.abs(g).max() > 1e-4 for g in full_others)

    def test_pseudo_inputs_have_the_shape_of_the_encoders_images(self):
        prior = VampPrior(5, (7, 8, 1), pseudo_inputs=4)
        with pytest.raises(UserError, match=r"pseudo-inputs of shape \(7, 8, 1\), the"):
            prior.connect(InfoGANEncoder(SHAPE, width=4), NormalPosterior(5))

    def test_pseudo_inputs_are_its_only_variables(self, make_model):
        model = make_model(
            prior=VampPrior(4, SHAPE, pseudo_inputs=3),
            posterior=NormalPosterior(4),
            beta=1.0,
        )
        (variable,) = model.variable_groups()["prior"]
        assert variable.shape == (3, *SHAPE)
        paths = [v.path for v in model.trainable_variables]
        assert len(paths) == len(set(paths))

    def test_bad_arguments(self, make_model):
        with pytest.raises(UserError, match="call connect"):
            VampPrior(4, SHAPE).build()
        model = make_model(
            prior=VampPrior(4, SHAPE, pseudo_inputs=3),
            posterior=DeterministicPosterior(4),
        )
        with pytest.raises(UserError, match="expects a normal posterior, received a D"):
            model.sample(2)


def test_keras_does_not_share_the_encoder_twice(make_model, tmp_path):
    def make():
        return make_model(
            prior=VampPrior(4, SHAPE, pseudo_inputs=3),
            posterior=NormalPosterior(4),
            beta=1.0,
        )

    model = make()
    randomize(model.prior, scale=1.0)
    model.save_weights(tmp_path / "a.weights.h5")
    keras.utils.set_random_seed(1)
    other = make()
    other.load_weights(tmp_path / "a.weights.h5")
    for a, b in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a, b)

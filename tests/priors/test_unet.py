import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.priors.contract import FlowContract
from tfp_priors.divergences import KLDivergence
from tfp_priors.errors import UserError
from tfp_priors.networks import unet
from tfp_priors.priors import UNetPrior

tfd = tfp.distributions
SHAPE = (2, 2, 5)
SIZE = 20  # 2 * 2 + 4 * 4 pixels of one channel.


class TestUNetPrior(FlowContract):
    latent_size = SIZE
    map_shape = SHAPE
    variables = 2 * (2 + 8 * 2)  # kernel and bias; contexts, two layers for 8 groups

    def make(self, latent_size=SHAPE, **kwargs):
        return UNetPrior(latent_size, width=3, **kwargs)

    def test_starts_at_the_standard_normal(self):
        prior = self.make()
        z = tf.random.stateless_normal([7, SIZE], [1, 2])
        expected = -0.5 * (np.square(z) + np.log(2 * np.pi)).sum(1)
        np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-5)

    def test_groups_depend_on_earlier_ones_only(self):
        """The numbers of the groups are told by hand: see `order`."""
        prior, _ = self.built()
        z = tf.random.stateless_normal([1, SIZE], [1, 2])
        with tf.GradientTape() as tape:
            tape.watch(z)
            means = z - prior.to_base(z)
        jacobian = tape.jacobian(means, z)[0, :, 0].numpy()
        # At each place of 2 x 2: itself in the first picture, then its four pixels in
        # the second one, of which each place has one of each group.
        order = [i for first in range(4) for i in (first, 4, 5, 6, 7)]
        reached = np.zeros([8, 8], bool)
        for i in range(SIZE):
            for j in range(SIZE):
                depends = abs(jacobian[i, j]) > 0
                assert not depends or order[j] < order[i], (i, j)
                reached[order[i], order[j]] |= depends
        # And on all of these.
        np.testing.assert_array_equal(reached, np.tri(8, 8, -1, dtype=bool))

    @pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
    def test_kl_of_unit_normals_is_half_the_squared_distance(self, beta):
        prior, context = self.built(context=True)
        mean = tf.Variable(tf.random.stateless_normal([7, SIZE], [3, 4]))
        noise = tf.random.stateless_normal([7, SIZE], [5, 6])
        with tf.GradientTape() as tape:
            posterior = tfd.MultivariateNormalDiag(mean, tf.ones([7, SIZE]))
            z = mean + noise
            terms = KLDivergence().terms(
                posterior, z, prior, beta, tf.constant([1, 2]), context
            )
        prior_mean = (z - prior.to_base(z, context)).numpy()
        expected = 0.5 * np.square(mean.numpy() - prior_mean).sum(1)
        np.testing.assert_allclose(terms.metrics["kl"], expected, rtol=1e-4)
        np.testing.assert_allclose(terms.loss, expected, rtol=1e-4)
        received = tape.gradient(terms.loss, mean, unconnected_gradients="zero")
        with tf.GradientTape() as tape:
            z = mean + noise
            half = 0.5 * tf.reduce_sum(
                tf.square(mean - z + prior.to_base(z, context)), axis=-1
            )
        full = tape.gradient(half, mean)
        np.testing.assert_allclose(received, beta * full, rtol=1e-3, atol=1e-5)

    def test_kl_agrees_with_the_densities_on_average(self):
        """E[log q - log p] over draws; 4 standard errors of 20,000."""
        prior, _ = self.built()
        n = 20_000
        mean = tf.ones([n, 1]) * tf.random.stateless_normal([SIZE], [3, 4])
        posterior = tfd.MultivariateNormalDiag(mean, 0.7 * tf.ones([n, SIZE]))
        z = posterior.sample(seed=[7, 8])
        kl = prior.kl(posterior, z, 1.0).numpy()
        other = (posterior.log_prob(z) - prior.log_prob(z)).numpy()
        difference = kl - other
        assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(n)
        # What the closed form is for.
        assert kl.std() < 0.5 * other.std()

    def test_wrong_size(self):
        for size in (20, (2, 2, 6), (2, 4, 5)):
            with pytest.raises(UserError, match="with a multiple of 5 channels, rec"):
                self.make(latent_size=size)
        with pytest.raises(UserError, match="an even side, received 3"):
            self.make(latent_size=(3, 3, 5))


def test_split_and_join():
    z = tf.random.stateless_normal([3, 4, 4, 10], [1, 2])
    coarse, fine = unet.split(z)
    assert coarse.shape == (3, 4, 4, 2) and fine.shape == (3, 8, 8, 2)
    np.testing.assert_array_equal(unet.join([coarse, fine]), z)
    # What is beside one another in the map is so in the picture.
    np.testing.assert_array_equal(
        fine[:, 2:4, 6:8, 0], np.reshape(z[:, 1, 3, 2::2], [3, 2, 2])
    )

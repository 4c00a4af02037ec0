import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tests.priors.contract import FlowContract
from tfp_priors.errors import UserError
from tfp_priors.priors import InverseAutoregressivePrior
from tfp_priors.priors import MaskedAutoregressivePrior


class TestMaskedAutoregressivePrior(FlowContract):
    variables = 2 * 2 * 2  # flows, kernel and bias, layers
    kind = MaskedAutoregressivePrior

    def make(self, latent_size=5, **kwargs):
        return self.kind(latent_size, flows=2, hidden_sizes=(8,), **kwargs)

    def test_new_flow_equals_its_base(self):
        prior = self.kind(self.latent_size, hidden_sizes=(8,))
        prior.build()
        z = np.random.RandomState(0).randn(9, self.latent_size).astype(np.float32)
        base = prior.base_distribution()
        np.testing.assert_allclose(prior.log_prob(z), base.log_prob(z), rtol=1e-6)

    def test_one_dimension_is_an_affine_map(self):
        prior = self.kind(1, flows=1, hidden_sizes=(8,), log_scale_bound=2.0)
        prior.build()
        prior.trainable_variables[-1].assign([0.7, 0.3])
        sign = 1.0 if self.kind is MaskedAutoregressivePrior else -1.0
        scale = np.exp(sign * 2.0 * np.tanh(0.3 / 2.0))
        z0 = np.array([[0.0], [1.0]], np.float32)
        z = prior.from_base(z0).numpy()[:, 0]
        np.testing.assert_allclose(z[1] - z[0], scale, rtol=1e-5)

    def test_bad_arguments(self):
        with pytest.raises(UserError, match=r"log_scale_bound must .* in \(0, inf\)"):
            self.kind(4, log_scale_bound=0.0)


class TestInverseAutoregressivePrior(TestMaskedAutoregressivePrior):
    kind = InverseAutoregressivePrior


@pytest.mark.parametrize(
    "kind", [MaskedAutoregressivePrior, InverseAutoregressivePrior]
)
def test_triangular_in_the_direction_of_one_pass(kind):
    prior = kind(4, flows=1, hidden_sizes=(16,))
    prior.build()
    for variable in prior.trainable_variables:
        variable.assign(tf.random.stateless_normal(variable.shape, [1, 2]))
    z = tf.random.stateless_normal([3, 4], [5, 6])
    one_pass = prior.to_base if kind is MaskedAutoregressivePrior else prior.from_base
    with tf.GradientTape() as tape:
        tape.watch(z)
        outputs = one_pass(z)
    jacobian = tape.batch_jacobian(outputs, z).numpy()
    np.testing.assert_array_equal(np.triu(jacobian, 1), 0.0)
    assert np.abs(np.tril(jacobian, -1)).max() > 0.01


@pytest.mark.parametrize(
    "kind", [MaskedAutoregressivePrior, InverseAutoregressivePrior]
)
def test_the_order_is_reversed_between_flows(kind):
    """Each dimension depends on some before it and on some after it."""
    prior = kind(4, flows=2, hidden_sizes=(16,))
    prior.build()
    randomize(prior, scale=0.5)
    one = prior.bijector()
    one_pass = one.inverse if kind is MaskedAutoregressivePrior else one.forward
    z = tf.random.stateless_normal([1, 4], [5, 6])
    moves = np.abs(one_pass(z + tf.eye(4)) - one_pass(z))
    assert np.triu(moves, 1).max() > 0.01 and np.tril(moves, -1).max() > 0.01

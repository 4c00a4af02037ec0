import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tfp_priors import priors
from tfp_priors.errors import UserError
from tfp_priors.priors.dropout import dropping
from tfp_priors.training import create_strategy

FLOWS = {
    "real_nvp": lambda **kwargs: priors.RealNVPPrior(4, couplings=2, **kwargs),
    "spline": lambda **kwargs: priors.SplinePrior(4, couplings=2, **kwargs),
    "maf": lambda **kwargs: priors.MaskedAutoregressivePrior(4, flows=2, **kwargs),
    "iaf": lambda **kwargs: priors.InverseAutoregressivePrior(4, flows=1, **kwargs),
}


def test_a_share_of_the_units_is_zero_and_their_mean_stays():
    units = 2.0 + np.random.RandomState(0).rand(500, 40).astype(np.float32)
    dropped = dropping(0.25, tf.constant([1, 2]))(units, 0).numpy()
    assert abs((dropped == 0).mean() - 0.25) < 0.01
    kept = dropped != 0
    np.testing.assert_allclose(dropped[kept], units[kept] / 0.75, rtol=1e-6)
    other = dropping(0.25, tf.constant([1, 2]))(units, 1).numpy()
    assert ((dropped == 0) != (other == 0)).mean() > 0.3


def test_two_replicas_drop_what_one_does():
    units = tf.ones([8, 40])
    drop = dropping(0.5, tf.constant([3, 4]))
    strategy = create_strategy("mirrored")
    rows = tf.stack([units[:4], units[4:]])

    def step():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return drop(rows[replica], 0)

    of_two = strategy.experimental_local_results(tf.function(strategy.run)(step))
    np.testing.assert_array_equal(np.concatenate(of_two), drop(units, 0))


@pytest.mark.parametrize("name", FLOWS)
def test_densities_have_dropout_in_a_training_step_alone(name):
    prior = FLOWS[name](hidden_sizes=(32,), dropout=0.5)
    prior.build()
    randomize(prior)
    plain = FLOWS[name](hidden_sizes=(32,))
    plain.build()
    for mine, its in zip(plain.weights, prior.weights, strict=True):
        mine.assign(its)
    z = tf.random.stateless_normal([6, 4], [0, 1])
    np.testing.assert_array_equal(prior.log_prob(z), plain.log_prob(z))
    values = []
    for seed in ([1, 1], [1, 1], [2, 2]):
        with prior.learning(tf.constant(seed)):
            values.append(prior.log_prob(z).numpy())
    np.testing.assert_array_equal(values[0], values[1])
    assert np.abs(values[0] - values[2]).min() > 0
    np.testing.assert_array_equal(prior.log_prob(z), plain.log_prob(z))


def test_each_conditioner_leaves_out_units_of_its_own():
    prior = priors.RealNVPPrior(4, couplings=2, dropout=0.5)
    units = tf.ones([1, 100])
    with prior.learning(tf.constant([1, 2])):
        first, second = (prior._dropout(i)(units, 0).numpy() for i in range(2))
    assert ((first == 0) != (second == 0)).mean() > 0.3


def test_a_step_may_know_the_standard_codes():
    prior = priors.RealNVPPrior(4, couplings=2, standardize=True)
    prior.build()
    randomize(prior)
    prior.set_statistics(np.random.RandomState(0).randn(50, 4) * 3 + 1)
    z = tf.random.stateless_normal([6, 4], [0, 1])
    expected = prior.log_prob(z)
    known = prior.standardization(z)
    with prior.learning(tf.constant([0, 0]), known):
        np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-6)
        # They are believed.
        np.testing.assert_allclose(prior.log_prob(z + 1.0), expected, rtol=1e-6)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_bad_dropout(rate):
    with pytest.raises(UserError, match=r"RealNVPPrior.dropout must .* \[0, 1\)"):
        priors.RealNVPPrior(4, dropout=rate)

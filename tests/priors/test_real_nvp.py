import concurrent.futures

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.conftest import randomize
from tests.priors.contract import FlowContract
from tfp_priors.errors import UserError
from tfp_priors.models import CodeModel
from tfp_priors.priors import RealNVPPrior

FAR = np.float32([[9.0, -5.0, 20.0, 0.1], [0.0, 7.0, 1.0, 3.0]])


class Narrow(RealNVPPrior):
    """A user's subclass, whose constructor has arguments of its own."""

    def __init__(self, latent_size, narrow=3.0, **kwargs):
        super().__init__(latent_size, 2, (8,), input_bound=narrow, **kwargs)
        self.narrow = narrow


def far_prior(prior):
    """The prior, built, with weights of a flow that is none other."""
    prior.build()
    random = np.random.RandomState(0)
    for variable in prior.trainable_variables:
        variable.assign(0.3 * random.randn(*variable.shape))
    return prior


class TestRealNVPPrior(FlowContract):
    variables = 4 * 2 * 3  # couplings, kernel and bias, layers

    def make(self, latent_size=5, **kwargs):
        return RealNVPPrior(latent_size, couplings=4, hidden_sizes=(8, 8), **kwargs)

    def test_is_a_transformed_distribution_of_real_nvp_bijectors(self):
        distribution = self.make().distribution()
        # TFP makes a subclass of its own for each kind of base.
        assert type(distribution).__name__ == "_TransformedDistribution"
        bijectors = distribution.bijector.bijectors
        assert sum(isinstance(b, tfp.bijectors.RealNVP) for b in bijectors) == 4

    def test_new_flow_equals_its_base_exactly(self):
        prior = RealNVPPrior(self.latent_size)
        z = np.random.RandomState(0).randn(9, self.latent_size).astype(np.float32)
        base = prior.base_distribution()
        # The permutation changes the order of a sum of 5 terms, nothing else.
        np.testing.assert_allclose(prior.log_prob(z), base.log_prob(z), rtol=1e-6)
        z0 = prior.to_base(z).numpy()
        np.testing.assert_array_equal(np.sort(z0, axis=1), np.sort(z, axis=1))

    def test_log_scale_is_bounded(self):
        prior, _ = self.built()
        for variable in prior.trainable_variables:
            variable.assign(100.0 * tf.ones_like(variable))
        z = tf.random.stateless_normal([50, self.latent_size], [1, 2])
        diagnostics = prior.diagnostics(z)
        assert diagnostics["flow_log_scale_max"] <= 2.0
        assert diagnostics["flow_log_scale_min"] >= -2.0
        assert np.isfinite(prior.log_prob(z)).all()

    def test_what_lies_far_out_is_not_thrown_farther(self):
        prior = RealNVPPrior(self.latent_size, couplings=1, hidden_sizes=(8,))
        prior.build()
        random = np.random.RandomState(0)
        for variable in prior.trainable_variables:
            variable.assign(random.randn(*variable.shape))
        first = self.latent_size // 2
        z = random.randn(3, self.latent_size).astype(np.float32)
        z[:, :first] = [[20.0], [200.0], [2000.0]]
        z[:, first:] = z[:1, first:]
        moved = prior.to_base(z).numpy()[:, first:]
        np.testing.assert_allclose(moved[1:], moved[:1].repeat(2, 0), rtol=1e-4)

    @pytest.mark.parametrize("bound", [3.0, 0.7, None])
    def test_the_input_bound_is_kept_with_the_weights(self, bound, tmp_path):
        model = CodeModel(far_prior(Narrow(4, bound)))
        model.save_weights(tmp_path / "a.weights.h5")
        other = Narrow(4)
        other.build()
        CodeModel(other).load_weights(tmp_path / "a.weights.h5")
        assert other.input_bound == bound
        model.prior.save(tmp_path / "a.keras")
        for read in (other, keras.saving.load_model(tmp_path / "a.keras")):
            expected = model.prior.log_prob(FAR)
            np.testing.assert_array_equal(read.log_prob(FAR), expected)

    def test_weights_of_before_are_read_without_a_bound(self, tmp_path):
        model = CodeModel(far_prior(Narrow(4, None)))
        model.save_weights(tmp_path / "a.weights.h5")
        with h5py.File(tmp_path / "a.weights.h5", "a") as file:
            del file["layers/narrow/vars/input_bound"]
        other = Narrow(4)
        other.build()
        assert np.all(other.log_prob(FAR) != model.prior.log_prob(FAR))
        CodeModel(other).load_weights(tmp_path / "a.weights.h5")
        np.testing.assert_array_equal(other.log_prob(FAR), model.prior.log_prob(FAR))

    @pytest.mark.parametrize("latent_size", [2, 3, 8])
    def test_every_dimension_moves(self, latent_size):
        prior = RealNVPPrior(latent_size, couplings=2, hidden_sizes=(8,))
        prior.build()
        for conditioner in prior._conditioners:
            bias = conditioner.trainable_variables[-1]
            bias.assign(tf.ones_like(bias))
        moved = prior.from_base(tf.zeros([1, latent_size]))
        assert (np.abs(moved) > 0.5).all()

    @pytest.mark.parametrize(
        "kwargs",
        [
            {"latent_size": 1},
            *({"latent_size": 4, "input_bound": b} for b in (0.0, -1.0, "a", True)),
            *({"latent_size": 4, "input_bound": b} for b in (np.inf, np.nan, [3.0])),
        ],
    )
    def test_bad_arguments(self, kwargs):
        with pytest.raises(
            UserError, match="RealNVPPrior(.input_bound must be| expects a latent)"
        ):
            RealNVPPrior(**kwargs)


def test_couplings_move_two_dimensions_in_turn():
    prior = RealNVPPrior(2, couplings=4, hidden_sizes=(3,))
    prior.build()
    for i, conditioner in enumerate(prior._conditioners):
        # A shift alone, by a decimal of its own.
        conditioner.weights[-1].assign([10.0**i, 0.0])
    z = np.sort(np.array(prior.from_base([[0.0, 0.0]]))[0])
    np.testing.assert_allclose(z, [101.0, 1010.0])


def test_permutations_are_those_of_the_seed():
    def permuted(seed):
        prior = RealNVPPrior(8, 3, hidden_sizes=(2,), permutation_seed=seed)
        prior.build()
        # A new flow only permutes.
        return prior.to_base(np.arange(8, dtype=np.float32)[None])

    np.testing.assert_array_equal(permuted(1), permuted(1))
    assert np.any(permuted(1) != permuted(2))


def test_threads_do_not_see_each_others_log_scales():
    prior = RealNVPPrior(3, couplings=2, hidden_sizes=(8,))
    prior.build()
    randomize(prior)
    z = [tf.random.stateless_normal([5, 3], [i, 0]) * (i + 1) for i in range(8)]
    expected = [float(prior.diagnostics(x)["flow_log_scale_max"]) for x in z]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(prior.diagnostics, z))
    assert [float(each["flow_log_scale_max"]) for each in found] == expected

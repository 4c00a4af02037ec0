"""Priors whose codes are maps keep the contract of flows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tests.priors.contract import FlowContract
from tfp_priors import priors
from tfp_priors.errors import UserError

SHAPE = (2, 2, 2)


class MapContract(FlowContract):
    latent_size = 8
    map_shape = SHAPE

    def test_a_map_and_its_row_are_one_code(self):
        prior, _ = self.built(standardize=True)
        z = prior.sample(7, seed=0)
        rows = tf.reshape(z, [7, -1])
        np.testing.assert_array_equal(prior.log_prob(z), prior.log_prob(rows))
        np.testing.assert_array_equal(prior.to_base(z), prior.to_base(rows))


class TestStandardNormal(MapContract):
    variables = 0

    def make(self, latent_size=SHAPE, **kwargs):
        return priors.StandardNormalPrior(latent_size, **kwargs)


@pytest.mark.slow
class TestFlowMatching(MapContract):
    latent_size = 4
    map_shape = (2, 2, 1)
    # Kernels and biases of both ends, of three blocks of two convolutions, of a skip
    # and of two dense layers; and the map of places.
    variables = 2 * (2 + 3 * 2 + 1 + 2) + 1
    spread = 0.1
    draws = 5_000

    def make(self, latent_size=(2, 2, 1), **kwargs):
        return priors.FlowMatchingPrior(latent_size, units=(3,), steps=2, **kwargs)

    def test_round_trip(self, prior_and_context):
        prior_and_context[0].steps = 8
        super().test_round_trip(prior_and_context)

    def test_its_density_is_exact(self):
        prior, _ = self.built()
        assert prior.has_exact_density


class TestRealNVP(MapContract):
    # Of four conditioners: two convolutions and the map of places.
    variables = 4 * (2 * 2 + 1)

    def make(self, latent_size=SHAPE, **kwargs):
        return priors.RealNVPPrior(
            latent_size, couplings=4, hidden_sizes=(6,), **kwargs
        )


@pytest.mark.slow
class TestSpline(MapContract):
    variables = 2 * (2 * 3 + 1)
    # At greater weights bins are too narrow for float32.
    spread = 0.3

    def make(self, latent_size=SHAPE, **kwargs):
        return priors.SplinePrior(
            latent_size, couplings=2, hidden_sizes=(6, 6), **kwargs
        )


@pytest.mark.parametrize("shape", [(1, 1, 4), (3, 3, 1), (1, 2, 3), (3, 1, 2)])
@pytest.mark.parametrize("couplings", [2, 4])
def test_couplings_move_every_number_of_a_map(shape, couplings):
    prior = priors.RealNVPPrior(shape, couplings=couplings, hidden_sizes=(5,))
    prior.build()
    for variable in prior.trainable_variables:
        variable.assign(variable + 0.3)
    z = np.random.RandomState(0).randn(9, prior.latent_size).astype("f4")
    moved = np.abs(prior.to_base(z) - z).max(0)
    assert moved.min() > 1e-3


def test_halves_are_by_pixels_and_by_channels():
    prior = priors.RealNVPPrior((4, 4, 6), couplings=4)
    first, second, third, fourth = prior._stays
    # No two neighbours both stay.
    assert (
        not (first[1:] & first[:-1]).any() and not (first[:, 1:] & first[:, :-1]).any()
    )
    assert first.mean() == third.mean() == 0.5
    assert (third == third[0, 0]).all()
    np.testing.assert_array_equal(second, ~first)
    np.testing.assert_array_equal(fourth, ~third)


@pytest.mark.slow
def test_the_estimate_of_the_density_has_no_bias():
    """Over codes, whose signs differ; 4 standard errors around the exact mean."""
    prior = priors.FlowMatchingPrior((3, 3, 2), units=(4,), steps=2)
    prior.build()
    assert not prior.has_exact_density
    random = np.random.RandomState(0)
    for variable in prior.trainable_variables:
        variable.assign(variable + 0.2 * random.randn(*variable.shape))
    n = 1000
    z = random.randn(n, 18).astype("f4")
    received = prior.log_prob(z).numpy()
    prior._network.exact = True
    exact = np.concatenate([prior.log_prob(part).numpy() for part in np.split(z, 2)])
    error = received - exact
    assert 0 < error.std() and abs(error.mean()) < 4 * error.std() / np.sqrt(n)
    assert error.std() > 0.01


def test_the_estimate_is_the_same_in_every_call():
    prior = priors.FlowMatchingPrior((4, 4, 2), units=(4, 4), steps=2)
    prior.build()
    for variable in prior.trainable_variables:
        variable.assign(variable + 0.1)
    z = np.random.RandomState(0).randn(5, 4, 4, 2).astype("f4")
    np.testing.assert_array_equal(prior.log_prob(z), prior.log_prob(z))


def test_the_estimate_of_a_step_has_signs_of_its_own():
    """By known ones a network would learn the estimate in place of the density."""
    prior = priors.FlowMatchingPrior((4, 4, 2), units=(4,), steps=1)
    prior.build()
    randomize(prior)
    z = np.random.RandomState(0).randn(5, 32).astype("f4")
    values = [prior.log_prob(z)]
    for seed in (1, 2, 2):
        with prior.learning(tf.constant([seed, 0])):
            values.append(prior.log_prob(z))
    usual, one, two, again = (value.numpy() for value in values)
    np.testing.assert_array_equal(two, again)
    assert np.abs(usual - one).min() > 0 and np.abs(one - two).min() > 0


def test_maps_of_a_prior_that_was_fitted_to_rows():
    prior = priors.StandardNormalPrior(SHAPE, standardize=True)
    rows = np.random.RandomState(0).randn(50, 8).astype("f4")
    prior.fit(rows)
    assert prior.sample(3).shape == (3, 8)
    maps = rows.reshape(50, *SHAPE)
    np.testing.assert_array_equal(prior.log_prob(maps), prior.log_prob(rows))


@pytest.mark.parametrize(
    "shape, units", [((8, 8, 4), (64, 128)), ((7, 8, 4), (64,)), ((1, 1, 4), (64,))]
)
def test_levels_of_the_usual_velocity(shape, units):
    assert priors.FlowMatchingPrior(shape)._network.widths == units


def test_too_many_levels():
    with pytest.raises(UserError, match="multiples of 4, received \\(6, 8, 1\\): give"):
        priors.FlowMatchingPrior((6, 8, 1), units=(4, 4, 4))


@pytest.mark.parametrize(
    "make",
    [
        priors.GaussianMixturePrior,
        priors.MaskedAutoregressivePrior,
        priors.InverseAutoregressivePrior,
        priors.GeneratorPrior,
    ],
)
def test_priors_of_vectors_alone(make):
    with pytest.raises(UserError, match="vectors, received .*latent_size = 256, which"):
        make(latent_size=(8, 8, 4))


@pytest.mark.parametrize("size", [(8, 8), (8, 0, 4), (8, 8, 4.5), "888", (8, 8, 4, 1)])
def test_shapes_that_are_none(size):
    with pytest.raises(UserError, match="at least 1, or .height, width, channels. of"):
        priors.RealNVPPrior(size)


def test_a_mixture_below_is_for_vectors():
    prior = priors.RealNVPPrior(SHAPE, standardize=priors.MixtureStandardization())
    with pytest.raises(UserError, match="vectors, received maps of .2, 2, 2.: set"):
        prior.build()


def test_channels_are_standardized():
    """By the moments over all codes and pixels, as NumPy has them."""
    prior = priors.StandardNormalPrior((4, 4, 3), standardize=True)
    prior.build()
    codes = np.random.RandomState(0).randn(500, 4, 4, 3) * [1, 2, 3] + [5, 0, -5]
    prior.set_statistics(codes.reshape(500, -1).astype("f4"))
    standard = prior.standardized(codes.astype("f4")).numpy().reshape(codes.shape)
    expected = (codes - codes.mean((0, 1, 2))) / codes.std((0, 1, 2))
    np.testing.assert_allclose(standard, expected, atol=1e-4)


def test_running_statistics_are_of_channels():
    prior = priors.StandardNormalPrior((2, 2, 2), standardize=True)
    prior.build()
    codes = np.random.RandomState(0).randn(64, 2, 2, 2) * [1, 4] + [1, -3]
    for _ in range(1500):
        prior.update_statistics(tf.constant(codes.reshape(64, -1), tf.float32))
    layer = prior._standardization
    np.testing.assert_allclose(layer.mean, codes.mean((0, 1, 2)), atol=1e-3)
    np.testing.assert_allclose(layer.variance, codes.var((0, 1, 2)), rtol=1e-3)


def test_saved_and_loaded(tmp_path):
    prior = priors.FlowMatchingPrior((4, 4, 1), units=(3, 4), standardize=True)
    prior.build()
    randomize(prior)
    prior.save(tmp_path / "prior.keras")
    loaded = keras.saving.load_model(tmp_path / "prior.keras")
    assert loaded.map_shape == (4, 4, 1)
    np.testing.assert_array_equal(loaded.sample(5, seed=1), prior.sample(5, seed=1))


@pytest.mark.slow
def test_maps_that_are_learned():
    """Waves whose phase is one number: draws are such waves."""

    def codes(n, seed):
        phase = np.random.RandomState(seed).uniform(0, 2 * np.pi, [n, 1, 1, 1])
        places = np.arange(4)[:, None, None] * np.pi / 2 + np.zeros([4, 4, 1])
        noise = 0.1 * np.random.RandomState(seed + 1).randn(n, 4, 4, 1)
        return (np.sin(places + phase) + noise).astype("f4")

    prior = priors.FlowMatchingPrior((4, 4, 1), units=(16, 32), standardize=True)
    prior.fit(codes(2000, 0), epochs=30, batch_size=100)
    draws = prior.sample(500, seed=1).numpy()
    # Rows that are alike, and opposite to those two below.
    assert draws.std(2).mean() < 0.2 < draws.std((1, 2)).mean()
    assert np.abs(draws[:, 0] + draws[:, 2]).mean() < 0.25

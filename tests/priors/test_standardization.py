import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.priors import RealNVPPrior
from tfp_priors.priors.standardization import ContextStandardization
from tfp_priors.priors.standardization import LatentStandardization


def test_converges_to_the_moments_and_standardises():
    layer = LatentStandardization(decay=0.9)
    layer.build((None, 2))
    random = np.random.RandomState(0)
    z = (random.randn(500, 2) * [3.0, 0.1] + [5.0, -2.0]).astype(np.float32)
    for _ in range(200):
        layer.update(tf.constant(z))
    np.testing.assert_allclose(layer.mean, z.mean(0), rtol=1e-4)
    np.testing.assert_allclose(layer.variance, z.var(0), rtol=1e-4)
    standard = layer(z).numpy()
    np.testing.assert_allclose(standard.mean(0), 0.0, atol=1e-3)
    np.testing.assert_allclose(standard.std(0), 1.0, atol=1e-3)


def test_one_update_is_a_weighted_mean():
    layer = LatentStandardization(decay=0.9)
    layer.build((None, 1))
    layer.update(tf.constant([[1.0], [3.0]]))
    np.testing.assert_allclose(layer.mean, [0.1 * 2.0], rtol=1e-6)
    np.testing.assert_allclose(layer.variance, [0.9 * 1.0 + 0.1 * 1.0], rtol=1e-6)
    assert not layer.trainable_variables


def test_contexts_are_standardised_but_labels():
    random = np.random.RandomState(0)
    numbers = random.randn(500, 2) * [1e-3, 50.0] + [0.0, 300.0]
    labels = random.randint(-1, 2, [500, 1])
    context = np.hstack([numbers, labels, np.full([500, 1], 7.0)]).astype(np.float32)
    layer = ContextStandardization()
    layer.build((None, 4))
    np.testing.assert_array_equal(layer(context), context)
    layer.fit(context)
    standard = layer(context).numpy()
    np.testing.assert_allclose(standard[:, :2].mean(0), 0.0, atol=1e-4)
    np.testing.assert_allclose(standard[:, :2].std(0), 1.0, rtol=1e-4)
    np.testing.assert_array_equal(standard[:, 2], labels[:, 0])
    np.testing.assert_array_equal(standard[:, 3], 0.0)


def test_a_fit_does_not_depend_on_the_contexts_units(tmp_path):
    random = np.random.RandomState(0)
    context = random.randn(1000, 1).astype(np.float32)
    codes = (context * [1.0, -2.0] + 0.3 * random.randn(1000, 2)).astype(np.float32)
    densities = []
    # Powers of two, so that nothing is rounded.
    for units in (1.0, 2.0**-10, 2.0**10):
        keras.utils.set_random_seed(0)
        prior = RealNVPPrior(2, couplings=2, context_size=1, standardize=True)
        prior.build((None, 2))
        prior.fit(codes, context=units * context, epochs=2)
        densities.append(prior.log_prob(codes, context=units * context))
    np.testing.assert_allclose(densities[1], densities[0], rtol=1e-5)
    np.testing.assert_allclose(densities[2], densities[0], rtol=1e-5)
    prior.save(tmp_path / "prior.keras")
    again = keras.saving.load_model(tmp_path / "prior.keras")
    density = again.log_prob(codes, context=2.0**10 * context)
    np.testing.assert_array_equal(density, densities[2])


@pytest.mark.parametrize("units", [2.0**-40, 2.0**-20, 2.0**20])
def test_codes_in_any_units(units):
    random = np.random.RandomState(0)
    codes = random.randn(500, 3) * [1.0, 3.0, 0.0] + [0.0, 7.0, 0.1]
    codes = codes.astype(np.float32)
    expected, layer = [LatentStandardization() for _ in range(2)]
    for one, scale in ((expected, 1.0), (layer, units)):
        one.build((None, 3))
        one.fit(np.float32(scale) * codes, seed=0)
    standard = layer(np.float32(units) * codes).numpy()
    np.testing.assert_allclose(standard[:, :2].std(0), 1.0, rtol=1e-4)
    np.testing.assert_allclose(standard[:, :2], expected(codes)[:, :2], atol=1e-4)
    # What is constant is so in draws too, beside the others.
    scale = layer.variance.numpy() ** 0.5 / units
    assert scale[2] < 1e-2 and np.isfinite(standard).all()


def test_two_priors_do_not_share_statistics():
    shared = LatentStandardization()
    RealNVPPrior(2, couplings=2, standardize=shared)
    with pytest.raises(UserError, match="RealNVPPrior expects a LatentStandardization"):
        RealNVPPrior(2, couplings=2, standardize=shared)

"""Draws of models that have a prior."""

import numpy as np

from tfp_priors.priors import StandardNormalPrior


def test_draws_follow_the_temperature(make_model):
    model = make_model(prior=StandardNormalPrior(4))
    z = model.sample_prior(5, seed=3)
    halved = model.sample_prior(5, seed=3, temperature=0.5)
    np.testing.assert_allclose(halved, 0.5 * z, rtol=1e-6)
    images = model.sample(5, seed=3, temperature=0.5)
    np.testing.assert_allclose(images, model.decode(0.5 * z), rtol=1e-5)

"""Heads on features that are maps."""

import numpy as np
import pytest

from tests.conftest import randomize
from tfp_priors.errors import UserError
from tfp_priors.posteriors import DeterministicPosterior
from tfp_priors.posteriors import FixedScaleNormalPosterior
from tfp_priors.posteriors import InverseAutoregressivePosterior
from tfp_priors.posteriors import NormalPosterior

SHAPE = (2, 3, 4)
FEATURES = np.random.RandomState(0).randn(5, 2, 3, 6).astype(np.float32)


def test_the_head_acts_at_each_pixel():
    """Means are the first channels at each pixel, and scales the last; NumPy's sum."""
    posterior = NormalPosterior(SHAPE)
    posterior.build(FEATURES.shape)
    randomize(posterior)
    kernel, bias = (variable.numpy() for variable in posterior.trainable_variables)
    assert kernel.shape == (6, 8)
    outputs = FEATURES @ kernel + bias
    q = posterior.distribution(posterior(FEATURES))
    means = q.mean().numpy().reshape(5, *SHAPE)
    np.testing.assert_allclose(means, outputs[..., :4], rtol=1e-4, atol=1e-5)
    scales = 1e-3 + np.log1p(np.exp(outputs[..., 4:] + 0.5413248))
    received = q.stddev().numpy().reshape(5, *SHAPE)
    np.testing.assert_allclose(received, scales, rtol=1e-4)


@pytest.mark.parametrize("kind", [DeterministicPosterior, FixedScaleNormalPosterior])
def test_features_as_the_code(kind):
    posterior = kind((2, 3, 6), project=False)
    posterior.build(FEATURES.shape)
    np.testing.assert_array_equal(posterior(FEATURES), FEATURES.reshape(5, -1))
    with pytest.raises(UserError, match="projection expects 4 features, received 6"):
        kind(SHAPE, project=False).build(FEATURES.shape)


def test_config_round_trip():
    posterior = NormalPosterior(SHAPE)
    copy = NormalPosterior.from_config(posterior.get_config())
    assert copy.map_shape == SHAPE and copy.latent_size == 24
    assert repr(copy) == "NormalPosterior(latent_size=(2, 3, 4))"


@pytest.mark.parametrize("shape", [(5, 6), (5, 3, 2, 6), (5, 2, 3)])
def test_features_of_another_shape(shape):
    with pytest.raises(UserError, match="features of shape .2, 3, channels., received"):
        NormalPosterior(SHAPE).build(shape)


def test_a_posterior_of_vectors_alone():
    with pytest.raises(UserError, match="InverseAutoregressivePosterior expects codes"):
        InverseAutoregressivePosterior(SHAPE)

import numpy as np
import pytest

from tests.conftest import randomize
from tfp_priors.errors import UserError
from tfp_priors.posteriors import DeterministicPosterior
from tfp_priors.posteriors import FixedScaleNormalPosterior
from tfp_priors.posteriors import NormalPosterior

FEATURES = np.random.RandomState(0).randn(5, 6).astype(np.float32)


@pytest.mark.parametrize(
    "posterior",
    [DeterministicPosterior(3), FixedScaleNormalPosterior(3), NormalPosterior(3)],
    ids=lambda posterior: type(posterior).__name__,
)
def test_contract(posterior):
    distribution = posterior.distribution(posterior(FEATURES))
    assert distribution.batch_shape == (5,)
    assert distribution.event_shape == (3,)
    copy = type(posterior).from_config(posterior.get_config())
    assert copy.get_config() == posterior.get_config()
    log_prob = distribution.log_prob(distribution.mean() + 0.01)
    assert np.isfinite(log_prob).all() == posterior.has_density


def test_scales():
    normal = NormalPosterior(3, scale_floor=0.5)
    parameters = np.array([[0.0] * 3 + [-100.0, 0.0, 2.0]], np.float32)
    scale = normal.distribution(parameters).stddev().numpy()[0]
    assert scale[0] == 0.5
    np.testing.assert_allclose(scale[1], 1.5, rtol=1e-5)
    fixed = FixedScaleNormalPosterior(3, scale=0.2)
    np.testing.assert_allclose(fixed.distribution(np.zeros((1, 3), "f")).stddev(), 0.2)


def test_deterministic_sample_is_the_head():
    posterior = DeterministicPosterior(3)
    parameters = posterior(FEATURES)
    randomize(posterior)
    parameters = posterior(FEATURES)
    sample = posterior.distribution(parameters).sample(seed=[1, 2])
    np.testing.assert_array_equal(sample, parameters)


@pytest.mark.parametrize(
    "make",
    [
        lambda: NormalPosterior(0),
        lambda: NormalPosterior(2, scale_floor=0.0),
        lambda: FixedScaleNormalPosterior(2, scale=-1.0),
    ],
)
def test_bad_arguments(make):
    with pytest.raises(UserError, match="expects"):
        make()

import numpy as np
import pytest
import scipy.stats

from tfp_priors.errors import UserError
from tfp_priors.latent_space import average_log_density
from tfp_priors.latent_space import path_log_density
from tfp_priors.latent_space import z_path


@pytest.mark.parametrize("seed", range(3))
def test_density_of_a_correlated_normal(seed):
    random = np.random.RandomState(seed)
    covariance = np.cov(random.randn(3, 10))
    normal = scipy.stats.multivariate_normal(np.ones(3), covariance)
    path = random.randn(6, 4, 3)
    log_density = path_log_density(path, normal.logpdf)
    assert log_density.shape == (6, 4)
    for i in range(6):
        for j in range(4):
            assert log_density[i, j] == pytest.approx(normal.logpdf(path[i, j]))


def test_average_in_closed_form():
    # z from -1 to 1 in 5 steps: the mean of z^2 is (1 + 1/4 + 0 + 1/4 + 1) / 5.
    path = z_path([[-1.0], [0.0]], [[1.0], [0.0]], 5)
    log_density = path_log_density(path, lambda z: scipy.stats.norm.logpdf(z).sum(-1))
    constant = -0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(
        average_log_density(log_density), [constant - 0.25, constant]
    )


def test_bad_input():
    with pytest.raises(UserError, match="shape .steps, n, d., received .* \\(5, 2\\)"):
        path_log_density(np.zeros([5, 2]), lambda z: z[:, 0])
    with pytest.raises(UserError, match="each of 10 codes, received shape \\(10, 3\\)"):
        path_log_density(np.zeros([5, 2, 3]), lambda z: z)

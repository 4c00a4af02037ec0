import numpy as np
import pytest

from tfp_priors.errors import UserError
from tfp_priors.latent_space import principal_plane


def test_the_plane_is_that_of_the_singular_value_decomposition():
    random = np.random.RandomState(0)
    codes = random.randn(200, 4) * [0.1, 3.0, 0.2, 1.0] + 10
    others = random.randn(5, 4)
    plane = principal_plane(codes)
    _, values, components = np.linalg.svd(codes - codes.mean(0))
    shares = values**2 / np.sum(values**2)
    np.testing.assert_allclose(plane.explained_variance_ratio_, shares[:2])
    expected = (others - codes.mean(0)) @ components[:2].T
    received = plane.transform(others)
    # Signs are free.
    np.testing.assert_allclose(np.abs(received), np.abs(expected), rtol=1e-6)


@pytest.mark.parametrize("shape", [(10, 1), (1, 3)])
def test_codes_without_a_plane(shape):
    with pytest.raises(UserError, match="2 dimensions and 2 codes at least, received"):
        principal_plane(np.zeros(shape))

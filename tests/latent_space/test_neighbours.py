import numpy as np
import pytest
import scipy.spatial

from tfp_priors.errors import UserError
from tfp_priors.latent_space import nearest_neighbours


# scikit-learn searches a tree in few dimensions, all pairs in many.
@pytest.mark.parametrize("size", [2, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neighbours_against_all_distances(size, dtype):
    random = np.random.RandomState(0)
    samples = random.randn(50, size).astype(dtype)
    points = random.randn(300, size).astype(dtype)
    distances, indices = nearest_neighbours(samples, points, k=4)
    every = scipy.spatial.distance.cdist(samples, points)
    np.testing.assert_array_equal(indices, np.argsort(every, axis=1)[:, :4])
    assert distances.dtype == np.float64
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :4], rtol=1e-12)


def test_images_are_flattened():
    images = np.random.RandomState(0).randint(0, 256, [30, 4, 4, 3], np.uint8)
    distances, indices = nearest_neighbours(images[::-1], images, k=2)
    np.testing.assert_array_equal(indices[:, 0], np.arange(30)[::-1])
    # Equal images are at distance 0, not at a rounding error from it.
    np.testing.assert_array_equal(distances[:, 0], 0.0)
    assert np.all(distances[:, 1] > 0)


def test_bad_input():
    a, b = np.random.RandomState(0).randn(2, 10, 3)
    for k in (0, 11):
        with pytest.raises(UserError, match=f"number of points, 10, received {k}"):
            nearest_neighbours(a, b, k)
    with pytest.raises(UserError, match="rows of one shape, .* \\(10, 2\\)"):
        nearest_neighbours(a, b[:, :2])

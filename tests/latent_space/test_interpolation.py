import numpy as np
import pytest
import scipy.spatial

from tfp_priors.errors import UserError
from tfp_priors.latent_space import lerp
from tfp_priors.latent_space import slerp

SEEDS = range(5)
T = np.linspace(0.0, 1.0, 11)


def angles(a, b):
    cosine = np.sum(a * b, -1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return np.arccos(np.clip(cosine, -1.0, 1.0))


def test_lerp_by_hand():
    path = lerp([0.0, 1.0], [[4.0, 1.0], [0.0, -1.0]], [0.0, 0.25, 1.0])
    expected = [[[0, 1], [0, 1]], [[1, 1], [0, 0.5]], [[4, 1], [0, -1]]]
    np.testing.assert_array_equal(path, expected)


@pytest.mark.parametrize("function", [lerp, slerp])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", SEEDS)
def test_ends_are_exact(function, dtype, seed):
    random = np.random.RandomState(seed)
    a, b = random.randn(2, 20, 3).astype(dtype)
    a[0] = -b[0]
    a[1] = -2 * b[1]
    a[2] = b[2]
    a[3] = 0
    path = function(a, b, T)
    assert path.shape == (11, 20, 3) and path.dtype == dtype
    np.testing.assert_array_equal(path[0], a)
    np.testing.assert_array_equal(path[-1], b)


@pytest.mark.parametrize("function", [lerp, slerp])
def test_reversed_path_is_the_path_back(function):
    a, b = np.random.RandomState(0).randn(2, 20, 3)
    back = function(b, a, 1 - T)
    np.testing.assert_allclose(function(a, b, T), back, atol=1e-14)


@pytest.mark.parametrize("size", [2, 3, 64])
@pytest.mark.parametrize("seed", SEEDS)
def test_slerp_against_scipy(size, seed):
    ends = np.random.RandomState(seed).randn(2, size)
    a, b = ends / np.linalg.norm(ends, axis=1, keepdims=True)
    twin = scipy.spatial.geometric_slerp(a, b, T)
    np.testing.assert_allclose(slerp(a, b, T), twin, atol=1e-12)
    np.testing.assert_allclose(slerp(3 * a, 3 * b, T), 3 * twin, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_slerp_of_unequal_norms_by_the_formula(seed):
    a, b = np.random.RandomState(seed).randn(2, 30, 8)
    angle = angles(a, b)[:, None]
    t = T[:, None, None]
    formula = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    np.testing.assert_allclose(slerp(a, b, T), formula, atol=1e-12)


def test_slerp_by_hand():
    quarter = np.sqrt(0.5)
    path = slerp([2.0, 0.0], [0.0, 2.0], [0.0, 0.5, 1.0])
    np.testing.assert_allclose(path[1], [2 * quarter, 2 * quarter], rtol=1e-15)
    path = slerp([1.0, 0.0], [0.0, 3.0], [0.5])
    np.testing.assert_allclose(path[0], [quarter, 3 * quarter], rtol=1e-15)


# From nearly equal to nearly opposite: no jump where the formula divides 0 by 0.
@pytest.mark.parametrize("gap", [0.0, 1e-300, 1e-12, 1e-8, 1e-4, 1.0, 3.0, 3.1415])
def test_equal_norms_are_kept_and_the_angle_grows_evenly(gap):
    a = np.array([0.6, 0.8, 0.0])
    b = np.cos(gap) * a + np.sin(gap) * np.array([0.0, 0.0, 1.0])
    path = slerp(5 * a, 5 * b, T)
    np.testing.assert_allclose(np.linalg.norm(path, axis=-1), 5.0, rtol=1e-10)
    np.testing.assert_allclose(path[:, 2], 5 * np.sin(T * gap), rtol=1e-10, atol=1e-300)


def test_nearly_equal_directions_are_joined_by_lerp():
    a = np.random.RandomState(0).randn(8)
    b = 2 * a + 1e-9
    np.testing.assert_allclose(slerp(a, b, T), lerp(a, b, T), rtol=1e-12)
    np.testing.assert_allclose(slerp(a, a, T), lerp(a, a, T), rtol=1e-15)


def test_lerp_where_there_is_no_circle():
    random = np.random.RandomState(0)
    a, b = random.randn(2, 5, 4)
    a[:2] = 0
    b[1:3] = 0
    b[3] = -2 * a[3]
    path = slerp(a, b, T)
    np.testing.assert_array_equal(path[:, :4], lerp(a, b, T)[:, :4])
    assert np.all(np.linalg.norm(path - lerp(a, b, T), axis=-1)[1:-1, 4:] > 0.01)
    one = slerp([[1.0], [1.0]], [[-2.0], [3.0]], T)
    np.testing.assert_array_equal(one, lerp([[1.0], [1.0]], [[-2.0], [3.0]], T))


def test_broadcasting_and_integers():
    a, b = np.array([3, 4]), np.array([[[4, 3]], [[0, 5]]])
    path = slerp(a, b, T)
    assert path.shape == (11, 2, 1, 2) and path.dtype == np.float64
    np.testing.assert_allclose(path[:, 1, 0], slerp(a, b[1, 0], T))


@pytest.mark.parametrize("function", [lerp, slerp])
def test_bad_input(function):
    for a, b in (([1.0], [1.0, 2.0]), (np.ones([2, 3]), np.ones([4, 3])), (1.0, 2.0)):
        with pytest.raises(UserError, match="vectors of one size, .* received shapes"):
            function(a, b, T)
    with pytest.raises(UserError, match="t must have shape .* \\(\\)"):
        function([1.0], [2.0], 0.5)

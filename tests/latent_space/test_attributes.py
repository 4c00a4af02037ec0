import numpy as np
import pytest

from tfp_priors.errors import UserError
from tfp_priors.latent_space import attribute_vector
from tfp_priors.latent_space import median_unevenness
from tfp_priors.latent_space import rate_of_change
from tfp_priors.latent_space import unevenness


def test_attribute_vector_by_hand():
    codes = np.array([[1, 0], [3, 4], [0, 1], [0, 3], [6, 2]], np.float32)
    has = np.array([True, True, False, False, False])
    vector = attribute_vector(codes, has)
    np.testing.assert_array_equal(vector, [2 - 2, 2 - 2])
    np.testing.assert_array_equal(
        attribute_vector(codes, [1, 0, 0, 0, 0]), [1 - 9 / 4, 0 - 10 / 4]
    )
    assert vector.dtype == np.float64


@pytest.mark.parametrize("seed", range(3))
def test_attribute_vector_finds_the_shift(seed):
    random = np.random.RandomState(seed)
    has = random.rand(4000) < 0.1
    shift = np.array([2.0, -1.0, 0.0])
    codes = random.randn(4000, 3) + has[:, None] * shift
    # About 400 codes with the attribute: a standard error of 0.05 per dimension.
    np.testing.assert_allclose(attribute_vector(codes, has), shift, atol=0.25)
    np.testing.assert_allclose(
        attribute_vector(codes, ~has), -attribute_vector(codes, has)
    )


def test_rate_by_hand():
    t = [0.0, 0.25, 1.0]
    rates = rate_of_change(t, [[0.0, 1.0, -2.0], [5.0, 5.0, 5.75]])
    np.testing.assert_array_equal(rates, [[4, 4], [0, 1]])


@pytest.mark.parametrize("steps", [2, 5, 21])
def test_unevenness_in_closed_form(steps):
    t = np.linspace(0, 1, steps)
    jump = (t > 0.9).astype(float)
    values = unevenness(t, [3 * t - 1, jump, 1 - 5 * jump])
    # Of k rates, one is not 0: variance (k - 1) / k^2, mean 1 / k.
    np.testing.assert_allclose(values, [0, steps - 2, steps - 2], atol=1e-12)


def test_unevenness_of_a_parabola():
    # The rate of t^2 is 2 t: variance 4 / 12, mean 1, up to the spacing squared.
    t = np.linspace(0, 1, 1001)
    assert unevenness(t, t**2) == pytest.approx(1 / 3, rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_unevenness_knows_no_units_and_no_points(seed):
    random = np.random.RandomState(seed)
    t = np.sort(random.rand(8))
    values = random.randn(4, 8)
    expected = unevenness(t, values)
    np.testing.assert_allclose(unevenness(3 * t - 1, 2 - 7 * values), expected)
    # A point more on a straight piece changes nothing, since pieces weigh by length.
    middle = (t[2] + t[3]) / 2
    finer = [np.interp(middle, t, row) for row in values]
    np.testing.assert_allclose(
        unevenness(np.insert(t, 3, middle), np.insert(values, 3, finer, axis=1)),
        expected,
    )


def test_no_change_has_no_unevenness():
    t = np.linspace(0, 1, 5)
    values = unevenness(t, np.stack([np.full(5, 0.3), t]))
    assert np.isnan(values[0]) and values[1] == pytest.approx(0, abs=1e-12)
    assert np.isnan(unevenness(t, np.zeros(5)))
    assert unevenness(t, 1e-300 * t) == pytest.approx(0, abs=1e-12)


def test_the_median_is_of_the_paths_that_change():
    t = np.linspace(0, 1, 5)
    jump = np.array([0.0, 0, 0, 0, 1])
    # 0, 3, 3 and none.
    assert median_unevenness(t, np.stack([t, jump, jump, 0 * t])) == 3.0
    assert np.isnan(median_unevenness(t, np.zeros([2, 5])))


def test_bad_input():
    codes = np.random.RandomState(0).randn(4, 2)
    with pytest.raises(UserError, match="each of 4 codes, received shape \\(3,\\)"):
        attribute_vector(codes, [True, False, True])
    with pytest.raises(UserError, match="received 0 with and 4 without"):
        attribute_vector(codes, [False] * 4)
    with pytest.raises(UserError, match="received 4 with and 0 without"):
        attribute_vector(codes, [1] * 4)
    with pytest.raises(UserError, match="codes must be finite"):
        attribute_vector(codes * np.nan, [1, 0, 0, 0])
    for function in (rate_of_change, unevenness):
        for t in ([0.0], [0.0, 0.0], [1.0, 0.0], [[0.0, 1.0]]):
            with pytest.raises(UserError, match="at least 2 ascending values"):
                function(t, [0.0, 1.0])
        with pytest.raises(UserError, match="values must have shape .*3.* \\(2, 4\\)"):
            function([0.0, 0.5, 1.0], np.zeros([2, 4]))

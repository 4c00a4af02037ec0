import numpy as np
import pytest
import scipy.spatial

from tfp_priors.errors import UserError
from tfp_priors.latent_space import z0_path
from tfp_priors.latent_space import z_path


class AffineFlow:
    """z = z0 @ matrix + shift, made by hand."""

    def __init__(self, seed=0, size=3):
        random = np.random.RandomState(seed)
        self.matrix = np.eye(size) + 0.3 * random.randn(size, size)
        self.shift = random.randn(size)

    def from_base(self, z0):
        assert z0.ndim == 2
        return z0 @ self.matrix + self.shift

    def to_base(self, z):
        assert z.ndim == 2
        return np.linalg.solve(self.matrix.T, (z - self.shift).T).T


def test_z_path_is_straight():
    a, b = np.random.RandomState(0).randn(2, 5, 3)
    path = z_path(a, b, 5)
    assert path.shape == (5, 5, 3)
    np.testing.assert_array_equal(path[[0, -1]], [a, b])
    np.testing.assert_allclose(path[2], (a + b) / 2)
    np.testing.assert_allclose(path[1], 0.75 * a + 0.25 * b)


@pytest.mark.parametrize("seed", range(5))
def test_z0_path_of_an_affine_flow(seed):
    flow = AffineFlow(seed)
    ends = np.random.RandomState(seed).randn(2, 3)
    unit_a, unit_b = ends / np.linalg.norm(ends, axis=1, keepdims=True)
    circle = scipy.spatial.geometric_slerp(unit_a, unit_b, np.linspace(0, 1, 7))
    a, b = flow.from_base(2 * np.stack([unit_a, unit_b]))
    path = z0_path(a, b, 7, flow.to_base, flow.from_base)
    np.testing.assert_allclose(path, 2 * circle @ flow.matrix + flow.shift, atol=1e-12)
    np.testing.assert_allclose(path[[0, -1]], [a, b], atol=1e-13)


def test_single_batched_and_broadcast_ends_agree():
    flow = AffineFlow()
    a, b = np.random.RandomState(1).randn(2, 4, 3)
    batched = z0_path(a, b, 6, flow.to_base, flow.from_base)
    assert batched.shape == (6, 4, 3)
    for i in range(4):
        single = z0_path(a[i], b[i], 6, flow.to_base, flow.from_base)
        assert single.shape == (6, 3)
        np.testing.assert_allclose(batched[:, i], single, atol=1e-14)
    fan = z0_path(a[0], b, 6, flow.to_base, flow.from_base)
    repeated = z0_path(np.tile(a[0], [4, 1]), b, 6, flow.to_base, flow.from_base)
    np.testing.assert_array_equal(fan, repeated)


def test_identity_flow_keeps_the_norm():
    a, b = np.random.RandomState(2).randn(2, 10, 64).astype(np.float32)
    b *= np.linalg.norm(a, axis=1, keepdims=True) / np.linalg.norm(
        b, axis=1, keepdims=True
    )
    path = z0_path(a, b, 9, lambda z: z, lambda z0: z0)
    assert path.dtype == np.float32
    norms = np.linalg.norm(path, axis=-1)
    np.testing.assert_allclose(norms, norms[:1].repeat(9, 0), rtol=1e-5)
    straight = np.linalg.norm(z_path(a, b, 9), axis=-1)
    assert np.all(straight[4] < 0.9 * norms[4])


def test_bad_input():
    with pytest.raises(UserError, match="at least 2 steps, .* received 1"):
        z_path([1.0], [2.0], 1)
    with pytest.raises(UserError, match="at least 2 steps, .* received 0"):
        z0_path([1.0], [2.0], 0, lambda z: z, lambda z: z)
    with pytest.raises(UserError, match="vectors of one size"):
        z0_path([1.0], [2.0, 3.0], 3, lambda z: z, lambda z: z)

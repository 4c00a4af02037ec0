import numpy as np
import pytest
import scipy.spatial

from tfp_priors.errors import UserError
from tfp_priors.latent_space import paths_between


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


def test_the_path_in_z_is_straight():
    a, b = np.random.RandomState(0).randn(2, 5, 3)
    found = paths_between(a, b, np.linspace(0, 1, 5))
    assert list(found) == ["z"]
    path = found["z"]
    assert path.shape == (5, 5, 3)
    np.testing.assert_array_equal(path[[0, -1]], [a, b])
    np.testing.assert_allclose(path[2], (a + b) / 2)
    np.testing.assert_allclose(path[1], 0.75 * a + 0.25 * b)


@pytest.mark.parametrize("seed", range(5))
def test_the_path_in_z0_of_an_affine_flow(seed):
    flow = AffineFlow(seed)
    ends = np.random.RandomState(seed).randn(2, 3)
    unit_a, unit_b = ends / np.linalg.norm(ends, axis=1, keepdims=True)
    t = np.linspace(0, 1, 7)
    circle = scipy.spatial.geometric_slerp(unit_a, unit_b, t)
    a, b = flow.from_base(2 * np.stack([unit_a, unit_b]))
    path = paths_between(a, b, t, flow.to_base, flow.from_base)["z0"]
    np.testing.assert_allclose(path, 2 * circle @ flow.matrix + flow.shift, atol=1e-12)
    np.testing.assert_allclose(path[[0, -1]], [a, b], atol=1e-13)


def test_single_and_batched_ends_agree():
    flow = AffineFlow()
    a, b = np.random.RandomState(1).randn(2, 4, 3)
    maps = np.linspace(0, 1, 6), flow.to_base, flow.from_base
    batched = paths_between(a, b, *maps)
    assert list(batched) == ["z0", "z"]
    for space, paths in batched.items():
        assert paths.shape == (6, 4, 3)
        for i in range(4):
            single = paths_between(a[i], b[i], *maps)[space]
            assert single.shape == (6, 3)
            np.testing.assert_allclose(paths[:, i], single, atol=1e-14)


def test_identity_flow_keeps_the_norm():
    a, b = np.random.RandomState(2).randn(2, 10, 64).astype(np.float32)
    b *= np.linalg.norm(a, axis=1, keepdims=True) / np.linalg.norm(
        b, axis=1, keepdims=True
    )
    found = paths_between(a, b, np.linspace(0, 1, 9), lambda z: z, lambda z0: z0)
    assert found["z0"].dtype == found["z"].dtype == np.float32
    norms = np.linalg.norm(found["z0"], axis=-1)
    np.testing.assert_allclose(norms, norms[:1].repeat(9, 0), rtol=1e-5)
    straight = np.linalg.norm(found["z"], axis=-1)
    assert np.all(straight[4] < 0.9 * norms[4])


def test_bad_input():
    with pytest.raises(UserError, match="vectors of one size"):
        paths_between([1.0], [2.0, 3.0], [0.5], lambda z: z, lambda z: z)
    with pytest.raises(UserError, match=r"t must have shape \[steps\]"):
        paths_between([1.0], [2.0], 0.5)

import numpy as np
import pytest

from tests.figures.files import numbers
from tests.figures.files import saved
from tfp_priors.errors import UserError
from tfp_priors.figures.code_paths import save_code_paths


def paths_of(size):
    random = np.random.RandomState(1)
    paths = {"z": random.randn(5, size), "z0": random.randn(9, size)}
    return paths, {"z": -(np.arange(5.0) ** 2), "z0": np.arange(9.0) ** 2}


@pytest.mark.parametrize("labelled", [False, True])
def test_two_dimensions_are_shown_as_they_are(tmp_path, labelled):
    codes = np.random.RandomState(0).randn(200, 2)
    labels = np.arange(200) % 12 if labelled else None
    paths, densities = paths_of(2)
    pixels, columns = saved(
        tmp_path,
        lambda path: save_code_paths(codes, paths, densities, path, labels),
    )
    assert pixels.shape == (440, 990, 3)
    assert columns["path"] == ["z"] * 5 + ["z0"] * 9
    t = np.r_[np.linspace(0, 1, 5), np.linspace(0, 1, 9)]
    np.testing.assert_allclose(numbers(columns["t"]), t, rtol=1e-5)
    xy = np.stack([numbers(columns["x"]), numbers(columns["y"])], axis=1)
    np.testing.assert_allclose(xy, np.r_[paths["z"], paths["z0"]], rtol=1e-5)
    np.testing.assert_allclose(
        numbers(columns["log_density"]), np.r_[densities["z"], densities["z0"]], 1e-5
    )
    # Texts are paths, with what they say in comments.
    texts = (tmp_path / "first" / "beta0.5.svg").read_text(encoding="utf-8")
    assert "z: mean \N{MINUS SIGN}6.0 nats" in texts and "z0: mean 22.7 nats" in texts
    # The first path is black, the second red.
    red = (pixels[..., 0] > 180) & (pixels[..., 1:] < 80).all(-1)
    assert red[:, :495].sum() > 100 and red[:, 495:].sum() > 100


@pytest.mark.parametrize("seed", range(3))
def test_principal_components(tmp_path, seed):
    random = np.random.RandomState(seed)
    scales = np.array([0.1, 3.0, 0.2, 1.0, 0.1])
    rotation = np.linalg.qr(random.randn(5, 5))[0]
    codes = (scales * random.randn(500, 5)) @ rotation + 10
    paths, densities = paths_of(5)
    _, columns = saved(
        tmp_path, lambda path: save_code_paths(codes, paths, densities, path)
    )
    # A twin by the singular value decomposition; signs are free.
    _, _, components = np.linalg.svd(codes - codes.mean(0))
    twin = (np.r_[paths["z"], paths["z0"]] - codes.mean(0)) @ components[:2].T
    for name, values in zip("xy", twin.T, strict=True):
        written = numbers(columns[name])
        values = values * np.sign(values @ written)
        np.testing.assert_allclose(written, values, rtol=1e-5, atol=1e-5)


def test_a_file_of_many_codes_is_small(tmp_path):
    codes = np.random.RandomState(0).randn(20000, 3)
    save_code_paths(codes, *paths_of(3), tmp_path / "a", np.arange(20000) % 10)
    assert (tmp_path / "a.svg").stat().st_size < 2e6


def test_bad_input(tmp_path):
    codes = np.zeros([10, 1])
    with pytest.raises(
        UserError, match="2 dimensions and 2 codes at least, .*\\(10, 1"
    ):
        save_code_paths(codes, *paths_of(1), tmp_path / "a")
    assert not list(tmp_path.iterdir())

import numpy as np
import pytest

from tests.figures.files import numbers
from tests.figures.files import saved
from tfp_priors.errors import UserError
from tfp_priors.figures import code_scatter
from tfp_priors.figures.code_scatter import save_code_scatter


@pytest.mark.parametrize("size", [2, 5])
def test_points_are_principal_components_of_the_codes(tmp_path, size):
    random = np.random.RandomState(size)
    scales = np.array([0.1, 3.0, 0.2, 1.0, 0.1])[:size]
    rotation = np.linalg.qr(random.randn(size, size))[0]
    codes = (scales * random.randn(500, size)) @ rotation + 10
    # Draws of another shape and another mean, which do not turn the plane.
    draws = 5 * random.randn(60, size) - 10
    pixels, columns = saved(
        tmp_path, lambda path: save_code_scatter(codes, draws, path)
    )
    assert pixels.shape == (462, 880, 3)
    assert list(columns) == ["kind", "component_1", "component_2"]
    assert columns["kind"] == ["code"] * 500 + ["draw"] * 60
    # A twin by the singular value decomposition; signs are free.
    _, _, components = np.linalg.svd(codes - codes.mean(0))
    twin = (np.r_[codes, draws] - codes.mean(0)) @ components[:2].T
    for name, values in zip(("component_1", "component_2"), twin.T, strict=True):
        written = numbers(columns[name])
        values = values * np.sign(values @ written)
        np.testing.assert_allclose(written, values, rtol=1e-4, atol=1e-5)


def test_two_panels_of_one_scale_say_what_the_plane_leaves_out(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(code_scatter, "save_figure", lambda f, path: figures.append(f))
    # Variances 9, 4, 2 and 1 along the axes, of which the plane has 13 of 16.
    codes = np.concatenate([np.eye(4), -np.eye(4)]) * np.sqrt([9, 4, 2, 1])
    draws = codes[:3] + 20
    save_code_scatter(codes, draws, tmp_path / "a")
    (figure,) = figures
    assert figure.get_suptitle() == "The plane has 81% of the codes' variance"
    assert [axes.get_title() for axes in figure.axes] == ["codes", "draws"]
    limits = [(*axes.get_xlim(), *axes.get_ylim()) for axes in figure.axes]
    assert limits[0] == limits[1]
    of_codes, of_draws = (axes.collections[0].get_offsets() for axes in figure.axes)
    np.testing.assert_allclose(np.abs(of_codes), np.abs(codes[:, :2]), atol=1e-12)
    assert of_draws.shape == (3, 2)


def test_a_file_of_many_codes_is_small(tmp_path):
    codes = np.random.RandomState(0).randn(2, 5000, 3)
    save_code_scatter(*codes, tmp_path / "a")
    assert (tmp_path / "a.svg").stat().st_size < 2e6


@pytest.mark.parametrize("shape", [(10, 1), (1, 3)])
def test_codes_without_a_plane(tmp_path, shape):
    codes = np.zeros(shape)
    with pytest.raises(UserError, match="2 dimensions and 2 codes at least") as refused:
        save_code_scatter(codes, codes, tmp_path / "a")
    message = str(refused.value)
    assert f"received codes of shape {shape}" in message and "\n" not in message
    assert not list(tmp_path.iterdir())

import numpy as np

from tests.figures.files import numbers
from tests.figures.files import saved
from tfp_priors.figures.latent_panels import save_latent_panels


def test_panels_and_numbers(tmp_path):
    random = np.random.RandomState(0)
    base_codes, codes = random.randn(2, 100, 2).astype(np.float32)
    draws = random.randn(60, 2)
    labels = np.arange(100) % 10
    pixels, columns = saved(
        tmp_path,
        lambda path: save_latent_panels(base_codes, codes, draws, labels, path),
    )
    assert pixels.shape == (429, 1540, 3)
    # Grey values and those of ten classes.
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    assert columns["kind"] == ["code"] * 100 + ["draw"] * 60
    assert columns["label"] == [str(i % 10) for i in range(100)] + [""] * 60
    z = np.stack([numbers(columns["z_1"]), numbers(columns["z_2"])], axis=1)
    np.testing.assert_allclose(z, np.r_[codes, draws], rtol=1e-4)
    z0 = np.stack([numbers(columns["z0_1"]), numbers(columns["z0_2"])], axis=1)
    np.testing.assert_allclose(z0[:100], base_codes, rtol=1e-4)
    assert np.isnan(z0[100:]).all()


def test_no_base_codes(tmp_path):
    codes = np.random.RandomState(0).randn(30, 2)
    # One is inside, one beyond the codes to the right alone, one by both axes.
    draws = np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]])
    _, columns = saved(
        tmp_path,
        lambda path: save_latent_panels(None, codes, draws, ["cat", "dog"] * 15, path),
    )
    # Texts are paths, with what they say in comments.
    texts = (tmp_path / "first" / "beta0.5.svg").read_text(encoding="utf-8")
    assert "(d) prior draws (66.7% outside)" in texts
    assert columns["label"][:2] == ["cat", "dog"]
    assert set(columns["z0_1"]) == set(columns["z0_2"]) == {""}


def test_files_of_a_whole_test_set_are_small(tmp_path):
    random = np.random.RandomState(0)
    base_codes, codes, draws = 20 * random.randn(3, 10000, 2)
    labels = random.randint(0, 10, 10000)
    save_latent_panels(base_codes, codes, draws, labels, tmp_path / "a")
    sizes = {path.suffix: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes[".svg"] < 2e6
    assert sizes[".png"] < 1e6
    assert sizes[".csv"] < 1.2e6

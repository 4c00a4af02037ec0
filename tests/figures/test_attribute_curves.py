import numpy as np
import pytest

from tests.figures.files import numbers
from tests.figures.files import saved
from tfp_priors.errors import UserError
from tfp_priors.figures import attribute_curves
from tfp_priors.figures.attribute_curves import save_attribute_curves


def test_curves_by_hand(tmp_path):
    t = np.array([0.0, 0.5, 1.0])
    probabilities = {
        "z": np.array([[0.0, 0.5, 1.0], [0.2, 0.4, 0.6], [0.4, 0.3, 0.2]]),
        "z0": np.array([[0.0, 0.0, 1.0]]),
    }
    pixels, columns = saved(
        tmp_path, lambda path: save_attribute_curves(t, probabilities, path)
    )
    assert pixels.shape == (429, 990, 3)
    assert columns == {
        "path": ["z"] * 3 + ["z0"] * 3,
        "t": ["0", "0.5", "1"] * 2,
        "mean": ["0.2", "0.4", "0.6", "0", "0", "1"],
        # Of three numbers, the quartiles are half way to the middle one.
        "lower_quartile": ["0.1", "0.35", "0.4", "0", "0", "1"],
        "upper_quartile": ["0.3", "0.45", "0.8", "0", "0", "1"],
        # (1 + 0.4 + 0.2) / 3: what falls changes, too.
        "rate": ["0.533333", "0.533333", "", "0", "2", ""],
    }


def test_legend_has_the_median_of_the_paths_that_change(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(attribute_curves, "save_figure", lambda f, _: figures.append(f))
    t = np.linspace(0, 1, 5)
    jump = np.array([0.0, 0, 0, 0, 1])
    probabilities = {
        # Unevenness 0, 3, 3 and none.
        "mixed": np.stack([t, jump, jump, np.full(5, 0.5)]),
        "still": np.full([2, 5], 0.1),
    }
    save_attribute_curves(t, probabilities, tmp_path / "a")
    texts = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert texts == ["mixed: median unevenness 3.00", "still: median unevenness nan"]


@pytest.mark.parametrize("seed", range(3))
def test_numbers_of_uneven_spacing(tmp_path, seed):
    random = np.random.RandomState(seed)
    t = np.sort(random.rand(6))
    values = random.rand(50, 6).astype(np.float32)
    _, columns = saved(
        tmp_path, lambda path: save_attribute_curves(t, {"a": values}, path)
    )
    rates = [
        np.mean(np.abs(values[:, i + 1] - values[:, i])) / (t[i + 1] - t[i])
        for i in range(5)
    ]
    np.testing.assert_allclose(numbers(columns["rate"])[:5], rates, rtol=1e-4)
    for name, share in (("lower_quartile", 25), ("upper_quartile", 75)):
        expected = np.percentile(values, share, axis=0)
        np.testing.assert_allclose(numbers(columns[name]), expected, rtol=1e-5)


def test_bad_input(tmp_path):
    t = np.linspace(1, 0, 4)
    with pytest.raises(UserError, match="ascending"):
        save_attribute_curves(t, {"a": np.zeros([2, 4])}, tmp_path / "a")
    assert not list(tmp_path.iterdir())

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.figures.files import numbers
from tests.figures.files import saved
from tfp_priors.figures import scores
from tfp_priors.figures.scores import save_scores

ROWS = [
    # As csv.DictReader gives them; two seeds at beta = 0, one elsewhere.
    {"panel": "mnist", "line": "vae", "BETA": "1", "fid": "12", "real": "0.5"},
    {"panel": "mnist", "line": "beta", "BETA": "0", "fid": "4", "real": "0.25"},
    {"panel": "mnist", "line": "beta", "BETA": "0.01", "fid": "5", "real": ""},
    {"panel": "mnist", "line": "beta", "BETA": "0.0", "fid": "7", "real": "0.75"},
    {"panel": "cifar10", "line": "beta", "BETA": "1", "fid": "80", "real": "3"},
]
for _row, _cost in zip(ROWS, ("3", "1", "2", "2", "40"), strict=True):
    _row["reconstructions"] = _cost


def save(rows, path, score="fid", x="BETA", floor=None, reference=None):
    save_scores(rows, path, score, x, floor, reference)


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved."""
    made = []
    save_figure = scores.save_figure

    def keep(figure, path):
        made.append(figure)
        save_figure(figure, path)

    monkeypatch.setattr(scores, "save_figure", keep)
    return made


def test_means_and_deviations_by_hand(tmp_path):
    _, columns = saved(
        tmp_path,
        lambda path: save(ROWS, path, floor="real", reference="reconstructions"),
    )
    assert columns == {
        "panel": ["mnist", "mnist", "mnist", "cifar10"],
        "line": ["vae", "beta", "beta", "beta"],
        "x": ["1", "0", "0.01", "1"],
        "mean": ["12", "5.5", "5", "80"],
        # sqrt((1.5^2 + 1.5^2) / 1)
        "standard_deviation": ["", "2.12132", "", ""],
        "n": ["1", "2", "1", "1"],
        "mean_real": ["0.5", "0.5", "0.5", "3"],
        "mean_reconstructions": ["3", "1.5", "2", "40"],
    }


def test_texts_and_numbers_and_other_columns(tmp_path):
    random = np.random.RandomState(0)
    values = random.rand(2, 3, 4)
    rows = [
        {"K": 10.0**k, "line": f"prior {p}", "panel": 7, "score": np.float32(value)}
        for (p, k, _), value in np.ndenumerate(values)
    ]
    _, columns = saved(
        tmp_path,
        lambda path: save(rows, path, "score", x="K"),
    )
    assert list(columns) == ["panel", "line", "x", "mean", "standard_deviation", "n"]
    assert columns["x"] == ["1", "10", "100"] * 2
    np.testing.assert_allclose(numbers(columns["mean"]), values.mean(2).ravel(), 1e-5)
    deviations = values.std(2, ddof=1).ravel()
    np.testing.assert_allclose(numbers(columns["standard_deviation"]), deviations, 1e-5)


def test_what_is_drawn(tmp_path, figures):
    save(ROWS, tmp_path / "a", floor="real", reference="reconstructions")
    (figure,) = figures
    assert isinstance(figure, Figure)
    mnist, cifar10 = figure.axes
    assert (mnist.get_title(), cifar10.get_title()) == ("mnist", "cifar10")
    assert (mnist.get_ylabel(), mnist.get_xlabel()) == ("fid", "β")
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["vae", "beta", "reconstructions", "real images"]
    ticks = dict(
        zip(
            [text.get_text() for text in mnist.get_xticklabels()],
            mnist.get_xticks(),
            strict=True,
        )
    )
    # Decades are evenly spaced; 0 is left of them, and on the axis.
    assert list(ticks) == ["0", "0.01", "0.1", "1"]
    np.testing.assert_allclose(np.diff([ticks[n] for n in ("0.01", "0.1", "1")]), 1.0)
    assert mnist.get_xlim()[0] < ticks["0"] < ticks["0.01"]
    drawn = [np.array(line.get_xydata(), float) for line in mnist.lines]

    def is_drawn(points):
        return any(
            line.shape == np.shape(points) and np.allclose(line, points)
            for line in drawn
        )

    assert is_drawn([[ticks["1"], 12]])
    assert is_drawn([[ticks["0"], 5.5], [ticks["0.01"], 5]])
    assert is_drawn([[ticks["0"], 4], [ticks["0"], 7]])  # single seeds
    assert is_drawn([[ticks["0"], 1.5], [ticks["0.01"], 2]])  # reconstructions
    assert is_drawn([[0, 0.5], [1, 0.5]])  # real images, across the axes


@pytest.mark.parametrize("largest, scale", [(19.0, "linear"), (21.0, "log")])
def test_scale_of_the_scores(tmp_path, figures, largest, scale):
    rows = [
        {"panel": "a", "line": "m", "BETA": x, "fid": y}
        for x, y in ((0.1, 1.0), (1.0, largest))
    ]
    rows += [{"panel": "b", "line": "m", "BETA": x, "fid": 3.0} for x in (0.1, 1.0)]
    save(rows, tmp_path / "a")
    assert [axes.get_yscale() for axes in figures[0].axes] == [scale] * 2


@pytest.mark.parametrize(
    "values, ticks",
    [
        ([0.0], ["0"]),
        ([0.3], ["0.3"]),
        ([0.0, 0.5, 1.0], ["0", "0.5", "1"]),
        ([0.1, 1.0, 10.0], ["0.1", "1", "10"]),
        ([0.0, 1e-6, 1.0], ["0", "$10^{-6}$", "$10^{-4}$", "$10^{-2}$", "$10^{0}$"]),
    ],
)
def test_ticks(tmp_path, figures, values, ticks):
    rows = [{"panel": "a", "line": "m", "BETA": x, "fid": 1.0} for x in values]
    save(rows, tmp_path / "a")
    labels = figures[0].axes[0].get_xticklabels()
    assert [label.get_text() for label in labels] == ticks


def test_many_panels_and_lines(tmp_path, figures):
    rows = [
        {"panel": f"set {p}", "line": f"model {m}", "BETA": x, "fid": 1 + p + m + x}
        for p, m, x in itertools.product(range(4), range(12), (0.0, 0.1, 1.0))
    ]
    save(rows, tmp_path / "a")
    assert [axes.get_title() for axes in figures[0].axes[:4]] == [
        f"set {p}" for p in range(4)
    ]
    signs = {
        (line.get_color(), line.get_marker())
        for line in figures[0].legends[0].legend_handles
    }
    assert len(signs) == 12

import matplotlib
import numpy as np
import pytest

from tests.figures.files import saved
from tfp_priors.figures.output import save_columns
from tfp_priors.figures.output import save_figure
from tfp_priors.figures.style import new_figure


def save(path):
    with new_figure(3, 2) as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], label="a line")
        axes.fill_between([0, 1], [0, 1], hatch="/")
        axes.legend()
        save_figure(figure, path)
    save_columns({"a": [1]}, path, digits=3)


def test_files_do_not_depend_on_the_users_settings(tmp_path):
    pixels, _ = saved(tmp_path / "plain", save)
    assert pixels.shape == (220, 330, 3)
    settings = {"font.size": 30, "lines.linewidth": 9, "svg.fonttype": "none"}
    with matplotlib.rc_context(settings):
        again, _ = saved(tmp_path / "other", save)
        assert matplotlib.rcParams["font.size"] == 30
    np.testing.assert_array_equal(again, pixels)
    svgs = [tmp_path / name / "first" / "beta0.5.svg" for name in ("plain", "other")]
    assert svgs[0].read_bytes() == svgs[1].read_bytes()


def test_columns_as_given(tmp_path):
    columns = {
        "text": ["a, b", 'c "d"', ""],
        "whole": np.array([1, 2, 3]),
        "number": np.array([1 / 3, 1e-20, -np.inf]),
        "single": np.array([0.1, 123456.7, 3], np.float32),
        "gap": [None, 0.1, None],
    }
    save_columns(columns, tmp_path / "new" / "beta0.5", digits=3)
    assert (tmp_path / "new" / "beta0.5.csv").read_text() == (
        "text,whole,number,single,gap\n"
        '"a, b",1,0.333,0.1,\n'
        '"c ""d""",2,1e-20,1.23e+05,0.1\n'
        ",3,-inf,3,\n"
    )


def test_columns_of_unequal_lengths(tmp_path):
    with pytest.raises(ValueError, match="argument 2 is longer"):
        save_columns({"a": [1, 2], "b": [1, 2, 3]}, tmp_path / "x", digits=3)
    assert not list(tmp_path.iterdir())

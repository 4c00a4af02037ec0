"""The report of a sweep made by hand; NumPy gives means and deviations."""

import itertools

import numpy as np
import pytest

from tests.report import folders
from tests.report import parsed
from tfp_priors.report import page
from tfp_priors.report import sweep


def report(out, figures=None):
    root = parsed.parse(page.page(out.name, sweep.sweep_sections(out, figures)))
    parsed.assert_self_contained(root)
    return root


def grid(**axes):
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def test_table_has_the_last_numeric_axis_across_and_seeds_as_spread(tmp_path):
    axes = {"model": ["vae", "aae"], "BETA": ["1.0", "1e-2"], "seed": ["0", "1", "2"]}
    rng = np.random.default_rng(0)
    points = [(values, float(rng.normal(10, 2))) for values in grid(**axes)]
    root = report(folders.make_sweep(tmp_path / "sweep", points))

    def cell(model, beta):
        chosen = [
            value
            for values, value in points
            if (values["model"], values["BETA"]) == (model, beta)
        ]
        return np.mean(chosen), np.std(chosen, ddof=1)

    rows = parsed.tables(root)[
        "fcd10k_test, mean ± standard deviation over seed, n = 3"
    ]
    assert [row["model"] for row in rows] == ["aae", "vae"]
    for row in rows:
        # Numbers ascend.
        assert list(row) == ["model", "BETA = 1e-2", "BETA = 1.0"]
        for beta in axes["BETA"]:
            mean, deviation = cell(row["model"], beta)
            shown = [float(part) for part in row[f"BETA = {beta}"].split(" ± ")]
            assert shown == pytest.approx([mean, deviation], abs=0.05)
            assert f"{deviation:.2g}" == f"{shown[1]:.2g}"
    told = parsed.values(root)
    assert told["axis BETA"] == "1e-2, 1.0"
    assert told["axis seed"] == "0, 1, 2"
    assert told["runs"] == "12, 12 of them trained to the end"
    assert told["results"] == "12"
    assert told["fcd10k_test"].startswith("Frechet distance in the features")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1, 0.2, 0.3], "0.20 ± 0.10"),
        ([0.657, 0.658, 0.659], "0.6580 ± 0.0010"),
        ([100.0, 300.0, 800.0], "400 ± 361"),
        ([9.9, 10.1], "10.00 ± 0.14"),
        ([2.0, 2.0], "2.0000 ± 0.0000"),
    ],
)
def test_mean_has_the_digits_that_its_deviation_allows(tmp_path, values, expected):
    points = [({"seed": str(i)}, value) for i, value in enumerate(values)]
    tables = parsed.tables(report(folders.make_sweep(tmp_path / "sweep", points)))
    (row,) = next(rows for name, rows in tables.items() if "over seed" in name)
    assert row == {"metric": "fcd10k_test", "value": expected}


def test_one_run_each_has_plain_numbers(tmp_path):
    points = [(values, float(values["n"])) for values in grid(n=["2", "10"], m=["5"])]
    tables = parsed.tables(report(folders.make_sweep(tmp_path / "sweep", points)))
    assert tables["fcd10k_test, n = 1"] == [{"m": "5", "n = 2": "2", "n = 10": "10"}]


def test_unequal_numbers_of_seeds_are_told_and_gaps_are_empty(tmp_path):
    points = [
        ({"BETA": "0", "data": "a", "seed": "0"}, 1.0),
        ({"BETA": "0", "data": "a", "seed": "1"}, 3.0),
        ({"BETA": "1", "data": "b", "seed": "0"}, 5.0),
        ({"BETA": "1", "data": "b", "seed": "1"}, None),
    ]
    root = report(folders.make_sweep(tmp_path / "sweep", points))
    name = "fcd10k_test, mean ± standard deviation over seed, n in brackets"
    assert parsed.tables(root)[name] == [
        {"data": "a", "BETA = 0": "2.0 ± 1.4 (n = 2)", "BETA = 1": ""},
        {"data": "b", "BETA = 0": "", "BETA = 1": "5 (n = 1)"},
    ]
    assert parsed.values(root)["runs"] == "4, 3 of them trained to the end"


def test_grids_with_other_axes_share_a_folder(tmp_path):
    points = [({"BETA": "0"}, 1.0), ({"BETA": "1"}, 2.0), ({"model": "vae"}, 3.0)]
    root = report(folders.make_sweep(tmp_path / "sweep", points))
    assert parsed.tables(root)["fcd10k_test, n = 1"] == [
        {"model": "", "BETA = 0": "1", "BETA = 1": "2", "value": ""},
        {"model": "vae", "BETA = 0": "", "BETA = 1": "", "value": "3"},
    ]


def test_each_run_can_be_unfolded(tmp_path):
    points = [({"x": "<b>", "seed": "0"}, 2.5), ({"x": "y", "seed": "0"}, None)]
    root = report(folders.make_sweep(tmp_path / "sweep", points))
    first, second = root.all("details")
    assert next(first.all("summary")).text == "<b>_0: 100 steps"
    assert parsed.values(first) == {"x": "<b>", "seed": "0"}
    assert parsed.tables(first) == {
        "Results of <b>_0": [{"metric": "fcd10k_test", "value": "2.5", "step": "100"}]
    }
    assert "y_0: not finished, 0 steps" in second.text
    assert "No results of a finished model." in second.text


def test_environments_are_counted(tmp_path):
    points = [({"seed": str(seed)}, 1.0) for seed in range(3)]
    out = folders.make_sweep(tmp_path / "sweep", points)
    path = out / "2" / "environment.jsonl"
    path.write_text(path.read_text().replace("1a963a8", "7bc0d49"))
    told = parsed.values(report(out))
    assert told["commit"] == "1a963a8 (2 of 3 runs), 7bc0d49 (1 of 3 runs)"
    assert told["tensorflow"] == "2.21.0"
    assert told["devices"] == "/device:GPU:0, /device:GPU:1"
    assert "command" not in told


def test_pictures_or_the_command_that_makes_them(tmp_path):
    out = folders.make_sweep(tmp_path / "sweep", [({"seed": "0"}, 1.0)])
    assert f"bin/figures --sweep={out} --out=FIGURES makes them." in report(out).text
    folders.make_picture(tmp_path / "figures" / "curve.png")
    root = report(out, tmp_path / "figures")
    assert [e.attributes["alt"] for e in root.all("img")] == ["curve.png"]


def test_no_results_yet(tmp_path):
    out = folders.make_sweep(tmp_path / "sweep", [({"seed": "0"}, None)])
    assert "No results yet: the bin/sweep command of this folder" in report(out).text


def test_results_that_are_no_numbers_are_left_out(tmp_path):
    points = [({"BETA": beta}, float("nan")) for beta in ("0.0", "1.0")]
    root = report(folders.make_sweep(tmp_path / "none", points))
    assert not any("BETA = " in str(table) for table in parsed.tables(root).values())
    told = "No number came out; no mean has these: fcd10k_test of "
    assert f"{told}0.0, fcd10k_test of 1.0." in root.text
    assert "No results yet" not in root.text
    points[1] = ({"BETA": "1.0"}, 2.5)
    root = report(folders.make_sweep(tmp_path / "one", points))
    (row,) = parsed.tables(root)["fcd10k_test, n = 1"]
    assert row == {"metric": "fcd10k_test", "BETA = 1.0": "2.5"}
    assert f"{told}0.0." in root.text
    (row,) = parsed.tables(root)["Results of 0.0"]
    assert row == {"metric": "fcd10k_test", "value": "no number", "step": "100"}
    assert "nan" not in str(parsed.tables(root)).lower()


def test_a_result_need_not_name_its_metric(tmp_path):
    out = folders.make_sweep(tmp_path / "sweep", [({"BETA": "1"}, 2.5)])
    path = out / "1" / "metrics.jsonl"
    path.write_text(path.read_text().replace('"metric": "fcd10k_test", ', ""))
    (row,) = parsed.tables(report(out))["fcd10k_test, n = 1"]
    assert row == {"BETA": "1", "value": "2.5"}

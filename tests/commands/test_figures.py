"""bin/figures of one run and of several."""

import pytest

from tests import commands


@pytest.mark.slow
def test_figures_and_report_of_a_run(trained, tmp_path):
    folder, _ = trained
    flags = {"run_dir": folder / "run", "data_dir": folder / "data"}
    process = commands.run("figures", "--report", out=tmp_path, **flags)
    names = {"samples", "reconstructions", "interpolations", "code_paths"}
    names |= {"code_scatter", "neighbours"}
    expected = {
        f"{name}.{suffix}" for name in names for suffix in ("png", "svg", "csv")
    }
    assert {p.name for p in tmp_path.iterdir()} == {*expected, "report.html"}
    left_out = "labels, poses, transfers, appearances, latent_panels, attribute"
    assert f"Not for this run: {left_out}; --figures=NAME says" in process.stdout
    line = commands.refused("figures", out=tmp_path, figures="attribute", **flags)
    assert "The metric needs the classifier network: pass --classifier=RUN" in line
    line = commands.refused("figures", out=tmp_path, figures="latent_panels", **flags)
    assert "train one with LATENT_SIZE = 2" in line
    line = commands.refused("figures", out=tmp_path, figures="panels", **flags)
    assert "there is no figure 'panels': choose of samples," in line
    assert "attribute" in commands.run("figures", "--list").stdout


def test_figures_of_several_runs(trained, tmp_path):
    folder, _ = trained
    run_dirs = [folder / "run", folder / "run" / "."]
    process = commands.run(
        "figures", out=tmp_path, run_dir=run_dirs, data_dir=folder / "data"
    )
    assert "Figures in" in process.stdout
    assert (tmp_path / "models.png").exists()
    line = commands.refused("figures", "--report", out=tmp_path / "x", run_dir=run_dirs)
    assert "--report is of one run" in line and not (tmp_path / "x").exists()
    out = tmp_path / "x"
    for name, value in (("figures", "samples"), ("attribute", 1), ("classifier", "x")):
        line = commands.refused("figures", out=out, run_dir=run_dirs, **{name: value})
        assert f"--{name} is of one run: give one --run_dir" in line
    flags = {"run_dir": run_dirs[0], "figures": "samples", "attribute": 1}
    line = commands.refused("figures", out=out, **flags)
    assert "--attribute is of --figures=attribute: leave it out." in line
    line = commands.refused("figures", out=out, run_dir=run_dirs, lpips_weights="x")
    assert "no figure needs --lpips_weights: it is of bin/evaluate." in line
    flags = {"run_dir": run_dirs[0], "classifier": run_dirs[0]}
    line = commands.refused("figures", out=out, data_dir=folder / "data", **flags)
    assert "a Classifier" in line and not out.exists()

"""bin/fit_prior, from codes in a file to draws, scores, an export and a report."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tfp_priors import config
from tfp_priors.models import CodeModel
from tfp_priors.priors import FlowMatchingPrior

FLOW = {
    "gin_file": "gin/priors/flow.gin",
    "gin_param": [
        "at_rest/RealNVPPrior.couplings = 2",
        "RealNVPPrior.hidden_sizes = (8,)",
        "MixtureStandardization.components = 2",
    ],
}


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    """Codes of two classes, as maps, and their labels."""
    folder = tmp_path_factory.mktemp("codes")
    random = np.random.RandomState(0)
    labels = random.randint(0, 2, 600)
    maps = random.randn(600, 2, 1, 2) + 6.0 * labels[:, None, None, None]
    np.save(folder / "codes.npy", maps.astype(np.float32))
    np.save(folder / "labels.npy", labels)
    return folder


@pytest.fixture(scope="module")
def run(codes):
    run_dir = codes / "run"
    commands.run(
        "fit_prior",
        codes=codes / "codes.npy",
        run_dir=run_dir,
        steps=20,
        **FLOW,
    )
    return run_dir


def test_scores(run):
    out = commands.run("evaluate", run_dir=run).stdout
    values = {r["name"]: r["value"] for r in map(json.loads, out.splitlines())}
    # Two classes of 4 standard normals.
    entropy = np.log(2) + 4 * 0.5 * np.log(2 * np.pi * np.e)
    assert values["prior_nll_held_out"] == pytest.approx(entropy, abs=0.5)
    assert abs(values["prior_overfitting_held_out"]) < 0.6
    assert abs(values["two_sample_accuracy_mlp_held_out"] - 0.5) < 0.2
    assert values["sliced_wasserstein_held_out"] < 1.0


def test_draws_of_a_run_and_of_its_export(run, codes, tmp_path):
    commands.run("sample", run_dir=run, n=1500, seed=3, out=tmp_path / "a.npy")
    commands.run("export", run_dir=run, out=tmp_path / "exported")
    flags = {"n": 1500, "seed": 3, "out": tmp_path / "b.npy"}
    commands.run("sample", saved_model=tmp_path / "exported", **flags)
    draws = np.load(tmp_path / "a.npy")
    assert draws.shape == (1500, 2, 1, 2) and draws.dtype == np.float32
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), draws)
    model = tf.saved_model.load(str(tmp_path / "exported"))
    z0 = model.to_base(draws[:5])
    assert z0.shape == (5, 4) and model.log_prob(draws[:5]).shape == (5,)
    np.testing.assert_allclose(model.from_base(z0), draws[:5], atol=1e-3)


def test_the_same_command_goes_on_and_another_is_refused(run, codes):
    flags = {"run_dir": run, **FLOW}
    out = commands.run("fit_prior", codes=codes / "codes.npy", steps=30, **flags).stdout
    assert "is the best on held-out codes" in out
    np.save(codes / "others.npy", np.zeros((9, 2, 1, 2)))
    line = commands.refused("fit_prior", codes=codes / "others.npy", **flags)
    assert "load_dataset.codes" in line and "another --run_dir" in line


def test_codes_that_were_replaced_are_refused(codes, tmp_path):
    np.save(tmp_path / "codes.npy", np.load(codes / "codes.npy")[:50])
    flags = {"codes": tmp_path / "codes.npy", "run_dir": tmp_path / "run"}
    flags |= {"gin_file": "gin/priors/mixture.gin", "steps": 2}
    commands.run("fit_prior", **flags)
    np.save(tmp_path / "codes.npy", np.load(codes / "codes.npy")[50:100])
    assert "another configuration" in commands.refused("fit_prior", **flags)
    line = commands.refused("evaluate", run_dir=tmp_path / "run")
    assert "other codes than the run learned from" in line


def test_a_report(run):
    out = commands.run("figures", run_dir=run, out=run / "figures", report=True).stdout
    assert "Not for this run: samples" in out
    page = (run / "figures" / "report.html").read_text()
    assert "Codes, and draws of the prior" in page


@pytest.mark.slow
def test_a_conditional_prior(codes, tmp_path):
    files = {"codes": codes / "codes.npy", "context": codes / "labels.npy"}
    run = tmp_path / "run"
    commands.run("fit_prior", **files, run_dir=run, steps=400, **FLOW)
    line = commands.refused("sample", run_dir=run, out=tmp_path / "draws.npy")
    assert "expected --context=FILE.npy" in line
    flags = {"run_dir": run, "context": codes / "labels.npy"}
    for given, message in (
        ({"label": "1"}, "not given labels, it takes --context: leave --label"),
        ({"guidance": "2"}, "has no guidance"),
        ({"n": 3}, "labels.npy has 600 rows, a code each: leave --n out."),
    ):
        line = commands.refused("sample", out=tmp_path / "draws.npy", **flags, **given)
        assert message in line
    labels = np.repeat([0, 1], 200)
    np.save(tmp_path / "labels.npy", labels)
    flags = {"context": tmp_path / "labels.npy", "out": tmp_path / "draws.npy"}
    commands.run("sample", run_dir=run, **flags)
    draws = np.load(tmp_path / "draws.npy").reshape(400, 4)
    first, second = draws[:200].mean(0), draws[200:].mean(0)
    assert (second - first > 3.0).all()
    out = commands.run("evaluate", run_dir=run, metrics="prior_nll_held_out").stdout
    # What the label tells is known: 4 standard normals are left.
    found, entropy = json.loads(out), 2 * np.log(2 * np.pi * np.e)
    lowest = entropy - 4 * found["standard_error"]
    assert lowest < found["value"] < entropy + np.log(2)


def test_the_default_is_flow_matching_for_as_many_passes_as_a_fit(codes, tmp_path):
    flags = {"codes": codes / "codes.npy", "run_dir": tmp_path / "run"}
    params = ["FlowMatchingPrior.units = 8", "PostHoc.patience = 1.0"]
    params += ["codes/share.least = 3"]
    out = commands.run("fit_prior", gin_param=params, **flags).stdout
    passes = 80 * 540 / 512
    assert abs(int(re.search(r"^Step (\d+)\.", out)[1]) - passes) < 1
    run = config.load_run(tmp_path / "run", kind=CodeModel)
    assert isinstance(run.model.prior, FlowMatchingPrior)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixture", "spline", "maf", "flow_matching"])
def test_other_priors(name, codes, tmp_path):
    commands.run(
        "fit_prior",
        codes=codes / "codes.npy",
        gin_file=f"gin/priors/{name}.gin",
        run_dir=tmp_path / "run",
        steps=5,
    )
    out = commands.run(
        "evaluate", run_dir=tmp_path / "run", metrics="prior_nll_held_out"
    ).stdout
    assert np.isfinite(json.loads(out)["value"])


def test_few_codes_are_measured_by_what_suits_them(codes, tmp_path):
    np.save(tmp_path / "codes.npy", np.load(codes / "codes.npy")[:30])
    run = tmp_path / "run"
    flags = {"gin_file": "gin/priors/mixture.gin", "steps": 2}
    params = "GaussianMixturePrior.components = 1"
    commands.run(
        "fit_prior",
        codes=tmp_path / "codes.npy",
        run_dir=run,
        gin_param=params,
        **flags,
    )
    process = commands.run("evaluate", run_dir=run)
    found = [json.loads(line)["name"] for line in process.stdout.splitlines()]
    assert found == [
        "prior_nll_held_out",
        "prior_overfitting_held_out",
        "sliced_wasserstein_held_out",
    ]
    assert "two_sample_accuracy_mlp_held_out is left out: The mlp" in process.stderr
    line = commands.refused(
        "evaluate", run_dir=run, metrics="two_sample_accuracy_mlp_held_out"
    )
    assert "needs at least 12 codes" in line


def test_mistakes_leave_nothing(codes, tmp_path):
    run_dir = tmp_path / "run"
    assert "expected --codes=FILE.npy" in commands.refused("fit_prior")
    line = commands.refused("fit_prior", codes=tmp_path / "no.npy", run_dir=run_dir)
    assert "There is no file" in line
    (tmp_path / "link.npy").symlink_to("link.npy")
    line = commands.refused("fit_prior", codes=tmp_path / "link.npy", run_dir=run_dir)
    assert "There is no file" in line
    flags = {"codes": codes / "codes.npy", "run_dir": run_dir}
    line = commands.refused("fit_prior", context=codes / "codes.npy", steps=0, **flags)
    assert "PostHoc.steps must be at least 1" in line
    line = commands.refused("fit_prior", gin_file="gin/mnist_beta0.gin", **flags)
    assert "such as gin/priors/flow.gin, received gin/mnist_beta0.gin: bin/" in line
    assert not run_dir.exists()


def test_images_and_codes_are_not_mixed_up(run, tmp_path):
    line = commands.refused("sample", run_dir=run, out=tmp_path / "grid.png")
    assert "the prior draws codes: expected --out=FILE.npy" in line
    line = commands.refused("evaluate", run_dir=run, metrics="fcd10k_test")
    assert "no split test: take held_out" in line
    assert not Path(tmp_path / "grid.png").exists()

"""The report of a run made by hand."""

import base64
import contextlib

import numpy as np
import pytest

from tests.commands import ROOT
from tests.report import folders
from tests.report import parsed
from tfp_priors.configuration import parse
from tfp_priors.figures.style import new_figure
from tfp_priors.report import gallery
from tfp_priors.report import page
from tfp_priors.report import run

RESULTS = [
    {"name": "fcd10k_test", "metric": "fcd10k_test", "value": 9.0, "step": 2000},
    {
        "name": "fcd10k_test",
        "metric": "fcd10k_test",
        "value": 3.875063347,
        "reconstructions": 2.358494571,
        "floor": 0.192440024,
        "step": 4000,
    },
    {
        "name": "recall_classifier10k_test",
        "metric": "prdc_classifier10k_test",
        "value": 0.4895,
        "floor": None,
        "step": 4000,
    },
    {"name": "cs10k", "metric": "cs10k", "value": 8.789, "real": 9.836, "step": 4000},
    {
        "name": "two_sample_accuracy_mlp_test",
        "metric": "two_sample_accuracy_mlp_test",
        "value": 0.5824,
        "standard_error": 0.00493163,
        "step": 4000,
    },
    {"name": "of_another_time", "value": 1.0, "step": 4000},
]


def report(folder, figures=None):
    root = parsed.parse(page.page(folder.name, run.run_sections(folder, figures)))
    parsed.assert_self_contained(root)
    return root


def test_what_it_is(tmp_path):
    folder = folders.make_run(tmp_path / "run")
    told = parsed.values(report(folder))
    assert told["model"] == "LatentVariableModel"
    assert told["data set"] == "mnist"
    assert told["posterior"] == "NormalPosterior()"
    assert told["prior"] == "RealNVPPrior(latent_size=8)"
    assert told["beta"] == "LinearAnnealing(steps=50000, value=0.5)"
    assert told["divergence"] == (
        "AdversarialDivergence(discriminator=MLP(activation='leaky_relu', "
        "hidden_sizes=(512, 512)), r1=1.0)"
    )
    assert told["regularizers"] == "(CodeNorm(), DecoderWeights())"
    assert told["optimizers"] == "{'autoencoder': Adam(), 'prior': Adam()}"
    assert told["steps"] == "4000 of 4000, finished"
    assert told["folder"] == str(folder)
    assert "encoder" not in told and "afterwards" not in told


def test_prior_that_is_fitted_afterwards_and_default_beta(tmp_path):
    config = (
        "LatentVariableModel.prior = @StandardNormalPrior()\n"
        "PostHoc.prior = @GaussianMixturePrior\n"
        "PostHoc.steps = 500\n"
        "train.model = @LatentVariableModel\n"
        "train.post_hoc = @PostHoc()"
    )
    folder = folders.make_run(tmp_path / "run", config)
    operative = "LatentVariableModel.beta = 1.0\nStandardNormalPrior.context_size = 0\n"
    (folder / "operative_config.gin").write_text(operative)
    told = parsed.values(report(folder))
    assert told["afterwards"] == "PostHoc(prior=GaussianMixturePrior(), steps=500)"
    assert told["prior"] == "StandardNormalPrior()"
    assert told["beta"] == "1.0"


def test_learning_rates_are_those_of_the_configuration(tmp_path):
    text = parse([str(ROOT / "gin" / "mnist_2d_beta0.gin")])
    told = parsed.values(report(folders.make_run(tmp_path / "run", text)))
    for rate in ("1e-3", "2e-3"):
        decay = f"decay_steps=5000, initial_learning_rate={float(rate)}"
        assert f"learning_rate=CosineDecay({decay})" in told["optimizers"]
    assert "'discriminator': Adam(beta_1=0.5, learning_rate=Cos" in told["optimizers"]


def test_a_macro_of_itself_is_left_alone(tmp_path):
    config = "train.model = @Classifier\ntrain.steps = %A\nA = %B\nB = %A\n"
    folder = folders.make_run(tmp_path / "run", config, finished=7)
    assert parsed.values(report(folder))["steps"] == "7 of %A, finished"


@pytest.mark.parametrize(
    ("steps", "told"),
    [((), "no checkpoint of 4000"), ((900, 1000), "1000 of 4000 at the newest")],
)
def test_unfinished(tmp_path, steps, told):
    folder = folders.make_run(tmp_path / "run", finished=None)
    for step in steps:
        (folder / "checkpoints" / f"step_{step:08d}").mkdir(parents=True)
        # A copy that a user has put beside them.
        (folder / "checkpoints" / f"step_{step + 9:08d}_copy").mkdir()
    assert parsed.values(report(folder))["steps"].startswith(told)


def test_steps_of_the_prior_at_rest_are_told_apart(tmp_path):
    told = "4100, 100 of them of the prior at rest"
    done = folders.make_run(tmp_path / "done", finished=4100)
    assert parsed.values(report(done))["steps"] == f"{told}, finished"
    folder = folders.make_run(tmp_path / "run", finished=None)
    for name in ("step_00004000", "at_rest/step_00004100"):
        (folder / "checkpoints" / name).mkdir(parents=True)
    assert parsed.values(report(folder))["steps"] == f"{told} at the newest checkpoint"


def test_results_are_the_newest_with_what_they_stand_on(tmp_path):
    root = report(folders.make_run(tmp_path / "run", results=RESULTS))
    ((caption, rows),) = parsed.tables(root).items()
    assert caption == "The newest result of each metric"
    empty = dict.fromkeys(("standard error", "reconstructions", "floor"), "")
    empty |= {"real images": "", "step": "4000"}
    assert rows == [
        empty
        | {"metric": "fcd10k_test", "value": "3.875"}
        | {"reconstructions": "2.358", "floor": "0.1924"},
        empty | {"metric": "recall_classifier10k_test", "value": "0.4895"},
        empty | {"metric": "cs10k", "value": "8.789", "real images": "9.836"},
        empty
        | {"metric": "two_sample_accuracy_mlp_test", "value": "0.5824"}
        | {"standard error": "0.004932"},
        empty | {"metric": "of_another_time", "value": "1"},
    ]
    told = parsed.values(root)
    assert told["prdc_classifier10k_test"].startswith("Precision, recall, density")
    assert told["cs10k"].startswith("Classifier score")
    assert "of_another_time" not in told


def test_curves_of_a_resumed_run(tmp_path):
    folder = folders.make_run(tmp_path / "run")
    first = {10: 4.0, 20: 3.0, 30: 2.5}
    folders.make_events(folder / "tensorboard", {"train/loss": first}, ".1")
    # Killed after step 30, it went on from the checkpoint at 10.
    second = {"train/loss": {20: 2.0, 30: 1.5}, "train/a<b": {20: 1}, "test/x": {20: 1}}
    folders.make_events(folder / "tensorboard", second, ".2")
    assert run.read_scalars(folder / "tensorboard") == {
        "a<b": {20: 1.0},
        "loss": {10: 4.0, 20: 2.0, 30: 1.5},
    }
    (image,) = report(folder).all("img")
    assert image.attributes["alt"] == "Curves of a<b, loss against the step."
    kind, data = image.attributes["src"].split(",")
    assert kind == "data:image/svg+xml;base64"
    assert b"<svg" in base64.b64decode(data)


SCALARS = {
    "wide": {1: 1e-3, 2: 1e3},
    "falling": {step: 31.0 - step for step in range(31)},
    # Less than 30 times as much.
    "narrow": {5: 1.0, 10: 29.0, 20: 2.0},
    "signed": {1: -1.0, 2: 1e3},
    "flat": {1: 0.0, 2: 0.0},
    "one": {7: 2.0},
    "broken": {1: float("nan"), 2: float("inf")},
}


def test_curves_of_equal_runs_are_equal_files_whatever_they_hold():
    assert run.draw_curves(SCALARS) == run.draw_curves(SCALARS)


def test_curves_are_the_scalars_and_logarithmic_where_they_span_much(monkeypatch):
    figures = []

    @contextlib.contextmanager
    def keep(*size, **kwargs):
        with new_figure(*size, **kwargs) as figure:
            figures.append(figure)
            yield figure

    monkeypatch.setattr(run, "new_figure", keep)
    run.draw_curves(SCALARS)
    panels = {axes.get_title(): axes for axes in figures[0].axes}
    assert list(panels) == list(SCALARS)
    scales = {name: axes.get_yscale() for name, axes in panels.items()}
    logarithmic = dict.fromkeys(("wide", "falling"), "log")
    assert scales == dict.fromkeys(SCALARS, "linear") | logarithmic
    for name, points in SCALARS.items():
        (line,) = panels[name].lines
        np.testing.assert_array_equal(line.get_xydata(), list(points.items()))
        # A line of one point is seen by its marker.
        assert line.get_marker() == ("." if len(points) < 10 else "None")


def test_pictures_in_order_with_captions(tmp_path):
    figures = tmp_path / "figures"
    score = "attribute_unevenness100_z_test"
    for name in ("zebra<b>", "attribute7", score, "reconstructions", "samples"):
        folders.make_picture(figures / f"{name}.png")
    (figures / "attribute7.csv").write_text("a,b\n")
    (figures / "notes.txt").write_text("no picture")
    (figures / "samples.svg").write_text("the same once more")
    root = report(folders.make_run(tmp_path / "run"), figures)
    assert [e.text for e in root.all("figcaption")] == [
        run.CAPTIONS["samples"],
        run.CAPTIONS["reconstructions"],
        f"attribute7: {run.CAPTIONS['attribute']} Its numbers are in attribute7.csv.",
        f"{score}.png",
        "zebra<b>.png",
    ]
    assert len(list(root.all("img"))) == 5


def test_every_figure_of_a_model_has_a_caption():
    assert set(gallery.FIGURES) <= set(run.CAPTIONS)


def test_pictures_of_the_training_stand_in_for_those_not_made(tmp_path):
    folder = folders.make_run(tmp_path / "run")
    for name in ("samples_00001000", "samples_00002000", "reconstructions_00002000"):
        folders.make_picture(folder / "samples" / f"{name}.png")
    figures = tmp_path / "figures"
    folders.make_picture(figures / "reconstructions.png")
    captions = [e.text for e in report(folder, figures).all("figcaption")]
    assert captions == [
        run.CAPTIONS["reconstructions"],
        f"{run.CAPTIONS['samples']} At step 2000, by bin/train.",
    ]


def test_what_is_missing_names_the_command_that_makes_it(tmp_path):
    folder = folders.make_run(tmp_path / "my run", starts=())
    text = report(folder).text
    quoted = f"'{folder}'"
    assert f"No results yet: bin/evaluate --run_dir={quoted} measures them." in text
    assert f"bin/figures --run_dir={quoted} --out=FIGURES makes them." in text
    assert f"No curves: {quoted}/tensorboard has no scalars" in text
    assert "No record of versions and devices" in text


def test_configuration_and_starts(tmp_path):
    later = folders.START | {
        "tensorflow": "2.22.0",
        "seed": 4,
        "command": ["train", "c d"],
    }
    folder = folders.make_run(tmp_path / "run", starts=(folders.START, later))
    root = report(folder)
    assert [e.text for e in root.all("pre")] == [
        f"\n{folders.CONFIG}",
        "\nbin/train '--gin_param=A.b = '\"'\"'<i>'\"'\"'' --seed=3",
        "\ntfp-priors train 'c d'",
    ]
    told = parsed.values(root)
    assert told["commit"] == "1a963a8"
    assert told["devices"] == "/device:GPU:0, /device:GPU:1"
    assert told["tensorflow"] == "2.21.0 (1 of 2 starts), 2.22.0 (1 of 2 starts)"
    assert "Started 2026-11-24T09:01:03+00:00, seed 4:" in root.text

"""bin/evaluate on a run, on its export, and on a folder of pictures."""

import contextlib
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests import commands
from tfp_priors.data import load_dataset
from tfp_priors.evaluation.images import from_dataset

PARAMS = [*commands.TINY, "train.scalars_every = 10"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_dir):
    """With a run, its export, and a run of a classifier."""
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "data").symlink_to(data_dir)
    flags = {"gin_param": PARAMS, "data_dir": folder / "data", "steps": 20}
    for name, gin in (("run", "embedded_digits_vae"), ("classifier",) * 2):
        gin = gin if gin.startswith("embedded") else f"embedded_digits_{gin}"
        commands.run("train", gin_file=f"gin/{gin}.gin", run_dir=folder / name, **flags)
    commands.run("export", run_dir=folder / "run", out=folder / "saved_model")
    return folder


@pytest.fixture
def flags(folder, tmp_path):
    return {
        "data_dir": folder / "data",
        "cache_dir": tmp_path / "cache",
        "classifier": folder / "classifier",
        "out": tmp_path / "out",
    }


def results(process):
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    return {line["name"]: line for line in lines}


def test_two_processes_share_an_evaluation(folder, flags, tmp_path):
    """They say what one says, and only the first says it."""
    flags |= {"run_dir": folder / "run", "metrics": "fcd5k_test,cs5k"}
    alone = results(commands.run("evaluate", **(flags | {"out": tmp_path / "alone"})))
    workers = ["127.0.0.1:4001", "127.0.0.1:4002"]
    with contextlib.ExitStack() as stack:
        started = []
        for index in (1, 0):
            config = {"cluster": {"worker": workers}}
            config["task"] = {"type": "worker", "index": index}
            environment = commands.ENVIRONMENT | {"TF_CONFIG": json.dumps(config)}
            worker = commands.started(
                "evaluate", strategy="multi_worker", environment=environment, **flags
            )
            started.append(stack.enter_context(worker))
        for process, output in started:
            process.join(timeout=300)
            assert process.exitcode == 0, output()[1]
        other, first = (output()[0] for _, output in started)
    assert not other
    found = {line["name"]: line for line in map(json.loads, first.splitlines())}
    for name, expected in alone.items():
        assert found[name]["value"] == expected["value"]
    assert (flags["out"] / "metrics.jsonl").read_text() == first


def test_run_its_export_and_pictures(folder, flags, tmp_path):
    """The export draws the run's samples; pictures of the real images are the floor."""
    names = "fcd200_test,cs200,active_units_test"
    process = commands.run(
        "evaluate", run_dir=folder / "run", metrics=names, **(flags | {"out": ""})
    )
    of_run = results(process)
    assert set(of_run) == set(names.split(","))
    stored = (folder / "run" / "metrics.jsonl").read_text()
    assert stored == process.stdout
    for key in ("step", "dataset", "commit", "time", "seed", "tfp_priors", "of"):
        assert key in of_run["fcd200_test"]
    networks = {"classifier": str(folder / "classifier")}
    assert of_run["fcd200_test"]["networks"] == networks
    assert of_run["active_units_test"]["networks"] == {}
    events = EventAccumulator(str(folder / "run" / "evaluation")).Reload()
    assert set(events.Tags()["tensors"]) == set(of_run)
    (event,) = events.Tensors("fcd200_test")
    assert event.step == 20
    written = tf.make_ndarray(event.tensor_proto)
    np.testing.assert_allclose(written, of_run["fcd200_test"]["value"], rtol=1e-6)

    unused = flags | {"metrics": "active_units_test"}
    told = commands.run("evaluate", run_dir=folder / "run", **unused).stderr
    assert "--classifier was not used: none of these metrics needs it." in told

    flags |= {"gin_file": "gin/embedded_digits.gin", "metrics": "fcd200_test"}
    flags["out"] = tmp_path / "others"
    process = commands.run("evaluate", saved_model=folder / "saved_model", **flags)
    of_export = results(process)["fcd200_test"]
    for key in ("value", "reconstructions", "floor"):
        expected = of_run["fcd200_test"][key]
        np.testing.assert_allclose(of_export[key], expected, rtol=1e-2)

    train = load_dataset("embedded_digits", "train", str(folder / "data"))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i, image in enumerate(np.concatenate(list(from_dataset(train, 200)))):
        Image.fromarray(image[..., 0]).save(pictures / f"{i:03d}.png")
    process = commands.run("evaluate", images=pictures, **flags)
    of_pictures = results(process)["fcd200_test"]
    np.testing.assert_allclose(of_pictures["value"], of_pictures["floor"], rtol=1e-6)
    stored = (flags["out"] / "metrics.jsonl").read_text().splitlines()
    assert len(stored) == 2

    line = commands.refused(
        "evaluate", images=pictures, **(flags | {"metrics": "cs1k"})
    )
    assert "has 200 pictures, the metric needs 1000" in line
    line = commands.refused(
        "evaluate", images=pictures, **(flags | {"metrics": "prior_nll_test"})
    )
    assert "has no prior with a density" in line


@pytest.mark.slow
def test_classifier_and_defaults(folder, flags):
    del flags["classifier"]
    process = commands.run("evaluate", run_dir=folder / "classifier", **flags)
    assert set(results(process)) == {"accuracy_test"}
    process = commands.run("evaluate", run_dir=folder / "run", **flags)
    # The held-out likelihood comes first.
    names = [f"two_sample_accuracy_{kind}_test" for kind in ("quadratic", "mlp")]
    assert list(results(process)) == ["prior_nll_test", "prior_overfitting", *names]


def test_list_explains_every_metric_without_tensorflow():
    output = commands.run("evaluate", "--list").stdout
    for name in ("fid{n}_{split}", "separability{n}_{space}", "memorization"):
        assert name in output
    assert "costs" in output


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"metrics": "fid10"}, "did you mean one like fid10k_test"),
        ({"run_dir": ""}, "expected one of --run_dir"),
        ({"run_dir": "", "images": "x"}, "expected --gin_file=FILE"),
        ({"metrics": "fid50_test", "inception_dir": "."}, "holds no SavedModel"),
        ({"guidance": 2}, "has no guidance: leave --guidance out"),
        ({"guidance": "nan"}, "--guidance=nan is not finite"),
        ({"classifier": "run"}, "is a run of a LatentVariableModel: expected one of"),
    ],
)
def test_mistakes_get_one_line(folder, flags, changed, message):
    if "classifier" in changed and changed["classifier"]:
        changed["classifier"] = folder / changed["classifier"]
    given = {"run_dir": folder / "run", "metrics": "fcd50_test"} | flags | changed
    assert message in commands.refused("evaluate", **given)
    assert not flags["out"].exists() or not list(flags["out"].glob("*.jsonl"))


def test_a_classifier_of_other_data_is_refused(folder, flags, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(folder / "classifier", other)
    config = other / "config.gin"
    config.write_text(config.read_text().replace("'embedded_digits'", "'mnist'"))
    line = commands.refused(
        "evaluate",
        run_dir=folder / "run",
        metrics="fcd20_test",
        **(flags | {"classifier": other}),
    )
    assert "was trained on mnist, but the images are compared with embedded" in line

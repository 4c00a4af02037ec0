"""bin/sample of a run and of an export."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import commands
from tests.commands.conftest import made_up
from tfp_priors import config
from tfp_priors.evaluation.images import from_folder
from tfp_priors.evaluation.subject import subject_of_model
from tfp_priors.figures.grid import image_grid

SHAPE = (28, 28, 1)


def test_sample(trained, tmp_path):
    folder, _ = trained
    grids = []
    for source in ("saved_model", "saved_model", "run"):
        flag = {"run": "run_dir"}.get(source, source)
        out = tmp_path / "grid.png"
        flags = {flag: folder / source, "out": out, "n": 9, "seed": 1}
        commands.run("sample", temperature=0.9, **flags)
        with Image.open(out) as picture:
            assert picture.size == (88, 88)
            grids.append(np.asarray(picture))
    np.testing.assert_array_equal(grids[0], grids[1])


def test_single_samples_are_those_that_are_measured(trained, tmp_path):
    """Over the end of a chunk; ~ is the user's home."""
    home = tmp_path / "it's a höme"
    home.mkdir()
    environment = commands.ENVIRONMENT | {"HOME": str(home)}
    flags = {"run_dir": trained[0] / "run", "n": 1003, "out": "~/drawn/"}
    commands.run("sample", environment=environment, **flags)
    files = sorted((home / "drawn").iterdir())
    assert [path.name for path in files[::1002]] == ["0000.png", "1002.png"]
    run = config.load_run(trained[0] / "run")
    expected = subject_of_model(run.model, run.identity).samples(1003, 0)
    drawn = from_folder(home / "drawn", SHAPE)
    # It is read in a random order.
    mine, theirs = (
        sorted(image.tobytes() for image in np.concatenate(list(images)))
        for images in (drawn, expected)
    )
    assert mine == theirs
    refused = commands.refused("sample", environment=environment, **flags)
    assert "is not empty: expected a new or an empty folder" in refused
    (tmp_path / "b.png").touch()
    flags = {"run_dir": trained[0] / "run", "out": f"{tmp_path}/b.png/"}
    assert "b.png is a file: expected a new" in commands.refused("sample", **flags)
    flags = {"run_dir": trained[0] / "run", "n": 10_001, "out": tmp_path / "a.png"}
    assert "end --out with a slash" in commands.refused("sample", **flags)
    flags = {"run_dir": trained[0] / "run", "n": 12, "out": tmp_path / "samples"}
    assert "--out=FILE.png, --out=FOLDER/ or" in commands.refused("sample", **flags)


def test_a_saved_model_of_another_program_is_refused(tmp_path):
    module = tf.Module()
    x = tf.TensorSpec((None, 3), tf.float32, "x")
    module.draw = tf.function(lambda: tf.zeros(3), input_signature=[])
    module.sample = tf.function(lambda x: x + 1, input_signature=[x])
    for folder, signatures in (
        ("other", None),
        ("named_so", {"sample": module.sample}),
    ):
        tf.saved_model.save(module, str(tmp_path / folder), signatures)
    for folder, out in (
        ("other", "a.png"),
        ("other", "a.npy"),
        ("other", "a/"),
        ("named_so", "a.npy"),
    ):
        flags = {"saved_model": tmp_path / folder, "out": f"{tmp_path}/{out}"}
        line = commands.refused("sample", **flags)
        assert f"{folder} has no function sample of a seed: expected a Saved" in line


def drawn(**flags):
    commands.run("sample", **flags)
    with Image.open(flags["out"]) as picture:
        return np.asarray(picture).astype(int)


def grid_of(rows, columns=None):
    return image_grid(np.concatenate(rows), columns)[..., 0].astype(int)


@pytest.fixture(scope="module")
def of_labels(tmp_path_factory):
    """A run whose prior is given labels, and its model."""
    return made_up(tmp_path_factory.mktemp("labels") / "run", "labels")


@pytest.mark.parametrize(
    "source", ["run_dir", pytest.param("saved_model", marks=pytest.mark.slow)]
)
def test_draws_of_labels(of_labels, tmp_path, source):
    run, model = of_labels
    flags = {source: run, "seed": 1, "out": tmp_path / "grid.png"}
    if source == "saved_model":
        flags[source] = tmp_path / "sampler"
        said = commands.run("export", run_dir=run, out=flags[source]).stdout
        assert said.endswith("/sampler --label=all --out=grid.png\n")
    of_two, of_three, guided = (
        grid_of([model.sample_of_condition(label, 4, 1, guidance=guidance)])
        for label, guidance in ((2, 1.0), (3, 1.0), (2, 3.0))
    )
    # What is told apart below is not alike.
    assert min(np.abs(other - of_two).max() for other in (of_three, guided)) > 9
    of_all = grid_of([model.sample_of_condition(n, 2, 1) for n in range(10)], columns=2)
    for expected, given in (
        (of_two, {"label": 2, "n": 4}),
        (guided, {"label": 2, "n": 4, "guidance": 3}),
        (of_all, {"label": "all", "n": 2}),
    ):
        np.testing.assert_allclose(drawn(**flags, **given), expected, atol=1)


def test_draws_of_attributes(tmp_path):
    params = (
        "LatentVariableModel.conditioner = @AttributeContext()",
        "AttributeContext.attributes = 3",
        "FlowMatchingPrior.context_size = 3",
    )
    run, model = made_up(tmp_path / "run", "labels", *params)
    expected, other = (
        grid_of([model.sample_of_condition(np.float32(present), 4, 1)])
        for present in ([1, 0, 1], [0, 1, 0])
    )
    assert np.abs(expected - other).max() > 9
    flags = {"run_dir": run, "seed": 1, "out": tmp_path / "grid.png", "n": 4}
    np.testing.assert_allclose(drawn(attributes="0,2", **flags), expected, atol=1)
    line = commands.refused("sample", attributes="0,3", **flags)
    assert "--attributes=3: expected a number from 0 to 2." in line


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "the model is given labels: expected --label=NUMBER, or all."),
        ({"label": 10}, "--label=10: expected a number from 0 to 9."),
        ({"label": "x"}, "--label=x: expected a number from 0 to 9."),
        (
            {"label": 1, "attributes": 1},
            "is not given attributes, it takes --label: leave --attri",
        ),
        ({"label": "all", "n": 1001}, "received 1001 of each of 10 labels: take a sm"),
    ],
)
def test_what_is_no_label_is_refused(of_labels, tmp_path, given, message):
    out = tmp_path / "grid.png"
    line = commands.refused("sample", run_dir=of_labels[0], out=out, **given)
    assert message in line and not out.exists()

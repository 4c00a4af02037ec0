"""From pictures in DeepFashion's layout to samples of a pose, by the commands."""

import json

import numpy as np
import pytest
from PIL import Image

from tests import commands
from tests.data import test_deepfashion as layout

source = layout.source

_PARAMS = (
    *commands.TINY,
    "IMAGE_SHAPE = (32, 32, 3)",
    "load_dataset.image_size = 32",
    "train.batch_size = 2",
    "train.scalars_every = 1",
)
_OF_A_MODEL = ("LATENT_SIZE = (4, 4, 5)", "VGG19Features.layers = ('input', 'relu1_2')")


def drawn(**flags):
    commands.run("sample", n=3, seed=1, **flags)
    with Image.open(flags["out"]) as picture:
        return np.asarray(picture)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["beta0", "vae"])
def test_from_pictures_to_samples_of_a_pose(model, source, tmp_path):
    layout.write_csv(source)
    data, run, sampler = (tmp_path / name for name in ("data", "run", "sampler"))
    flags = {"data_dir": data, "gin_param": [*_PARAMS, *_OF_A_MODEL], "steps": 2}
    commands.run("prepare_data", dataset="deepfashion", source=source, data_dir=data)
    gin_file = f"gin/deepfashion_vunet_{model}.gin"
    trained = commands.run("train", gin_file=gin_file, run_dir=run, **flags)
    assert "step 2/2" in trained.stderr

    out, table = tmp_path / "grid.png", source / "keypoints.csv"
    line = commands.refused("sample", run_dir=run, out=out)
    assert "expected --keypoints=TABLE" in line and not out.exists()
    first = drawn(run_dir=run, keypoints=table, out=out)
    assert first.shape == (66, 66, 3)
    picture = {"keypoints": table, "picture": layout.NAMES[1], "out": out}
    assert (drawn(run_dir=run, **picture) != first).any()
    picture["picture"] = layout.NAMES[0]
    commands.run("export", run_dir=run, out=sampler)
    np.testing.assert_allclose(
        drawn(saved_model=sampler, **picture).astype(int), first, atol=1
    )
    picture["picture"] = "another.jpg"
    line = commands.refused("sample", run_dir=run, **picture)
    assert f"{table} has no keypoints of another.jpg" in line

    regressor = tmp_path / "regressor"
    gin_file = "gin/deepfashion_keypoints.gin"
    flags["gin_param"] = _PARAMS
    commands.run("train", gin_file=gin_file, run_dir=regressor, **flags)
    metric = "pose_error4"
    evaluated = commands.run(
        "evaluate",
        run_dir=run,
        metrics=metric,
        keypoint_regressor=regressor,
        data_dir=data,
    )
    result = json.loads(evaluated.stdout.splitlines()[0])
    assert result["name"] == metric and result["value"] > 0 and result["floor"] > 0

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tfp_priors.data import ImageDataset
from tfp_priors.errors import NonFiniteError
from tfp_priors.errors import UserError
from tfp_priors.posteriors import NormalPosterior
from tfp_priors.training import LinearAnnealing
from tfp_priors.training import train
from tfp_priors.training.run_dir import RunLock


def load_dataset(split, shape=(8, 8, 1)):
    random = np.random.RandomState(len(split))
    images = random.randint(0, 256, (50, *shape)).astype(np.uint8)
    return ImageDataset(images, {"label": np.arange(50)}, shape)


@pytest.fixture
def run(make_model, tmp_path):
    """Trains a small model in tmp_path/run; keyword arguments replace settings."""

    def start(steps=4, model=None, rate=1e-3, **kwargs):
        def default_model(seed):
            return make_model(posterior=NormalPosterior(4), seed=seed)

        settings = {
            "load_dataset": load_dataset,
            "batch_size": 8,
            "checkpoint_every": 2,
            "scalars_every": 2,
            "images_every": 4,
            "jit_compile": False,
        }
        return train(
            tmp_path / "run",
            model=model or default_model,
            optimizer=lambda: keras.optimizers.Adam(rate),
            prior_optimizer=lambda: keras.optimizers.Adam(rate),
            steps=steps,
            **(settings | kwargs),
        )

    return start


def test_run_dir_and_tensorboard(run, tmp_path, make_model):
    def model(seed):
        beta = LinearAnnealing(1.0, 8)
        return make_model(posterior=NormalPosterior(4), beta=beta, seed=seed)

    result = run(model=model, records=lambda: {"config.gin": "a = 1\nb = 2"})
    assert (result.start_step, result.step) == (0, 4)
    folder = tmp_path / "run"
    assert (folder / "config.gin").read_text() == "a = 1\nb = 2"
    record = json.loads((folder / "environment.jsonl").read_text())
    assert record["tensorflow"] == tf.__version__
    assert {"time", "command", "commit", "seed", "devices"} <= set(record)
    with Image.open(folder / "samples" / "samples_00000004.png") as picture:
        assert picture.size == (10 * 10 - 2, 10 * 10 - 2)
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    tags = {
        tag: [e.step for e in events.Tensors(tag)] for tag in events.Tags()["tensors"]
    }
    terms = ("loss", "reconstruction", "kl", "prior_nll", "beta")
    norms = ("autoencoder_gradient_norm", "prior_gradient_norm")
    for name in (*terms, *norms):
        assert tags[f"train/{name}"] == [2, 4]
    scales = [f"latent/scale_{which}" for which in ("min", "mean", "max")]
    log_scales = [f"prior/flow_log_scale_{which}" for which in ("min", "max")]
    for tag in (*scales, *log_scales, "latent/active_units", "test/prior_nll"):
        assert tags[tag] == [4]
    assert tags["samples"] == tags["reconstructions"] == [4]
    text = tf.make_ndarray(events.Tensors("config.gin")[0].tensor_proto)
    assert b"a = 1" in text.item()
    beta = [
        float(tf.make_ndarray(e.tensor_proto)) for e in events.Tensors("train/beta")
    ]
    assert beta == [0.25, 0.5]


def test_resumed_run_takes_the_same_steps(run, tmp_path):
    run(steps=4)
    resumed = run(steps=7)
    assert resumed.start_step == 4
    (tmp_path / "run").rename(tmp_path / "first")
    whole = run(steps=7)
    for a, b in zip(resumed.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


def test_finished_run_does_nothing(run):
    run(steps=2)
    assert run(steps=2).start_step == 2


def test_second_process_is_refused(run, tmp_path):
    with RunLock(tmp_path / "run"):
        with pytest.raises(UserError, match=r"in use by process \d+"):
            run()


def test_non_finite_loss_stops_and_keeps_the_last_checkpoint(run, tmp_path):
    with pytest.raises(NonFiniteError, match=r"reconstruction.* at step \d.*standard"):
        run(steps=100, rate=1e20)
    steps = [p.name for p in (tmp_path / "run" / "checkpoints").glob("step_*")]
    for step in steps:
        assert int(step.removeprefix("step_")) < 100


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"steps": 0}, "train.steps must be at least 1"),
        ({"images_every": 0}, "train.images_every must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": 7, "strategy": "mirrored"}, "does not divide by the 2"),
        (
            {"load_dataset": lambda split: load_dataset(split, (12, 8, 3))},
            r"shape \(12, 8, 3\), the networks expect \(8, 8, 1\): set IMAGE_SHAPE",
        ),
    ],
)
def test_bad_input_leaves_nothing(run, tmp_path, kwargs, message):
    with pytest.raises(UserError, match=message):
        run(**kwargs)
    assert not (tmp_path / "run").exists()

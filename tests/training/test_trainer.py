import json
import shutil
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tfp_priors import sweeps
from tfp_priors.core.conditioner import Conditioner
from tfp_priors.data import ImageDataset
from tfp_priors.data import Views
from tfp_priors.errors import UserError
from tfp_priors.posteriors import NormalPosterior
from tfp_priors.priors import GaussianMixturePrior
from tfp_priors.priors import RealNVPPrior
from tfp_priors.runs.run_dir import RunLock
from tfp_priors.runs.run_dir import environments
from tfp_priors.runs.run_dir import finished_step
from tfp_priors.runs.run_dir import kept_step
from tfp_priors.training import LinearAnnealing
from tfp_priors.training import PostHoc
from tfp_priors.training import Trainer
from tfp_priors.training import callbacks
from tfp_priors.training import checkpoints_of


def load_dataset(split, shape=(8, 8, 1)):
    random = np.random.RandomState(len(split))
    images = random.randint(0, 256, (50, *shape)).astype(np.uint8)
    return ImageDataset(images, {"label": np.arange(50)}, shape)


@pytest.fixture
def run(make_model, tmp_path):
    """Trains a small model in tmp_path/run; keyword arguments replace settings."""

    def default_model(seed):
        return make_model(posterior=NormalPosterior(4), seed=seed)

    def start(steps=4, model=default_model, rate=1e-3, **kwargs):
        where = {
            name: kwargs.pop(name)
            for name in ("records", "initialize", "is_trained")
            if name in kwargs
        }
        data = kwargs.pop("load_dataset", load_dataset)
        settings = {
            "batch_size": 8,
            "checkpoint_every": 2,
            "scalars_every": 2,
            "images_every": 4,
            "jit_compile": False,
        }
        groups = ("autoencoder", "prior", "discriminator")
        optimizers = {name: lambda: keras.optimizers.Adam(rate) for name in groups}
        trainer = Trainer(model, optimizers, steps, **(settings | kwargs))
        return trainer.train(tmp_path / "run", data, **where)

    return start


def test_run_dir_and_tensorboard(run, tmp_path, make_model):
    def model(seed):
        beta = LinearAnnealing(1.0, 8)
        return make_model(posterior=NormalPosterior(4), beta=beta, seed=seed)

    records = {"config.gin": "a = 1\nb = 2"}
    result = run(model=model, clip_norm=5.0, records=lambda: records)
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
    gradients = ("gradient_norm", "clipped_share")
    of_groups = [f"{g}_{n}" for g in ("autoencoder", "prior") for n in gradients]
    for name in (*terms, *of_groups):
        assert tags[f"train/{name}"] == [2, 4]
    scales = [f"latent/scale_{which}" for which in ("min", "mean", "max")]
    log_scales = [f"prior/flow_log_scale_{which}" for which in ("min", "max")]
    for tag in (*scales, *log_scales, "latent/active_units", "held_out/prior_nll"):
        assert tags[tag] == [4]
    assert tags["samples"] == tags["reconstructions"] == [4]
    text = tf.make_ndarray(events.Tensors("config.gin")[0].tensor_proto)
    assert b"a = 1" in text.item()
    beta = [
        float(tf.make_ndarray(e.tensor_proto)) for e in events.Tensors("train/beta")
    ]
    assert beta == [0.25, 0.5]


def test_resumed_run_takes_the_same_steps(run, tmp_path):
    initialized = []
    run(steps=4, initialize=initialized.append)
    resumed = run(steps=7, initialize=initialized.append)
    assert resumed.start_step == 4
    # A checkpoint goes before weights from elsewhere.
    assert len(initialized) == 1
    (tmp_path / "run").rename(tmp_path / "first")
    whole = run(steps=7)
    for a, b in zip(resumed.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


def test_tensorboard_shows_a_step_once_after_a_kill(run, tmp_path):
    run(steps=6, scalars_every=1)
    # Killed after step 6 and before its checkpoint, it goes on from that of step 4.
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step_00000006")
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    with open(events, "ab") as file:
        file.write(b"part of a record")
    assert run(steps=8, scalars_every=1, images_every=1).start_step == 4
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    steps = {
        tag: [e.step for e in events.Tensors(tag)] for tag in events.Tags()["tensors"]
    }
    assert steps["train/loss"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert steps["samples"] == [4, 5, 6, 7, 8]


def test_finished_run_does_nothing(run):
    run(steps=2)
    assert run(steps=2).start_step == 2


def test_a_finished_run_is_known_by_other_words_for_it(run, tmp_path, monkeypatch):
    """A sweep that calls it so would train it again and again."""
    for i, binding in enumerate(("BETA = 1", "BETA=1"), start=1):
        flags = [f"--gin_param={binding}"]
        known = sweeps.Run("run", {}, tmp_path / "run", flags, [], [])
        assert not known.is_trained
        monkeypatch.setattr(sys, "argv", ["bin/train", *flags])
        for _ in range(2):
            assert run(steps=2).step == 2
            assert known.is_trained
            assert len(environments(tmp_path / "run")) == i


def test_second_process_is_refused(run, tmp_path):
    with RunLock(tmp_path / "run"):
        with pytest.raises(UserError, match=r"in use by process \d+"):
            run()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"steps": 0}, "train.steps must be at least 1"),
        ({"images_every": 0}, "train.images_every must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"validation_share": 1.0}, r"validation_share must be .* \[0, 1\), .* 1.0"),
        ({"batch_size": 7, "strategy": "mirrored"}, "by the 2 .*: choose 6 or 8"),
        ({"batch_size": 1, "strategy": "mirrored"}, "by the 2 replicas: choose 2"),
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


@pytest.mark.slow
def test_post_hoc_flow_learns_from_fixed_codes_and_resumes(run, tmp_path):
    def prior():
        return RealNVPPrior(4, couplings=2, hidden_sizes=(8,), standardize=True)

    def start(steps):
        return run(steps=2, post_hoc=PostHoc(steps, prior, batch_size=8))

    first = start(3)
    model = first.model
    assert first.finished and (first.start_step, first.step) == (0, 5)
    codes = load_dataset("train").map(model.encode)
    statistics = model.prior._standardization
    # Codes are drawn once for the moments: 50 draws of scale 0.7.
    np.testing.assert_allclose(statistics.mean, codes.mean(0), atol=0.5)
    assert np.abs(statistics.variance - 1.0).max() > 1e-3
    resumed = start(6)
    assert (resumed.start_step, resumed.step) == (5, 8)
    (tmp_path / "run").rename(tmp_path / "first")
    whole = start(6)
    for a, b in zip(resumed.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


class Age(Conditioner):
    """A number as the context."""

    feature = "label"
    condition_shape = ()
    argument = "age"
    context_size = 1
    conditions_networks = False

    def call(self, age):
        return tf.cast(age, tf.float32)[:, None]


@pytest.mark.slow
@pytest.mark.parametrize("is_new", [True, False])
def test_a_new_prior_at_rest_standardises_contexts(run, make_model, is_new):
    """One that goes on has learned from them as they are."""

    def prior():
        settings = {"couplings": 2, "hidden_sizes": (8,), "standardize": True}
        return RealNVPPrior(4, context_size=1, **settings)

    def model(seed):
        parts = {"prior": prior(), "conditioner": Age()}
        return make_model(posterior=NormalPosterior(4), seed=seed, **parts)

    post_hoc = PostHoc(1, prior if is_new else None, batch_size=8)
    rest = run(steps=2, model=model, post_hoc=post_hoc).model
    standard = rest.prior.standard_context(tf.constant([[24.5]])).numpy()
    np.testing.assert_allclose(standard, 0.0 if is_new else 24.5, atol=1e-5)


@pytest.mark.slow
def test_post_hoc_mixture_is_fitted_without_steps(run, tmp_path):
    def prior():
        return GaussianMixturePrior(4, components=2, standardize=True)

    post_hoc = PostHoc(20, prior, views=Views(copies=1, mirrored=True))

    def start():
        return run(steps=2, post_hoc=post_hoc)

    result = start()
    assert (result.start_step, result.step, result.finished) == (0, 22, True)
    assert result.model.optimizers["prior"].iterations == 0
    means = result.model.prior.trainable_variables[1]
    twin = post_hoc.model(result.model)
    data = load_dataset("train")
    # Views are for gradient steps.
    twin.fit_directly(post_hoc.encode(twin, data)[0], 20, seed=0)
    np.testing.assert_allclose(means, twin.prior.trainable_variables[1], atol=1e-5)
    assert (tmp_path / "run" / "samples" / "samples_00000022.png").is_file()
    again = start()
    assert again.start_step == 22
    np.testing.assert_array_equal(again.model.prior.trainable_variables[1], means)
    # More iterations are EM's, too.
    longer = run(steps=2, post_hoc=PostHoc(30, prior))
    assert (longer.start_step, longer.step) == (22, 32)
    assert longer.model.optimizers["prior"].iterations == 0


@pytest.mark.slow
def test_a_signal_at_the_last_step_of_the_autoencoder_ends_the_run(run, tmp_path):
    settings = at_rest(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.SignalStop, "ask_all", lambda self: True)
        stopped = run(**settings)
    assert (stopped.finished, stopped.step) == (False, 2)
    resumed = run(**settings)
    assert (resumed.finished, resumed.start_step, resumed.step) == (True, 2, 5)


@pytest.mark.slow
def test_a_borrowed_autoencoder_never_learns(run, tmp_path):
    settings = at_rest(3) | {"initialize": lambda model: None, "is_trained": True}
    first = run(**settings)
    assert (first.start_step, first.step) == (2, 5)
    longer = run(**(settings | {"steps": 9}))
    assert (longer.start_step, longer.step, longer.finished) == (5, 5, True)


@pytest.mark.parametrize(
    ("post_hoc", "strategy", "message"),
    [
        (
            lambda: PostHoc(2, lambda: flow(couplings=0)),
            "one_device",
            "couplings must be at least 1",
        ),
        (lambda: PostHoc(2, lambda: RealNVPPrior(5)), "one_device", "one latent size"),
        (
            lambda: PostHoc(2, batch_size=7),
            "mirrored",
            "PostHoc.batch_size = 7 ",
        ),
    ],
)
def test_what_does_not_fit_at_rest_is_told_at_the_start(
    run, tmp_path, post_hoc, strategy, message
):
    with pytest.raises(UserError, match=message):
        run(post_hoc=post_hoc(), strategy=strategy)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "PostHoc.steps must be at least 1"),
        ({"patience": 0.0}, r"PostHoc.patience must .* \(0, 1\], received 0"),
        ({"patience": 1.1}, r"PostHoc.patience must .* \(0, 1\], received 1.1"),
    ],
)
def test_post_hoc_settings_that_are_none(given, message):
    with pytest.raises(UserError, match=message):
        PostHoc(**{"steps": 2} | given)


def flow(**kwargs):
    settings = {"couplings": 2, "hidden_sizes": (8,), "standardize": True}
    return RealNVPPrior(4, **(settings | kwargs))


def at_rest(steps, prior=flow, **kwargs):
    return {
        "steps": 2,
        "validation_share": 0.2,
        "post_hoc": PostHoc(steps, prior, batch_size=8, **kwargs),
    }


def test_the_best_prior_on_held_out_images_is_kept(run, tmp_path):
    result = run(**at_rest(40, evaluations=8, patience=1.0), rate=0.3)
    held_out = load_dataset("train").split(0.2, 0)[1]
    assert held_out.size == 10
    joint, rest = checkpoints_of(tmp_path / "run")
    best, value = rest.best()
    events = EventAccumulator(
        str(tmp_path / "run" / "tensorboard"), size_guidance={"tensors": 0}
    ).Reload()
    curve = {e.step: e.tensor_proto for e in events.Tensors("train/val_loss")}
    curve = {step: float(tf.make_ndarray(proto)) for step, proto in curve.items()}
    # Of the last look, every 5 steps, at each step that is written.
    assert set(curve) == set(range(8, 43, 2)) and len(set(curve.values())) > 4
    assert value <= min(curve.values())
    # At such a rate the last one is not the best.
    assert best < 42 and result.step == 42
    assert finished_step(tmp_path / "run") == 42
    assert kept_step(tmp_path / "run") == best
    measured = result.model.measure(*PostHoc(1, flow).encode(result.model, held_out))
    np.testing.assert_allclose(measured(), value, rtol=1e-5)
    assert joint.newest() == 2


@pytest.mark.slow
@pytest.mark.parametrize(("views", "least"), [(None, 2), (Views(mirrored=True), 802)])
def test_the_phase_ends_early_and_is_not_begun_again(run, views, least):
    """But not before it has learned from images alone."""
    settings = at_rest(1000, evaluations=200, patience=0.02, views=views)
    result = run(**settings, rate=1.0)
    assert result.finished and least < result.step < 1002
    again = run(**settings, rate=1.0)
    assert again.finished and (again.start_step, again.step) == (result.step,) * 2


def test_resumes_within_the_phase_exactly(run, tmp_path, capsys):
    settings = at_rest(7, lambda: flow(dropout=0.3), evaluations=7, patience=1.0)

    def stop_at(step):
        def on_step(self, now, logs):
            if now >= step:
                self.model.stop_training = True

        return on_step

    whole = run(**settings)
    assert "codes at rest to step 9; that of step" in capsys.readouterr().err
    (tmp_path / "run").rename(tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.SignalStop, "on_step", stop_at(6))
        stopped = run(**settings)
    assert (stopped.finished, stopped.step) == (False, 6)
    assert "codes at rest" not in capsys.readouterr().err
    resumed = run(**settings)
    assert "codes at rest to step 9; that of step" in capsys.readouterr().err
    assert (resumed.start_step, resumed.step) == (6, 9)
    for a, b in zip(resumed.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
    best = [checkpoints_of(tmp_path / name)[1].best() for name in ("run", "whole")]
    assert best[0] == best[1]


@pytest.mark.slow
def test_more_steps_of_the_autoencoder_begin_the_phase_again(run, tmp_path):
    settings = at_rest(3)
    run(**settings)
    longer = run(**(settings | {"steps": 4}))
    assert (longer.start_step, longer.step) == (2, 7)
    (tmp_path / "run").rename(tmp_path / "first")
    whole = run(**(settings | {"steps": 4}))
    for a, b in zip(longer.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


def test_views_are_encoded_too(make_model):
    model, data = make_model(), load_dataset("train")
    codes = PostHoc(2).encode(model, data, Views(copies=2, mirrored=True))[0].numpy()
    assert codes.shape[0] == 150
    images = data.take(50)["image"]
    for part, x in enumerate((images, images[:, :, ::-1], images)):
        np.testing.assert_allclose(
            codes[50 * part : 50 * (part + 1)],
            model.posterior_parameters(x),
            atol=1e-5,
        )

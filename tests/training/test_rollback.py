"""Trainings that meet numbers which are not finite, and go back."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tfp_priors.data import ImageDataset
from tfp_priors.errors import NonFiniteError
from tfp_priors.errors import UserError
from tfp_priors.posteriors import NormalPosterior
from tfp_priors.priors import StandardNormalPrior
from tfp_priors.runs.run_dir import record_rollback
from tfp_priors.runs.run_dir import rollbacks
from tfp_priors.training import Checkpoints
from tfp_priors.training import Trainer

SHAPE = (8, 8, 1)
STEPS = 12


class Poisoned(ImageDataset):
    """Its batches of a step hold a NaN, the first `times` times that they are read."""

    def __init__(self, images, step, times):
        super().__init__(images, {"label": np.arange(len(images))}, SHAPE)
        self._step = step
        self._left = times

    def training_batches(self, batch_size, seed, start_step=0, **share):
        batches = super().training_batches(batch_size, seed, start_step, **share)

        def spoil(step, image):
            if step == self._step - 1 and self._left:
                self._left -= 1
                image = np.full_like(image, np.nan)
            return image

        def poison(step, batch):
            image = tf.cast(batch["image"], tf.float32) / 255.0
            spoilt = tf.numpy_function(spoil, [step, image], tf.float32)
            return batch | {"image": tf.ensure_shape(spoilt, image.shape)}

        return batches.enumerate(start_step).map(poison)


def data(step=7, times=0):
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (50, *SHAPE)).astype(np.uint8)
    poisoned = Poisoned(images, step, times)
    return lambda split: poisoned


def schedule():
    return keras.optimizers.schedules.CosineDecay(1e-3, STEPS)


@pytest.fixture
def run(make_model, tmp_path):
    """Trains a small model in tmp_path/run."""

    def start(load_dataset, rate=lambda: 1e-3, steps=STEPS, **kwargs):
        optimizer = kwargs.pop("optimizer", keras.optimizers.Adam)
        trainer = Trainer(
            lambda seed: make_model(
                posterior=NormalPosterior(4),
                prior=StandardNormalPrior(4),
                seed=seed,
                beta=1.0,
            ),
            {"autoencoder": lambda: optimizer(rate())},
            steps,
            **(
                {
                    "batch_size": 8,
                    "jit_compile": False,
                    "checkpoint_every": 5,
                    "scalars_every": 1,
                    "on_nonfinite": "rollback",
                }
                | kwargs
            ),
        )
        return trainer.train(tmp_path / "run", load_dataset)

    return start


def rate_of(model):
    rate = model.optimizers["autoencoder"].learning_rate
    return float(keras.ops.convert_to_numpy(rate))


def assert_same(first, second):
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


@pytest.mark.parametrize(
    "rate",
    [
        pytest.param(lambda: 1e-3, id="constant", marks=pytest.mark.slow),
        pytest.param(schedule, id="cosine"),
    ],
)
def test_a_bad_batch_is_survived(run, tmp_path, rate, capfd, faults):
    result = run(data(times=1), rate)
    assert result.finished and result.step == STEPS
    (line,) = [s for s in capfd.readouterr().err.splitlines() if "rollback" in s]
    assert line.split(" is ")[0].split(", ") == ["kl", "prior_nll", "reconstruction"]
    assert (
        "is not finite at step 7: going on from the checkpoint of step 5 with all "
        "learning rates times 0.5 (rollback 1 of 3)." in line
    )
    (record,) = rollbacks(tmp_path / "run")
    assert (record["step"], record["checkpoint"]) == (7, 5)
    assert record["learning_rate_factor"] == 0.5
    assert rate_of(result.model) == pytest.approx(0.5 * rate_at(rate), abs=1e-9)
    # The lowered rates stay when the run goes on.
    more = run(data(), rate, steps=STEPS + 3, on_nonfinite="stop")
    assert more.start_step == STEPS
    expected = 0.5 * rate_at(rate, STEPS + 3)
    assert rate_of(more.model) == pytest.approx(expected, abs=1e-9)
    faults.add(
        "a number that is not finite",
        "a batch of infinities under --on_nonfinite=rollback",
        "the step and the terms are named; goes on from the last checkpoint at half "
        "the learning rates",
        lost="the steps since that checkpoint",
    )


def rate_at(rate, step=STEPS):
    given = rate()
    return given if isinstance(given, float) else float(given(step))


@pytest.mark.slow
@pytest.mark.parametrize("rate", [lambda: 1e-3, schedule], ids=["constant", "cosine"])
def test_a_resumed_run_takes_the_same_steps(run, tmp_path, rate):
    run(data(times=1), rate, steps=9)
    resumed = run(data(), rate)
    assert resumed.start_step == 9
    (tmp_path / "run").rename(tmp_path / "first")
    whole = run(data(times=1), rate)
    assert_same(whole.model, resumed.model)


@pytest.mark.slow
def test_steps_after_a_rollback_are_those_at_half_the_rate(run, tmp_path):
    run(data(), steps=5)
    # The rest of the steps by hand, at half the rate.
    (tmp_path / "run" / "rollbacks.jsonl").write_text('{"by": "hand"}\n')
    expected = run(data())
    (tmp_path / "run").rename(tmp_path / "first")
    received = run(data(times=1))
    assert_same(received.model, expected.model)
    (tmp_path / "run").rename(tmp_path / "second")
    full = run(data())
    differences = [
        np.abs(a - b).max()
        for a, b in zip(full.model.weights, received.model.weights, strict=True)
    ]
    assert max(differences) > 1e-4


@pytest.mark.parametrize("before", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_a_bad_batch_that_stays_stops_the_training(
    run, tmp_path, capfd, before, faults
):
    folder = tmp_path / "run"
    for _ in range(before):
        record_rollback(folder, "loss", 3, 0, 0.5)
    with pytest.raises(NonFiniteError, match="^after 3 rollbacks, .* at step 7;"):
        run(data(times=100))
    text = capfd.readouterr().err
    factors = ("0.5", "0.25", "0.125")
    for number, factor in list(enumerate(factors, start=1))[before:]:
        assert f"times {factor} (rollback {number} of 3)." in text
    assert text.count("(rollback ") == 3 - before
    assert len(rollbacks(folder)) == 3
    assert Checkpoints(folder / "checkpoints").newest() == 5
    assert not (folder / "finished.json").exists()
    faults.add(
        "a number that is not finite",
        "the same batch of infinities after each of three rollbacks",
        "ends with the step and the terms, exit code 1; the last checkpoint is good",
        times=3 - before,
    )


def test_without_it_the_training_stops_at_once(run, tmp_path, faults):
    message = "^kl, prior_nll, reconstruction is .* at step 7; codes: mean .*, standard"
    with pytest.raises(NonFiniteError, match=message):
        run(data(times=1), on_nonfinite="stop")
    assert not rollbacks(tmp_path / "run")
    assert Checkpoints(tmp_path / "run" / "checkpoints").newest() == 5
    with pytest.raises(UserError, match="to be stop or rollback, received 'ignore'"):
        run(data(), on_nonfinite="ignore")
    faults.add(
        "a number that is not finite",
        "a batch of infinities",
        "ends within that step, which is named with the terms and the codes' "
        "statistics; the last checkpoint is good",
    )


@pytest.mark.slow
@pytest.mark.parametrize("rate", [lambda: 1e-3, schedule], ids=["constant", "cosine"])
def test_two_replicas_go_back_together(run, rate):
    result = run(data(times=1), rate, strategy="mirrored")
    assert result.finished
    assert rate_of(result.model) == pytest.approx(0.5 * rate_at(rate), abs=1e-9)


@pytest.mark.slow
def test_half_precision_keeps_its_loss_scale(run):
    result = run(data(times=1), precision="mixed_float16", clip_norm=None)
    assert result.finished
    assert rate_of(result.model) == pytest.approx(5e-4)


def test_weights_that_are_not_finite_are_not_saved(run, tmp_path, faults):
    class Last(keras.optimizers.SGD):
        """Spoils the weights in the fifth step, after its loss."""

        def update_step(self, gradient, variable, learning_rate):
            spoilt = tf.where(self.iterations.value == 4, np.inf, 1.0)
            super().update_step(gradient * spoilt, variable, learning_rate)

    with pytest.raises(NonFiniteError, match="is not finite after step 5, which is n"):
        run(data(), optimizer=Last, on_nonfinite="stop", checkpoint_every=5)
    assert not (tmp_path / "run" / "checkpoints").exists()
    faults.add(
        "a number that is not finite",
        "infinite gradients of a finite loss in the step before a checkpoint",
        "the weights are named and not saved",
    )


@pytest.mark.slow
def test_a_rate_that_is_too_high_is_lowered_until_it_is_not(run, tmp_path, capfd):
    # Plain gradient descent on the codes' squares: all is NaN after some steps at a
    # rate of 1 or 2, nothing at 0.2.
    result = run(
        data(),
        lambda: 1.6,
        steps=60,
        optimizer=keras.optimizers.SGD,
        checkpoint_every=1000,
    )
    assert result.finished
    assert 1 <= len(rollbacks(tmp_path / "run")) <= 3
    assert "going on from the start with all" in capfd.readouterr().err
    for weight in result.model.weights:
        assert np.isfinite(weight).all(), weight.path


@pytest.mark.slow
def test_the_command_gives_up_with_code_1(tmp_path):
    process = commands.run(
        "train",
        gin_file="gin/embedded_digits_vae.gin",
        gin_param=[
            *commands.TINY,
            "train.batch_size = 8",
            "train.checkpoint_every = 1",
            "autoencoder/Adam.learning_rate = 1e20",
        ],
        run_dir=tmp_path / "run",
        data_dir=tmp_path / "data",
        steps=5,
        on_nonfinite="rollback",
        code=1,
    )
    lines = process.stderr.splitlines()
    assert [line.count("rollback ") for line in lines] == [1, 1, 1, 0]
    assert lines[-1].startswith("train: after 3 rollbacks, ")
    assert len(rollbacks(tmp_path / "run")) == 3

"""Runs that end once held-out images get no better."""

import math
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.evaluation.likelihood import rate_and_distortion
from tfp_priors.posteriors import DeterministicPosterior
from tfp_priors.posteriors import NormalPosterior
from tfp_priors.priors import GaussianMixturePrior
from tfp_priors.training import EarlyStopping
from tfp_priors.training import PostHoc
from tfp_priors.training import Trainer
from tfp_priors.training import checkpoints_of


def load_dataset(split):
    images = np.random.RandomState(0).randint(0, 256, (40, 8, 8, 1)).astype(np.uint8)
    return ImageDataset(images, {}, (8, 8, 1))


@pytest.fixture
def run(make_model, tmp_path):
    """Trains on noise, of which nothing is to be learned for held-out images."""

    def start(
        steps=200,
        posterior=NormalPosterior,
        beta=1.0,
        start=0,
        initialize=None,
        **kwargs,
    ):
        def model(seed):
            return make_model(posterior=posterior(4), beta=beta, seed=seed)

        optimizers = {
            group: lambda: keras.optimizers.Adam(0.02)
            for group in ("autoencoder", "prior")
        }
        trainer = Trainer(
            model,
            optimizers,
            steps,
            batch_size=16,
            early_stopping=EarlyStopping(every=2, patience=10, start=start),
            validation_share=0.5,
            jit_compile=False,
            **kwargs,
        )
        result = trainer.train(tmp_path / "run", load_dataset, initialize=initialize)
        return trainer, result

    return start


@pytest.mark.slow
def test_ends_early_with_the_best_weights_and_is_over(run, tmp_path, capsys):
    trainer, result = run()
    joint, _ = checkpoints_of(tmp_path / "run")
    best, value = joint.best()
    assert result.finished and result.step == best + 10 < 200
    told = (
        f"at step {best}, whose weights the run keeps; it ended at step {result.step}"
    )
    assert told in capsys.readouterr().err
    # By another path, with other draws: 20 images, of 64 pixels.
    _, held_out = trainer.datasets(load_dataset)
    parts = rate_and_distortion(result.model.log_terms, held_out.take(20)["image"], 50)
    bound = np.mean(parts.rate + parts.distortion)
    assert math.isclose(bound, value, rel_tol=0.05)
    again = run()[1]
    assert again.start_step == again.step == result.step
    for a, b in zip(again.model.weights, result.model.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


@pytest.mark.slow
def test_patience_counts_from_a_step(run, tmp_path):
    _, result = run(start=60)
    best, _ = checkpoints_of(tmp_path / "run")[0].best()
    assert result.step == max(best, 60) + 10


@pytest.mark.slow
def test_the_prior_at_rest_has_the_best_code(run, tmp_path):
    post_hoc = PostHoc(5, lambda: GaussianMixturePrior(4, components=2))
    _, rested = run(post_hoc=post_hoc)
    again = run(post_hoc=post_hoc)[1]
    assert again.start_step == again.step == rested.step
    (tmp_path / "run").rename(tmp_path / "rested")
    _, alone = run()
    assert rested.step == alone.step + 5
    # The encoder's batch statistics are new.
    parts = (r.model.decoder.weights for r in (alone, rested))
    for a, b in zip(*parts, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


@pytest.mark.slow
def test_goes_on_from_step_0(run, tmp_path):
    """Where weights from elsewhere are, which the first look has saved."""

    def initialize(model):
        for weight in model.decoder.weights:
            weight.assign(tf.fill(weight.shape, 0.1))

    whole = run(steps=3, initialize=initialize)[1]
    (tmp_path / "run").rename(tmp_path / "whole")
    run(steps=1, initialize=initialize)
    joint, _ = checkpoints_of(tmp_path / "run")
    shutil.rmtree(joint.directory / "step_00000001")
    assert joint.newest() == joint.best()[0] == 0
    again = run(steps=3, initialize=lambda model: pytest.fail("initialized anew"))[1]
    assert (again.start_step, again.step) == (0, 3)
    for a, b in zip(again.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


def test_what_has_no_bound_is_told_before_the_first_step(run, tmp_path):
    message = (
        "early_stopping .*: leave it unset. A DeterministicPosterior has no density"
    )
    with pytest.raises(UserError, match=message):
        run(posterior=DeterministicPosterior, beta=0.0)
    assert not (tmp_path / "run" / "config.gin").exists()
    assert not checkpoints_of(tmp_path / "run")[0].steps()
    with pytest.raises(UserError, match="expected a train.validation_share > 0"):
        Trainer(None, {}, 1, early_stopping=EarlyStopping(1, 1))
    for given in ({"every": 0}, {"patience": 0}, {"start": -1}):
        with pytest.raises(UserError, match=f"EarlyStopping.{[*given][0]}"):
            EarlyStopping(**{"every": 1, "patience": 1, **given})

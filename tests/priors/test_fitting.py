"""Priors fitted to arrays: against densities that are known, and users' mistakes."""

import errno
import os

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfp_priors import divergences
from tfp_priors import networks
from tfp_priors.errors import UserError
from tfp_priors.learning import code_learner
from tfp_priors.priors import GaussianMixturePrior
from tfp_priors.priors import GeneratorPrior
from tfp_priors.priors import MixtureStandardization
from tfp_priors.priors import RealNVPPrior
from tfp_priors.priors import StandardNormalPrior
from tfp_priors.priors import VampPrior

SEED = tf.constant([0, 1])
COVARIANCE = np.array([[4.0, 1.5], [1.5, 1.0]])
NORMAL = scipy.stats.multivariate_normal([3.0, -1.0], COVARIANCE)


def normal(n=2000, seed=0):
    return NORMAL.rvs(n, random_state=seed).astype(np.float32)


def flow(latent_size=2, **kwargs):
    settings = {"couplings": 2, "hidden_sizes": (16,), "standardize": True}
    return RealNVPPrior(latent_size, **(settings | kwargs))


@pytest.mark.slow
def test_a_flow_comes_to_the_entropy_of_a_normal():
    prior, held_out = flow(), normal(5000, seed=1)
    history = prior.fit(normal(10_000), epochs=8, batch_size=100).history
    assert len(history["loss"]) == len(history["val_loss"]) == 8
    truth = -NORMAL.logpdf(held_out).mean()
    found = prior.evaluate(held_out, learned=normal(10_000))
    assert truth - 1e-3 < found["nll"] < truth + 0.02
    # Of held-out codes that are as many and as good.
    assert abs(found["overfitting"]) < 0.05
    assert abs(found["two_sample_accuracy"] - 0.5) < 0.03
    # Two samples of 5,000 differ by about 0.02 standard deviations.
    assert found["sliced_wasserstein"] < 0.15


def test_the_best_weights_on_held_out_codes_are_kept():
    held_out = normal(500, seed=1)
    prior = flow()
    # So few that it overfits.
    history = prior.fit(
        normal(60),
        validation_data=held_out,
        epochs=20,
        batch_size=20,
        optimizer=keras.optimizers.Adam(0.02),
        patience=20,
    ).history
    assert history["val_loss"][-1] > min(history["val_loss"])
    found = prior.evaluate(held_out)["nll"]
    # Or those before the first step.
    new = flow()
    new.fit(normal(500), epochs=1, optimizer=keras.optimizers.SGD(0.0))
    best = min(*history["val_loss"], new.evaluate(held_out)["nll"])
    assert found == pytest.approx(best, rel=1e-5)


def test_a_fit_that_gains_nothing_ends_early():
    history = flow().fit(
        normal(), epochs=9, patience=2, optimizer=keras.optimizers.SGD(0.0)
    )
    assert len(history.history["loss"]) == 2


def test_callbacks_of_keras_see_the_held_out_loss():
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(logs["val_loss"])
    )
    history = flow().fit(normal(), epochs=2, callbacks=[look])
    assert seen == history.history["val_loss"] and len(seen) == 2


def test_without_held_out_codes_all_epochs_are_done():
    history = flow().fit(normal(200), epochs=3, validation_split=0.0).history
    assert "val_loss" not in history and len(history["loss"]) == 3


@pytest.mark.slow
def test_labels_are_worth_what_they_tell():
    random = np.random.RandomState(0)
    labels = random.randint(0, 2, 4000)
    codes = (random.randn(4000, 2) + 10.0 * labels[:, None]).astype(np.float32)
    prior = flow(context_size=2)
    prior.fit(codes, labels, epochs=16, batch_size=50)
    # 2 dimensions of a standard normal, given the label.
    entropy = 2 * 0.5 * np.log(2 * np.pi * np.e)
    # 4 standard errors below it, over 4,000 codes: the variance is 2 / 2.
    assert -0.063 < prior.evaluate(codes, labels)["nll"] - entropy < 0.1
    of_ones = prior.sample(50, SEED, context=tf.one_hot(tf.ones(50, tf.int32), 2))
    assert np.abs(of_ones.numpy() - 10.0).max() < 6.0


def test_codes_of_maps_come_back_as_maps(tmp_path):
    maps = normal(400).reshape(-1, 1, 2, 1)
    prior = flow()
    prior.fit(maps, epochs=1)
    assert prior.sample(5, SEED).shape == (5, 1, 2, 1)
    back = prior.from_base(prior.to_base(maps))
    np.testing.assert_allclose(back, maps, atol=1e-4)
    np.testing.assert_allclose(
        prior.log_prob(maps), prior.log_prob(maps.reshape(-1, 2)), rtol=1e-6
    )
    prior.save(tmp_path / "prior.keras")
    loaded = keras.saving.load_model(tmp_path / "prior.keras")
    np.testing.assert_array_equal(loaded.sample(5, SEED), prior.sample(5, SEED))


@pytest.mark.parametrize(
    "prior",
    [
        flow(standardize=MixtureStandardization(4)),
        GaussianMixturePrior(2, components=2),
        GeneratorPrior(2, hidden_sizes=(8,), standardize=True),
        StandardNormalPrior(2),
    ],
    ids=lambda prior: type(prior).__name__,
)
def test_a_file_holds_the_whole_prior(prior, tmp_path):
    prior.fit(normal(300), epochs=1)
    prior.save(tmp_path / "prior.keras")
    loaded = keras.saving.load_model(tmp_path / "prior.keras")
    np.testing.assert_array_equal(loaded.sample(9, SEED), prior.sample(9, SEED))


@pytest.mark.slow
def test_all_forms_of_the_same_codes_are_one(tmp_path):
    codes = normal(300)
    np.save(tmp_path / "codes.npy", codes)
    batches = tf.data.Dataset.from_tensor_slices(codes).batch(128)
    forms = [
        codes,
        codes.astype(np.float64),
        np.load(tmp_path / "codes.npy", mmap_mode="r"),
        batches,
        codes.tolist(),
    ]
    seen = []
    for form in forms:
        keras.utils.set_random_seed(0)
        seen.append(flow().fit(form, epochs=1, batch_size=64).history["val_loss"])
    assert all(losses == seen[0] for losses in seen)


def test_what_does_not_fit_into_memory_is_read_as_it_is_needed(monkeypatch):
    def losses():
        keras.utils.set_random_seed(0)
        return flow().fit(normal(300), epochs=2, batch_size=64).history["val_loss"]

    kept = losses()
    monkeypatch.setattr(code_learner, "_KEPT_BYTES", 0)
    np.testing.assert_allclose(losses(), kept, rtol=1e-5)
    # Moments of a part of the codes are other ones.
    monkeypatch.setattr(code_learner, "_FITTED_BYTES", 8 * 100)
    part = losses()
    assert part != kept
    np.testing.assert_allclose(part, kept, atol=0.2)


def test_an_adversarial_divergence_leads_a_generator():
    critic = divergences.AdversarialDivergence(networks.MLP((8,), 1))
    prior = GeneratorPrior(2, hidden_sizes=(8,), standardize=True)
    history = prior.fit(normal(300), epochs=2, divergence=critic).history
    assert np.isfinite(history["discriminator_loss"]).all()
    assert "val_loss" not in history


def test_a_constant_column_is_no_trouble():
    codes = normal(300)
    codes[:, 1] = 7.0
    prior = flow()
    history = prior.fit(codes, epochs=2).history
    assert np.isfinite(history["val_loss"]).all()
    np.testing.assert_allclose(prior.sample(20, SEED)[:, 1], 7.0, atol=0.05)


def test_codes_far_from_a_new_prior_are_told():
    with pytest.warns(UserWarning, match="give it standardize=True"):
        flow(standardize=False).fit(100 * normal(100), epochs=1)
    with pytest.warns(UserWarning, match="The contexts have .*give it standardize"):
        prior = flow(standardize=False, context_size=2)
        prior.fit(normal(100), context=100 * normal(100), epochs=1)


def test_few_codes_are_told():
    with pytest.warns(UserWarning, match="^2 codes of 3 dimensions tell"):
        flow(3).fit(np.eye(3), epochs=1)


def test_one_dimension():
    codes = np.random.RandomState(0).randn(500, 1) * 2 + 5
    prior = GaussianMixturePrior(1, components=1, standardize=True)
    prior.fit(codes, validation_split=0.0)
    truth = -scipy.stats.norm(codes.mean(), codes.std()).logpdf(codes).mean()
    assert prior.evaluate(codes)["nll"] == pytest.approx(truth, abs=1e-3)


CODES = normal(40)
WITH_NAN = np.where(np.arange(40)[:, None] == 3, np.nan, CODES)
BATCHES = tf.data.Dataset.from_tensor_slices(CODES).batch(9)


@pytest.mark.parametrize(
    ("codes", "settings", "message"),
    [
        (WITH_NAN, {}, "finite codes .* in row 3"),
        (np.array([["a", "b"]] * 9), {}, "codes of numbers, received <U1"),
        (np.ma.masked_greater(CODES, 1.0), {}, "codes without a mask"),
        (CODES[:1], {}, "at least 2 codes"),
        (CODES[:0], {}, r"with a row each, received \(0, 2\)"),
        (CODES[:, :1], {}, r"\[n, 2\] .* received \[n, 1\]: set its latent_size = 1"),
        (CODES[:, 0], {}, r"of shape \[n, 2\], received \[40\]: give a row of numbe"),
        (3.5, {}, r"codes as an array, received a float: load or collect"),
        ({"codes": CODES}, {}, r"codes as an array, received a dict: load"),
        (CODES, {"context": np.arange(40)}, "context of width 0"),
        (CODES, {"validation_split": 1.0}, "validation_split must be a number in"),
        (CODES, {"epochs": 0}, "fit.epochs must be at least 1"),
        (CODES, {"batch_size": 0}, "fit.batch_size must be at least 1"),
        (CODES, {"validation_data": CODES[:, :1]}, "latent_size"),
        (BATCHES.repeat(), {}, "finite tf.data"),
        (tf.data.Dataset.from_tensor_slices(CODES[:0]).batch(9), {}, "empty"),
        (BATCHES, {"context": np.zeros(40)}, "the context in the tf.data.Dataset, as"),
        (BATCHES.map(lambda z: {"codes": z}), {}, r"pairs \(codes, context\): map it"),
        (BATCHES.map(lambda z: (z, z, z)), {}, r"pairs \(codes, context\): map it"),
        (BATCHES.unbatch(), {}, "a tf.data.Dataset of batches of codes: batch it"),
        (CODES, {"callbacks": [print]}, "callbacks of Keras, received <built-in func"),
    ],
)
def test_mistakes(codes, settings, message):
    with pytest.raises(UserError, match=message):
        flow().fit(codes, **settings)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (None, "context of width 3, received none"),
        (np.arange(39), "for each of the 40 codes"),
        (np.arange(40), "labels from 0 to 2, .* received 0 to 39"),
        (np.zeros((40, 2)), "context of 3 numbers"),
        (np.array(["a", "b"] * 20), "received <U1: number labels"),
    ],
)
def test_mistakes_of_the_context(context, message):
    with pytest.raises(UserError, match=message):
        flow(context_size=3).fit(CODES, context)


def test_more_components_than_codes():
    with pytest.raises(UserError, match="50 codes for a mixture of 50, received 36"):
        GaussianMixturePrior(2, components=50).fit(CODES)


def test_a_prior_of_an_encoder_needs_its_model():
    with pytest.raises(UserError, match="call connect"):
        VampPrior(2, (8, 8, 1), pseudo_inputs=3).fit(CODES)


@pytest.fixture(scope="module")
def of_maps():
    """A flow that has learned from codes of shape [1, 2]."""
    prior = flow()
    prior.fit(CODES.reshape(-1, 1, 2), epochs=1)
    return prior


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"divergence": "kl"}, "a divergence of tfp_priors.divergences"),
        ({"seed": -1}, "seed in"),
        ({"validation_split": "a"}, "validation_split must be a number in"),
        ({"validation_data": (CODES, CODES, CODES)}, "received 3 arrays"),
        ({"patience": 0}, "fit.patience must be at least 1"),
    ],
)
def test_mistakes_of_the_settings_change_nothing(of_maps, settings, message):
    before = of_maps.sample(3, SEED)
    with pytest.raises(UserError, match=message):
        of_maps.fit(CODES, **settings)
    np.testing.assert_array_equal(of_maps.sample(3, SEED), before)


def test_codes_whose_squares_are_infinite_are_refused():
    codes = CODES.copy()
    codes[7, 1] = -2e18
    with pytest.raises(UserError, match="below 1e.18 in size, .* -2e.18 in row 7: "):
        flow().fit(codes)


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
def test_a_loss_that_is_not_finite_is_told():
    with pytest.raises(UserError, match="is not finite: scale the codes"):
        optimizer = keras.optimizers.SGD(1e38)
        flow().fit(CODES, epochs=2, patience=2, optimizer=optimizer)


def test_draws_of_a_context():
    prior = flow(context_size=3)
    prior.fit(CODES, np.arange(40) % 3, epochs=1)
    one_hot = prior.sample(2, context=tf.constant([[0.0, 1.0, 0.0]] * 2))
    np.testing.assert_array_equal(prior.sample(2, context=[1, 1]), one_hot)
    for context in ([1, 1, 1], np.eye(3, dtype=np.float32)):
        with pytest.raises(UserError, match="for each of the 2 codes"):
            prior.sample(2, context=context)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": -1}, "whole number of draws >= 0, received -1"),
        ({"n": 2.5}, "received 2.5"),
        ({"n": 2, "temperature": -1.0}, r"in \[0, inf\), received -1.0"),
        ({"n": 2, "temperature": np.inf}, r"in \[0, inf\), received inf"),
        ({"n": 2, "temperature": None}, r"in \[0, inf\), received None"),
    ],
)
def test_mistakes_of_draws(given, message):
    with pytest.raises(UserError, match=message):
        GaussianMixturePrior(2, components=2).sample(**given)


def test_codes_of_another_width_are_refused(of_maps):
    with pytest.raises(UserError, match=r"Expected codes \[n, 2\] or .*received"):
        of_maps.log_prob(np.zeros((4, 3), np.float32))


def test_a_generator_is_measured_without_a_density():
    prior = GeneratorPrior(2, hidden_sizes=(8,), standardize=True)
    prior.fit(CODES, epochs=1)
    found = prior.evaluate(CODES, learned=CODES)
    assert set(found) == {"two_sample_accuracy", "sliced_wasserstein"}


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="ends in .keras"):
        flow().save(tmp_path / "prior.h5")


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "prior.keras"
    prior = GaussianMixturePrior(2, components=2)
    prior.build()
    prior.save(path)
    before = path.read_bytes()

    def stopped(model, filepath):
        filepath.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keras.saving, "save_model", stopped)
    with pytest.raises(OSError, match="No space left"):
        prior.save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["prior.keras"]


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adam"},
        {"divergence": divergences.KLDivergence()},
        {"patience": 3},
        {"callbacks": [keras.callbacks.Callback()]},
    ],
)
def test_what_only_steps_obey_is_refused_by_em(settings):
    (name,) = settings
    with pytest.raises(UserError, match=f"without gradient steps: leave {name} out"):
        GaussianMixturePrior(2, components=2).fit(CODES, **settings)


def test_a_frozen_prior_learns_nothing():
    prior = flow()
    prior.trainable = False
    with pytest.raises(UserError, match="learn nothing: its trainable is False"):
        prior.fit(CODES)


def test_a_prior_that_ignores_its_context_is_told_apart():
    """Its codes are the right ones, but for the wrong labels."""
    labels = np.arange(2000) % 2
    codes = normal(2000) + 8.0 * labels[:, None].astype(np.float32)
    mixture, blind = (
        GaussianMixturePrior(2, components=2, standardize=True, context_size=size)
        for size in (0, 2)
    )
    mixture.fit(codes)
    blind.build()
    # The last ones, those of the context, are zero until it learns.
    for same, variable in zip(blind.weights, mixture.weights, strict=False):
        same.assign(variable)
    found = blind.evaluate(codes, labels)
    # Half of its draws lie where others have their label; the rest are as good.
    assert found["two_sample_accuracy"] == pytest.approx(0.75, abs=0.03)
    assert found["sliced_wasserstein"] < 1.0

"""Autoencoders whose codes are maps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tfp_priors import divergences
from tfp_priors import models
from tfp_priors import networks
from tfp_priors import posteriors
from tfp_priors import priors
from tfp_priors import regularizers
from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.evaluation.evaluator import Evaluator
from tfp_priors.evaluation.subject import subject_of_model
from tfp_priors.evaluation.subject import subject_of_saved_model
from tfp_priors.export import export
from tfp_priors.training import PostHoc

SHAPE = (8, 8, 1)
CODE = (4, 4, 2)
IMAGES = np.random.RandomState(0).rand(40, *SHAPE).astype("f4")


@pytest.fixture
def model(make_model):
    """With networks of Keras, as a user has them."""
    model = make_model(
        encoder=keras.Sequential(
            [keras.Input(SHAPE), keras.layers.Conv2D(6, 2, strides=2)]
        ),
        posterior=posteriors.NormalPosterior(CODE),
        decoder=keras.Sequential(
            [keras.Input(CODE), keras.layers.Conv2DTranspose(1, 2, strides=2)]
        ),
        prior=priors.RealNVPPrior(
            CODE, couplings=2, hidden_sizes=(6,), standardize=True
        ),
        regularizers=[regularizers.LatentReconstruction(weight=0.1)],
    )
    randomize(model.prior)
    return model


def test_codes_are_maps(model):
    z = model.encode(IMAGES)
    assert z.shape == (40, *CODE) and model.code_shape == CODE
    assert model.sample_prior(3).shape == (3, *CODE)
    np.testing.assert_allclose(model.decode(z), model.reconstruct(IMAGES), atol=1e-6)
    z0 = model.to_base(z)
    assert z0.shape == (40, 32)
    np.testing.assert_allclose(model.from_base(z0), z, atol=1e-4)
    np.testing.assert_allclose(
        model.log_prob(z), model.log_prob(tf.reshape(z, [40, 32])), rtol=1e-6
    )


@pytest.mark.slow
def test_it_learns_along_and_at_rest(model):
    model.compile("adam")
    history = model.fit(IMAGES, batch_size=20, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    summary = model.summary_of({"image": IMAGES})
    assert summary.pictures["samples"].shape == (100, *SHAPE)
    at_rest = model.at_rest()
    at_rest.compile("adam")
    dataset = ImageDataset(np.rint(255 * IMAGES).astype(np.uint8), {}, SHAPE)
    rows, _ = PostHoc(steps=1).encode(at_rest, dataset)
    assert rows.shape == (40, 64)
    at_rest.fit_directly(rows, 1, 0)
    batches = at_rest.code_batches(rows, batch_size=20)
    before = at_rest.measure(rows)()
    at_rest.fit(batches.take(40), verbose=0, shuffle=False)
    assert at_rest.measure(rows)() < before


def test_a_subject_has_rows(model):
    dataset = ImageDataset(np.rint(255 * IMAGES).astype(np.uint8), {}, SHAPE)
    subject = subject_of_model(model, "weights")
    assert subject.encode(IMAGES).shape == (40, 32)
    assert subject.sample_codes(4, 0)["z"].shape == (4, 32)
    assert subject.from_base(tf.zeros([4, 32])).shape == (4, 32)
    evaluator = Evaluator(subject, lambda split: dataset)
    for name in ("prior_nll_test", "two_sample_accuracy_quadratic_test"):
        assert np.isfinite(evaluator.evaluate(name)[0]["value"])


def test_saved_and_exported(model, tmp_path):
    drawn = model.sample(3, seed=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.sample(3, seed=1), drawn, atol=1e-6)
    export(model, tmp_path / "exported")
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    z = exported.encode(IMAGES)
    assert z.shape == (40, *CODE)
    np.testing.assert_allclose(exported.decode(z), model.reconstruct(IMAGES), atol=1e-6)
    np.testing.assert_allclose(exported.log_prob(z), model.log_prob(z), rtol=1e-5)
    np.testing.assert_allclose(exported.sample(3, 1, 1.0), drawn, atol=1e-6)


def test_networks_that_see_the_label(make_model):
    """As further channels of images and codes."""
    label = networks.LabelContext(3, conditions_networks=True)
    encoder = networks.MapEncoder((8, 8, 4), width=4, halvings=1, blocks=1)
    decoder = networks.MapDecoder(SHAPE, width=4, halvings=1, blocks=1)
    model = make_model(
        encoder=networks.ConditionalEncoder(encoder, label),
        posterior=posteriors.DeterministicPosterior(CODE),
        decoder=networks.ConditionalDecoder(decoder, label),
        prior=priors.FlowMatchingPrior(CODE, units=(4,), context_size=3),
        divergence=divergences.FlowMatchingDivergence(),
        conditioner=label,
    )
    randomize(model.decoder)
    labels = np.arange(4) % 3
    assert model.encode(IMAGES[:4], labels).shape == (4, *CODE)
    z = tf.random.stateless_normal([4, *CODE], [1, 2])
    one, other = (model.decode(z, condition=y) for y in (labels, (labels + 1) % 3))
    assert np.abs(one - other).max() > 1e-4


def test_a_prior_of_maps_on_an_autoencoder_from_elsewhere():
    encoder = keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Conv2D(2, 2, strides=2)]
    )
    decoder = keras.Sequential(
        [keras.Input(CODE), keras.layers.Conv2DTranspose(1, 2, 2, activation="sigmoid")]
    )
    prior = priors.FlowMatchingPrior(CODE, units=(4,), steps=2, standardize=True)
    prior.fit(encoder.predict(IMAGES, verbose=0), epochs=1)
    model = models.attach(encoder, decoder, prior)
    np.testing.assert_allclose(model.encode(IMAGES), encoder(IMAGES), atol=1e-6)
    np.testing.assert_allclose(
        model.sample(3, seed=1), decoder(prior.sample(3, seed=1)), atol=1e-5
    )


def test_maps_in_another_order_are_refused():
    prior = priors.FlowMatchingPrior(CODE)
    with pytest.raises(UserError, match="received .n, 2, 4, 4.: put the"):
        prior.fit(np.zeros([40, 2, 4, 4], "f4"))


@pytest.mark.parametrize(
    "shape", [(4, 16), (4, 31), (4, 2, 4, 4), (4, 8, 8, 2), (4, 4, 2)]
)
def test_what_is_no_code_is_not_decoded(model, shape):
    with pytest.raises(UserError, match=r"codes \[n, 32\] or \[n, 4, 4, 2\], received"):
        model.decode(np.zeros(shape, "f4"))


def test_rows_and_lists_are_codes(model):
    z = model.encode(IMAGES[:2]).numpy()
    expected = model.decode(z)
    np.testing.assert_array_equal(model.decode(z.reshape(2, 32)), expected)
    np.testing.assert_array_equal(model.decode(z.tolist()), expected)
    np.testing.assert_array_equal(model.decode(z.astype("f8")), expected)


def test_a_prior_of_vectors_takes_maps_for_rows(make_model):
    model = make_model(
        encoder=networks.MapEncoder(SHAPE, width=4, halvings=1, blocks=1),
        posterior=posteriors.DeterministicPosterior(CODE),
        decoder=networks.MapDecoder(SHAPE, width=4, halvings=1, blocks=1),
        prior=priors.GaussianMixturePrior(32, components=2, standardize=True),
    )
    z = model.encode(IMAGES)
    assert model.code_shape == CODE and z.shape == (40, *CODE)
    assert model.log_prob(z).shape == (40,)
    assert model.sample_prior(3).shape == (3, *CODE)
    assert model.sample(3).shape == (3, *SHAPE)


@pytest.mark.slow
def test_an_export_as_a_subject_has_rows(model, tmp_path):
    export(model, tmp_path / "exported")
    exported = subject_of_saved_model(tmp_path / "exported")
    ours = subject_of_model(model, "weights")
    z = exported.encode(tf.constant(IMAGES))
    np.testing.assert_allclose(z, ours.encode(IMAGES), atol=1e-5)
    np.testing.assert_allclose(exported.decode(z), ours.decode(z), atol=1e-5)
    np.testing.assert_allclose(exported.log_prob(z), ours.log_prob(z), rtol=1e-5)
    z0 = exported.to_base(z)
    np.testing.assert_allclose(exported.from_base(z0), z, atol=1e-4)


def test_attached_codes_with_the_channels_first():
    encoder = keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Reshape((2, 8, 4))]
    )
    with pytest.raises(UserError, match=r"received \[n, 2, 8, 4\]: put the channels"):
        models.attach(encoder, encoder, priors.StandardNormalPrior((8, 4, 2)))


def test_a_code_model_of_other_maps():
    with pytest.raises(UserError, match=r"received \[n, 2, 4, 4\]: put the channels"):
        models.CodeModel(priors.RealNVPPrior(CODE), code_shape=(2, 4, 4))
    with pytest.raises(UserError, match=r"received \[n, 3, 3\]: set its latent_size"):
        models.CodeModel(priors.RealNVPPrior(32), code_shape=(3, 3))


def test_parts_of_different_maps(make_model):
    with pytest.raises(UserError, match=r"size, received \(4, 4, 2\) and 16"):
        make_model(
            posterior=posteriors.NormalPosterior(CODE), prior=priors.RealNVPPrior(16)
        )

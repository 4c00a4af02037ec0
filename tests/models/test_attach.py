"""Autoencoders that were trained elsewhere, with a prior of ours."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_priors import models
from tfp_priors import networks
from tfp_priors.errors import UserError
from tfp_priors.evaluation.subject import subject_of_model
from tfp_priors.export import export
from tfp_priors.priors import GaussianMixturePrior
from tfp_priors.priors import RealNVPPrior
from tfp_priors.priors import StandardNormalPrior

BLACK = np.zeros((8, 8, 1), np.float32)
IMAGES = np.random.RandomState(0).rand(60, 8, 8, 1).astype(np.float32)


@pytest.fixture(scope="module")
def parts():
    """An encoder to maps and a decoder, of images in [-1, 1]."""
    encoder = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, strides=2, padding="same")]
    )
    decoder = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            keras.layers.Conv2DTranspose(
                1, 3, strides=2, padding="same", activation="tanh"
            ),
        ]
    )
    prior = GaussianMixturePrior(32, components=1, standardize=True)
    prior.fit(encoder(2 * IMAGES - 1).numpy())
    return encoder, decoder, prior


def test_a_model_of_which_nothing_learns_is_evaluated(parts):
    encoder, decoder, _ = parts
    prior = StandardNormalPrior(32)
    model = models.attach(encoder, decoder, prior, value_range=(-1, 1))
    model.compile()
    found = model.evaluate(IMAGES, verbose=0, return_dict=True)
    codes = encoder(2 * IMAGES - 1).numpy().reshape(60, 32)
    nll = -prior.log_prob(codes)
    assert found["prior_nll"] == pytest.approx(np.mean(nll), rel=1e-5)


def test_the_model_does_what_its_parts_do(parts, tmp_path):
    encoder, decoder, prior = parts
    model = models.attach(encoder, decoder, prior, value_range=(-1, 1))
    codes = encoder(2 * IMAGES - 1)
    np.testing.assert_allclose(model.encode(IMAGES), codes)
    decoded = (decoder(codes) + 1) / 2
    np.testing.assert_allclose(model.reconstruct(IMAGES), decoded, atol=1e-6)
    drawn = (decoder(prior.sample(5, tf.constant([3, 0]))) + 1) / 2
    np.testing.assert_allclose(model.sample(5, seed=3), drawn, atol=1e-6)
    assert model.variable_groups()["autoencoder"] == []
    subject = subject_of_model(model, "attached")
    assert subject.sample_codes(4, 0)["z"].shape == (4, 32)
    export(model, tmp_path / "exported")
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.sample(5, 3, 1.0), drawn, atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.sample(5, seed=3), drawn, atol=1e-6)


def test_only_the_prior_learns(parts):
    encoder, decoder, _ = parts
    prior = RealNVPPrior(32, couplings=2, hidden_sizes=(8,), standardize=True)
    model = models.attach(encoder, decoder, prior, value_range=(-1, 1))
    before = [w.numpy() for w in encoder.weights + decoder.weights]
    model.compile("adam")
    model.fit(IMAGES, batch_size=10, verbose=0)
    for weight, old in zip(encoder.weights + decoder.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_functions_will_do():
    def encoder(images):
        return tf.reduce_mean(images, axis=[1, 3])

    def decoder(z):
        return tf.tile(z[:, None, :, None], [1, 8, 1, 1])

    prior = GaussianMixturePrior(8, components=1, standardize=True)
    prior.fit(encoder(IMAGES))
    model = models.attach(encoder, decoder, prior, image_shape=(8, 8, 1))
    np.testing.assert_allclose(
        model.reconstruct(IMAGES), np.tile(IMAGES.mean(1, keepdims=True), (1, 8, 1, 1))
    )


def test_networks_of_this_library_say_their_shape_themselves():
    encoder = networks.InfoGANEncoder((8, 8, 1), width=1)
    decoder = networks.InfoGANDecoder((8, 8, 1), width=1)
    prior = GaussianMixturePrior(16, components=1, standardize=True)
    prior.fit(encoder(IMAGES))
    model = models.attach(encoder, lambda z: tf.sigmoid(decoder(z)), prior)
    assert model.image_shape == (8, 8, 1)
    np.testing.assert_allclose(model.encode(IMAGES), encoder(IMAGES), atol=1e-6)


def test_networks_of_others_keep_their_precision():
    with_half = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(16, dtype="mixed_bfloat16"),
        ]
    )
    prior = GaussianMixturePrior(16, components=1)
    codes = with_half.predict(IMAGES, verbose=0)
    prior.fit(codes)
    decoder = keras.layers.Dense(64, "sigmoid")
    shaped = lambda z: tf.reshape(decoder(z), [-1, 8, 8, 1])  # noqa: E731
    model = models.attach(with_half, shaped, prior)
    model.compile("adam")
    np.testing.assert_array_equal(model.encode(IMAGES), codes.astype("float32"))
    half = with_half(IMAGES)
    assert half.dtype == tf.bfloat16
    expected = prior.log_prob(tf.cast(half, tf.float32))
    np.testing.assert_array_equal(prior.log_prob(half), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prior": GaussianMixturePrior(31)}, "set its latent_size = 32"),
        ({}, r"decoder of images in \(0.0, 1.0\), received values from -"),
        ({"decoder": lambda z: z}, r"images of shape \(8, 8, 1\), received \(4, 4, 2"),
        ({"decoder": lambda z: z.numpy()}, "TensorFlow tensors, received .* ndarray"),
        ({"encoder": tf.abs}, "function of no shape: .*, or an image_shape.$"),
        ({"image_shape": (9, 9, 3)}, r"encoder cannot take inputs of shape \(2, 9"),
        ({"image_shape": 8}, r"image_shape .*, received 8"),
        ({"image_shape": (8, 8)}, "image_shape .* of whole numbers"),
        ({"image_shape": (8, 8, 0.5)}, "image_shape .* of whole numbers"),
        ({"value_range": (1, 0)}, "value_range"),
        ({"value_range": None}, "value_range .*, received None"),
        ({"value_range": ("low", 1)}, "two finite numbers"),
        ({"value_range": (0, np.inf)}, "two finite numbers"),
        ({"value_range": (0, 1, 2)}, "value_range"),
        ({"encoder": None}, "Expected as encoder a Keras model, .* received None"),
        ({"decoder": GaussianMixturePrior(32)}, "Expected as decoder a Keras model"),
        ({"encoder": keras.Sequential}, "Expected as encoder a Keras model"),
        ({"decoder": lambda z: [z, z]}, "decoder to have one output, received 2 of"),
        ({"image_shape": (3, 8, 8)}, "put the channels last"),
        (
            {"decoder": lambda z: tf.constant(z.numpy()[:, :1, :1, :1] * BLACK)},
            "decoder works on values, not within a graph: .* tf.numpy_function",
        ),
        ({"seed": -1}, "seed"),
    ],
)
def test_mistakes(parts, change, message):
    given = dict(zip(("encoder", "decoder", "prior"), parts, strict=True))
    if not change:
        # An affine last layer, far off the range.
        given["decoder"] = lambda z: parts[1](z) - 1
    with pytest.raises(UserError, match=message):
        models.attach(**(given | change))


def test_images_of_whole_numbers_are_scaled_too(parts):
    def decoder(z):
        return tf.cast(tf.reshape(z, [-1, 8, 8, 1]), tf.uint8)

    prior = StandardNormalPrior(64)
    encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    model = models.attach(encoder, decoder, prior, value_range=(0, 255))
    expected = (IMAGES * 255).astype(np.uint8) / 255
    np.testing.assert_allclose(model.reconstruct(IMAGES), expected, atol=1e-6)


def test_a_range_of_which_nothing_is_used_is_asked_about(parts):
    encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])

    def decoder(z):
        return tf.sigmoid(tf.reshape(z, [-1, 8, 8, 1]))

    prior = StandardNormalPrior(64)
    with pytest.warns(UserWarning, match="is it that of its images"):
        models.attach(encoder, decoder, prior, value_range=(0, 255))


def test_an_encoder_that_draws_is_told():
    def encoder(images):
        codes = tf.reshape(images, [-1, 64])
        return codes + tf.random.normal(tf.shape(codes))

    def decoder(z):
        return tf.sigmoid(tf.reshape(z, [-1, 8, 8, 1]))

    with pytest.warns(UserWarning, match="encodes is random. Take the mean"):
        models.attach(encoder, decoder, StandardNormalPrior(64), (8, 8, 1))


def test_a_network_that_is_held_fixed_drops_nothing(parts):
    _, decoder, _ = parts
    encoder = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dropout(0.5)]
    )
    decoder = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dropout(0.5), keras.layers.Reshape((8, 8, 1))]
    )
    prior = StandardNormalPrior(64)
    model = models.attach(encoder, decoder, prior)
    parameters = model.posterior_parameters(IMAGES, training=True)
    codes = IMAGES.reshape(60, 64)
    np.testing.assert_allclose(model.posterior.code(parameters), codes)
    np.testing.assert_allclose(model.decode(codes, training=True), IMAGES, atol=1e-6)


def test_a_function_is_not_written_to_a_file(tmp_path):
    def encoder(images):
        return tf.reshape(images, [-1, 64])

    def decoder(z):
        return tf.reshape(z, [-1, 8, 8, 1])

    prior = StandardNormalPrior(64)
    model = models.attach(encoder, decoder, prior, image_shape=(8, 8, 1))
    with pytest.raises(UserError, match="cannot hold <function .*take export.export"):
        model.save(tmp_path / "a.keras")
    assert not list(tmp_path.iterdir())

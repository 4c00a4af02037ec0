import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tfp_priors import likelihoods
from tfp_priors import regularizers
from tfp_priors.errors import UserError
from tfp_priors.priors import RealNVPPrior
from tfp_priors.priors import StandardNormalPrior

SEED = tf.constant([1, 2])


class LinearDecoder(keras.layers.Layer):
    """Images A z, without the clutter of a network."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = self.add_weight(name="matrix", shape=matrix.shape)
        self.matrix.assign(matrix)
        self.built = True

    def call(self, z, training=False):
        return tf.reshape(tf.matmul(z, self.matrix, transpose_b=True), [-1, 8, 8, 1])

    def compute_output_shape(self, shape):
        return (shape[0], 8, 8, 1)


class Identity(likelihoods.BernoulliLikelihood):
    """A likelihood whose mean is the decoder's output."""

    def mean(self, outputs):
        return outputs


@pytest.fixture
def linear(make_model):
    matrix = np.random.RandomState(0).randn(64, 4)
    return matrix, make_model(decoder=LinearDecoder(matrix), likelihood=Identity())


def test_code_norm(linear):
    z = np.random.RandomState(1).randn(5, 4).astype(np.float32)
    received = regularizers.CodeNorm(1.0).term(linear[1], tf.constant(z), SEED)
    np.testing.assert_allclose(received, 0.5 * (z**2).sum(1), rtol=1e-5)


def test_decoder_weights(linear):
    matrix, model = linear
    received = regularizers.DecoderWeights(1.0).term(model, tf.zeros([1, 4]), SEED)
    np.testing.assert_allclose(received, (matrix**2).sum(), rtol=1e-5)


def test_decoder_gradient_is_the_frobenius_norm_on_average(linear):
    matrix, model = linear
    n = 4000
    received = regularizers.DecoderGradient(1.0).term(model, tf.zeros([n, 4]), SEED)
    error = received.numpy().std() / np.sqrt(n)
    assert abs(received.numpy().mean() - (matrix**2).sum()) < 4 * error
    assert error > 0


def test_decoder_gradient_moves_the_decoder(make_model):
    model = make_model(beta=0.0)
    z = tf.random.stateless_normal([3, 4], SEED)
    with tf.GradientTape() as tape:
        term = regularizers.DecoderGradient(1.0).term(model, z, SEED)
        loss = tf.reduce_sum(term)
    first = model.decoder.trainable_variables[0]
    assert np.abs(tape.gradient(loss, first.value)).max() > 0


def test_latent_reconstruction_by_hand(make_model):
    model = make_model(prior=StandardNormalPrior(4))
    randomize(model.posterior, scale=0.5)
    z = tf.zeros([6, 4])
    received = regularizers.LatentReconstruction(1.0).term(model, z, SEED)
    draws = model.prior.sample(6, SEED)
    codes = model.encode(model.decode(draws))
    expected = np.abs(codes - draws).sum(1)
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_latent_reconstruction_moves_the_decoder_alone(make_model):
    prior = RealNVPPrior(4, couplings=2, hidden_sizes=(4,))
    model = make_model(prior=prior)
    randomize(model)
    with tf.GradientTape() as tape:
        term = regularizers.LatentReconstruction(1.0).term(
            model, tf.zeros([6, 4]), SEED
        )
        loss = tf.reduce_mean(term)
    parts = {
        name: [v.value for v in part.trainable_variables]
        for name, part in {**model.autoencoder, "prior": prior}.items()
    }
    gradients = tape.gradient(loss, parts)
    for name, values in gradients.items():
        moved = [v is not None and np.abs(v).max() > 0 for v in values]
        assert all(moved) if name == "decoder" else not any(moved), name


def test_terms_add_to_the_objective(make_model):
    parts = {"prior": StandardNormalPrior(4)}
    plain = make_model(**parts)
    terms = (regularizers.CodeNorm(0.5), regularizers.DecoderWeights(1e-3))
    model = make_model(**parts, regularizers=terms)
    for source, target in zip(plain.weights, model.weights, strict=True):
        target.assign(source)
    images = tf.random.stateless_uniform([8, 8, 8, 1], [3, 4])
    a, b = (m.objective(images, 0.0, SEED) for m in (plain, model))
    metrics = b.metrics
    expected = a.loss + 0.5 * metrics["code_norm"] + 1e-3 * metrics["decoder_weights"]
    np.testing.assert_allclose(b.loss, expected, rtol=1e-6)
    assert metrics["decoder_weights"] > 0


def test_bad_weight():
    with pytest.raises(UserError, match=r"CodeNorm.weight must .* in \[0, inf\)"):
        regularizers.CodeNorm(-1.0)

"""Keras models of a user as encoder and decoder, and parts that are none."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.conftest import small_decoder
from tests.conftest import small_encoder
from tfp_priors import divergences
from tfp_priors import likelihoods
from tfp_priors import posteriors
from tfp_priors import priors
from tfp_priors import regularizers
from tfp_priors.errors import UserError

SHAPE = (8, 8, 1)
LATENT_SIZE = 4
L = keras.layers


def network(shape, *outputs):
    """A Keras model with a dense layer per output; each is (shape, activation)."""
    x = keras.Input(shape)
    flat = keras.layers.Flatten()(x)
    made = [
        keras.layers.Reshape(of)(keras.layers.Dense(int(np.prod(of)), activation)(flat))
        for of, activation in outputs
    ]
    return keras.Model(x, made[0] if len(made) == 1 else made)


def test_models_of_keras_are_networks_as_they_are(make_model):
    model = make_model(
        encoder=network(SHAPE, ((6,), "relu")),
        decoder=network((LATENT_SIZE,), (SHAPE, None)),
    )
    assert model.image_shape == SHAPE
    assert model.sample(3).shape == (3, *SHAPE)


def test_features_that_are_maps_are_rows_of_a_vector_code(make_model):
    """As with a Flatten at the encoder's end."""
    maps = network(SHAPE, ((2, 2, 3), "relu"))
    flat = keras.Sequential([maps, keras.layers.Flatten()])
    one, two = make_model(encoder=maps), make_model(encoder=flat)
    for ours, theirs in zip(two.posterior.weights, one.posterior.weights, strict=True):
        ours.assign(theirs)
    images = np.random.RandomState(0).rand(5, *SHAPE).astype("f4")
    np.testing.assert_allclose(one.encode(images), two.encode(images), atol=1e-6)


def of_unknown_size():
    layer = keras.layers.Lambda(lambda x: x[:, 0, 0], output_shape=(None,))
    return keras.Sequential([keras.Input(SHAPE), layer])


def two_inputs():
    x, y = keras.Input(SHAPE), keras.Input((3,))
    flat = keras.layers.Flatten()(x)
    return keras.Model([x, y], keras.layers.Concatenate()([flat, y]))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"encoder": network(SHAPE, ((2,), None), ((2,), None))},
            r"encoder to have 1 output\(s\), received 2",
        ),
        ({"encoder": two_inputs()}, r"encoder to have 1 input\(s\), received 2"),
        (
            {"encoder": keras.Sequential([keras.layers.Dense(4)])},
            "of no shape: give it an Input",
        ),
        ({"encoder": of_unknown_size()}, r"features of known size, received \(None,\)"),
        ({"encoder": lambda x: x}, "encoder to be a Keras Layer, received a function"),
        ({"encoder": "resnet"}, "encoder to be a Keras Layer, received 'resnet'"),
        (
            {"decoder": network((3,), (SHAPE, None))},
            r"decoder to take inputs of shape \(None, 4\), its own are \(None, 3\)",
        ),
        (
            {"decoder": network((LATENT_SIZE,), ((64,), None))},
            r"decoder of outputs of shape \(8, 8, 1\)",
        ),
        (
            {"decoder": network((LATENT_SIZE,), (SHAPE, None), (SHAPE, None))},
            r"decoder to have 1 output\(s\), received 2",
        ),
        ({"prior": priors.RealNVPPrior}, r"class RealNVPPrior: call it, RealNVPPrior"),
        ({"posterior": None}, "posterior to be a Posterior, received None"),
        ({"likelihood": "mse"}, "likelihood to be a Likelihood, received 'mse'"),
        ({"divergence": "kl"}, "divergence to be a Divergence, received 'kl'"),
        ({"regularizers": [1.0]}, "regularizer to be a Regularizer, received a float"),
        ({"beta": "0.1"}, r"number in \[0, inf\), received '0.1'"),
        ({"beta": None}, r"number in \[0, inf\), received None"),
        ({"seed": -1}, "seed in"),
    ],
)
def test_parts_that_do_not_fit_get_one_line(make_model, parts, message):
    with pytest.raises(UserError, match=message):
        make_model(**parts)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_a_bounded_decoder_below_a_sigmoid_is_refused(make_model, activation):
    """Its images would be grey: the sigmoid of [0, 1] is [0.5, 0.73]."""
    bounded = network((LATENT_SIZE,), (SHAPE, activation))
    for likelihood in (
        likelihoods.BernoulliLikelihood(),
        likelihoods.NormalLikelihood(0.1),
    ):
        with pytest.raises(UserError, match=f"ends with the activation {activation}"):
            make_model(decoder=bounded, likelihood=likelihood)
    make_model(decoder=bounded, likelihood=likelihoods.NormalLikelihood(squash=False))


def test_a_frozen_encoder_does_not_learn(make_model):
    encoder = small_encoder(SHAPE)
    encoder.trainable = False
    decoder = small_decoder(LATENT_SIZE, SHAPE)
    groups = make_model(encoder=encoder, decoder=decoder).variable_groups()
    learns = {id(v) for v in groups["autoencoder"]}
    assert learns >= {id(v) for v in decoder.trainable_variables}
    assert not learns & {id(v) for v in encoder.variables}


@pytest.mark.parametrize("kwargs", [{}, {"clip_norm": 1.0}, {"accumulation": 2}])
def test_layers_of_a_users_class_are_built_by_its_call(make_model, kwargs):
    """As Keras' guides have it, without build and compute_output_shape."""

    class Encoder(keras.Model):
        image_shape = SHAPE

        def __init__(self):
            super().__init__()
            self.flat = keras.layers.Flatten()
            self.first = keras.layers.Dense(6, "relu")
            self.idle = keras.layers.Dense(2)

        def call(self, images):
            features = self.first(self.flat(images))
            self.idle(features)
            return features

    model = make_model(encoder=Encoder())
    model.compile("sgd", jit_compile=False, **kwargs)
    before = model.encoder.first.kernel.numpy()
    images = np.random.RandomState(0).rand(8, *SHAPE).astype("f4")
    model.fit(images, batch_size=4, verbose=0, shuffle=False)
    assert np.abs(model.encoder.first.kernel - before).max() > 0


def head(*layers):
    """A decoder that ends with these layers."""
    return keras.Sequential(
        [
            keras.Input((LATENT_SIZE,)),
            keras.layers.Dense(64),
            keras.layers.Reshape(SHAPE),
            *layers,
        ]
    )


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((L.ReLU(),), r"relu, its outputs are in \[0, inf\]"),
        ((L.Softmax(axis=1),), r"softmax, its outputs are in \[0, 1\]"),
        ((L.Activation("hard_sigmoid"),), r"relu6.* in \[0, 1\]"),
        ((L.Activation("sigmoid"), L.Rescaling(2, -1)), r"sigmoid.* in \[-1, 1\]"),
        ((L.Activation("tanh"), L.Identity()), r"tanh.* in \[-1, 1\]"),
        ((L.Activation("sigmoid"), L.Cropping2D(2), L.UpSampling2D()), "sigmoid"),
        ((L.Activation("sigmoid"), L.Cropping2D(2), L.Resizing(8, 8)), "sigmoid"),
        ((L.Activation("sigmoid"), L.Cropping2D(1), L.ZeroPadding2D(1)), "sigmoid"),
        ((L.Activation("sigmoid"), L.Dropout(0.5)), "sigmoid"),
        ((L.Lambda(keras.ops.sigmoid),), "sigmoid"),
        ((L.Lambda(tf.nn.sigmoid),), "sigmoid"),
        ((L.Lambda(lambda x: keras.ops.clip(x, 0, 1)),), r".*in \[0, 1\]"),
        ((network(SHAPE, (SHAPE, "sigmoid")),), "sigmoid"),
    ],
)
def test_a_bounded_decoder_is_known_by_its_operations(make_model, layers, message):
    words = f"ends with the activation {message}|is bounded, its outputs are in .0, 1"
    with pytest.raises(UserError, match=words):
        make_model(decoder=head(*layers))


class UsersDecoder(keras.Model):
    """Its layers are not in the order of their use."""

    def __init__(self, activation=None):
        super().__init__()
        self.shaped = L.Reshape(SHAPE)
        self.last = L.Dense(64, activation)
        self.hidden = L.Dense(6, "relu")

    def call(self, z):
        return self.shaped(self.last(self.hidden(z)))


def test_unbounded_outputs_are_logits(make_model):
    for layers in (
        (L.LeakyReLU(),),
        (L.Activation("sigmoid"), L.Rescaling(20, -10)),
        (L.Activation("relu"), L.Conv2D(1, 3, padding="same")),
        (L.Activation("tanh"), L.Rescaling(8)),
    ):
        make_model(decoder=head(*layers))
    make_model(decoder=UsersDecoder())
    with pytest.raises(UserError, match="ends with the activation sigmoid"):
        make_model(decoder=UsersDecoder("sigmoid"))


class UsersEncoder(L.Layer):
    """Without compute_output_shape; returns what a function makes of features."""

    image_shape = SHAPE

    def __init__(self, outputs=lambda x: x, **kwargs):
        super().__init__(**kwargs)
        self.flat = L.Flatten()
        self.dense = L.Dense(6)
        self.outputs_of = outputs

    def call(self, images):
        return self.outputs_of(self.dense(self.flat(images)))


def of_a_dict():
    x = keras.Input(SHAPE)
    return keras.Model(x, {"mu": L.Dense(6)(L.Flatten()(x))})


def test_a_users_layer_need_not_tell_its_shape(make_model):
    model = make_model(encoder=UsersEncoder())
    model.compile("sgd", jit_compile=False)
    before = model.encoder.dense.kernel.numpy()
    model.fit(np.random.RandomState(0).rand(8, *SHAPE), verbose=0)
    assert np.abs(model.encoder.dense.kernel - before).max() > 0


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (UsersEncoder(lambda x: (x, x)), "one tensor, received one that returns a tup"),
        (UsersEncoder(lambda x: {"mu": x}), "one tensor, .* returns a dict of them"),
        (of_a_dict(), "one tensor, received one that returns a dict of them"),
        (
            UsersEncoder(lambda x: x.flatten()),
            "cannot take inputs of .* not able to trace",
        ),
    ],
)
def test_a_users_network_returns_one_tensor(make_model, encoder, message):
    with pytest.raises(UserError, match=message):
        make_model(encoder=encoder)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_variables_are_of_float32(make_model, dtype):
    layers = [keras.Input(SHAPE), L.Flatten(), L.Dense(6, dtype=dtype)]
    model = make_model(encoder=keras.Sequential(layers))
    with pytest.raises(UserError, match=f"dense.*/kernel of {dtype}: make its layer"):
        model.compile("sgd", clip_norm=1.0)
    # Frozen ones do not learn.
    model.encoder.trainable = False
    model.compile("sgd", clip_norm=1.0, jit_compile=False)
    model.fit(np.random.RandomState(0).rand(8, *SHAPE), verbose=0)


class ShapedEncoder(L.Layer):
    """Says its shape, and leaves its layers to its first call."""

    image_shape = SHAPE

    def __init__(self):
        super().__init__()
        self.flatten = L.Flatten()
        self.dense = L.Dense(6)

    def call(self, images):
        return self.dense(self.flatten(images))

    def compute_output_shape(self, shape):
        return (shape[0], 6)


def test_layers_that_the_first_call_builds_learn(make_model):
    model = make_model(encoder=ShapedEncoder())
    model.compile("sgd", clip_norm=1.0, jit_compile=False)
    before = model.encoder.dense.kernel.numpy()
    model.fit(np.random.RandomState(0).rand(8, *SHAPE), verbose=0)
    assert np.abs(model.encoder.dense.kernel.numpy() - before).max() > 0


@pytest.mark.parametrize(
    "steps", [40, 600], ids=["that would be 2^40 ways", "deeper than Python's stack"]
)
def test_decoders_of_long_chains_are_looked_at_soon(make_model, steps):
    def smooth(x):
        for _ in range(steps):
            x = x + 0.1 * tf.tanh(x)
        return x

    layers = [keras.Input((LATENT_SIZE,)), L.Dense(64), L.Reshape(SHAPE)]
    model = make_model(decoder=keras.Sequential([*layers, L.Lambda(smooth)]))
    assert model.sample(2).shape == (2, *SHAPE)


def test_a_frozen_prior_stays_as_it_is(make_model):
    model = make_model(prior=priors.RealNVPPrior(LATENT_SIZE, standardize=True))
    model.prior.trainable = False
    model.compile("sgd", clip_norm=1.0, jit_compile=False)
    before = [w.numpy() for w in model.prior.weights]
    model.fit(np.random.RandomState(0).rand(8, *SHAPE), verbose=0)
    for old, new in zip(before, model.prior.weights, strict=True):
        np.testing.assert_array_equal(old, new)


class Pixels(likelihoods.BernoulliLikelihood):
    """Of a user, without a sum."""

    def log_prob(self, images, outputs):
        return -tf.math.squared_difference(images, self.mean(outputs))


class Numbers(posteriors.NormalPosterior):
    """Of a user, without `tfd.Independent`."""

    def distribution(self, parameters):
        mean, scale = tf.split(parameters, 2, axis=-1)
        return tfp.distributions.Normal(mean, tf.exp(scale))


class Squares(divergences.Divergence):
    """Of a user: its terms, and names for their metrics."""

    def __init__(self, gives, names=("squares",)):
        super().__init__()
        self.gives = gives
        self.names = names

    def metric_names(self, posterior, prior, beta):
        return self.names

    def terms(self, posterior, z, prior, beta, seed, context=None):
        return self.gives(tf.square(z))


class Squared(regularizers.Regularizer):
    """Of a user, without a sum over each row."""

    name = "squared"

    def term(self, model, z, seed, condition=None):
        return tf.square(z)


class Unnamed(Squared):
    """Of a user, without a name."""

    name = None


def _of_rows(squares):
    total = tf.reduce_sum(squares, axis=-1)
    return divergences.DivergenceTerms(total, {"squares": total})


def _of_numbers(squares):
    return divergences.DivergenceTerms(squares, {"squares": squares})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"likelihood": Pixels()}, "shape of Pixels.log_prob to be .batch.,"),
        ({"posterior": Numbers(4)}, "shape of Numbers.distribution to be .batch.,"),
        (
            {"divergence": Squares(tf.reduce_sum)},
            "result of Squares.terms to be a DivergenceTerms, received a Symb",
        ),
        (
            {"divergence": Squares(_of_numbers)},
            "the loss of Squares.terms to be .batch. or a scalar, received .None, 4",
        ),
        (
            {"divergence": Squares(_of_rows, names=("square",))},
            "Expected metrics of loss, .* square, .* received squares: name it",
        ),
        (
            {"regularizers": (Squared(1.0),)},
            "the shape of Squared.term to be .batch. or a scalar, received .None, 4",
        ),
    ],
    ids=[
        "likelihood",
        "posterior",
        "no terms",
        "terms of numbers",
        "a metric without a name",
        "regularizer",
    ],
)
def test_numbers_that_are_not_of_rows_are_told(make_model, parts, message):
    model = make_model(**parts)
    model.compile("sgd", jit_compile=False)
    with pytest.raises(UserError, match=message):
        model.fit(np.ones((4, 8, 8, 1), np.float32), verbose=0, shuffle=False)


@pytest.mark.parametrize(
    "parts",
    [
        {"divergence": Squares(_of_rows, names=("loss",))},
        {"regularizers": (Unnamed(1.0),)},
        {"regularizers": (Squared(1.0), Squared(2.0))},
    ],
    ids=["of the loss", "none", "twice"],
)
def test_a_metric_has_a_name_of_its_own(make_model, parts):
    with pytest.raises(UserError, match="a name of its own for each metric, received "):
        make_model(**parts)


class Shifted(priors.FlowPrior):
    """Of a user, with a layer that its build does not build."""

    def __init__(self, latent_size):
        super().__init__(latent_size)
        self.shift = keras.layers.Dense(latent_size, name="shift")

    def bijector(self, context=None):
        return tfp.bijectors.Shift(self.shift(tf.ones([1, 1]))[0])


class Moved(priors.FlowPrior):
    """Of a user, with a variable that Keras does not know."""

    def __init__(self, latent_size):
        super().__init__(latent_size)
        self.shift = tf.Variable(tf.zeros([latent_size]), name="my_shift")

    def bijector(self, context=None):
        return tfp.bijectors.Shift(self.shift)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (Shifted, "Shifted.build to build its shift, or to call super"),
        (Moved, "my_shift:0 is TensorFlow's own, .* by self.add_weight"),
    ],
)
def test_what_would_never_learn_is_told(make_model, prior, message):
    codes = np.random.RandomState(0).randn(50, 4).astype("f4")
    with pytest.raises(UserError, match=message):
        prior(4).fit(codes)
    with pytest.raises(UserError, match=message):
        model = make_model(prior=prior(4))
        model.compile("sgd", jit_compile=False)
        model.fit(np.ones((4, 8, 8, 1), np.float32), verbose=0, shuffle=False)

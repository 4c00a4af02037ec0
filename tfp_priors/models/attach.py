"""A model of an encoder and a decoder that were trained elsewhere."""

import math
import operator
import warnings
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.core.code_shape import LatentSize
from tfp_priors.core.code_shape import checked_code_shape
from tfp_priors.core.configured import Configured
from tfp_priors.core.image_shape import image_shape_of
from tfp_priors.divergences import usual_divergence
from tfp_priors.errors import UserError
from tfp_priors.errors import check_seed
from tfp_priors.errors import first_line
from tfp_priors.likelihoods import NormalLikelihood
from tfp_priors.models.latent_variable_model import LatentVariableModel
from tfp_priors.posteriors import DeterministicPosterior
from tfp_priors.priors import Prior

# Images that are sent through, and by how much of the range outputs may miss it: a
# decoder without a last sigmoid does so a little.
_PROBES = 2
_MARGIN = 0.25

# Outputs in less are most likely in another range, of [0, 1] or [-1, 1].
_LEAST_USED = 2.0


def attach(
    encoder: Callable,
    decoder: Callable,
    prior: Prior,
    image_shape: Sequence[int] | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    seed: int = 0,
) -> LatentVariableModel:
    """Puts a prior on the code of an autoencoder that was trained elsewhere.

    The model samples, encodes, reconstructs and interpolates, and goes wherever one of
    this library does: to figures, metrics and `export`. Encoder and decoder are frozen
    (`trainable = False`), so that only the prior can learn; see `Prior.fit`.

    Args:
      encoder: a Keras model, or a function of TensorFlow tensors: images
        `[batch, height, width, channels]` in `value_range` to codes `[batch, ...]`.
      decoder: likewise from codes to images.
      prior: p(z), of as many dimensions as a code has numbers.
      image_shape: `(height, width, channels)`; None: the encoder's own `image_shape`,
        or the shape of its input.
      value_range: the lowest and the highest value of the images of both. Outputs
        beyond it are clipped.
      seed: of all noise.

    Returns:
      A model whose images are in [0, 1].

    Raises:
      UserError: if the parts do not fit each other, or their values the range.

    >>> from tfp_priors.priors import GaussianMixturePrior
    >>> encoder = keras.Sequential(
    ...     [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)]
    ... )
    >>> decoder = keras.Sequential(
    ...     [
    ...         keras.Input((4,)),
    ...         keras.layers.Dense(64, "sigmoid"),
    ...         keras.layers.Reshape((8, 8, 1)),
    ...     ]
    ... )
    >>> images = np.random.RandomState(0).rand(100, 8, 8, 1).astype("float32")
    >>> prior = GaussianMixturePrior(latent_size=4, components=2, standardize=True)
    >>> history = prior.fit(encoder.predict(images, verbose=0))
    >>> model = attach(encoder, decoder, prior)
    >>> model.sample(3).shape, model.log_prob(model.encode(images)).shape
    (TensorShape([3, 8, 8, 1]), TensorShape([100]))
    """
    check_seed(seed)
    _check_parts(encoder, decoder, prior)
    low, high = value_range = _checked_range(value_range)
    if image_shape is None:
        shape = image_shape_of(encoder)
    else:
        shape = _checked_shape(image_shape)
    _check_channels(shape)
    probe = low + (high - low) * np.random.RandomState(seed).rand(_PROBES, *shape)
    probe = tf.constant(probe, tf.float32)
    codes = _called("encoder", encoder, probe)
    _check_codes(codes, prior)
    _warn_of_draws(codes, _as_it_is(encoder, probe))
    _check_images(_called("decoder", decoder, codes), probe, value_range)
    code_shape = codes.shape[1:]
    model = LatentVariableModel(
        encoder=ForeignEncoder(encoder, shape, prior.latent_argument, value_range),
        posterior=DeterministicPosterior(prior.latent_argument, project=False),
        decoder=ForeignDecoder(decoder, code_shape, shape, value_range),
        likelihood=NormalLikelihood(squash=False),
        prior=prior,
        divergence=usual_divergence(prior),
        beta=0.0,
        seed=seed,
    )
    for part in model.autoencoder.values():
        part.trainable = False
    return model


class _Foreign(Configured, keras.layers.Layer):
    """A function of others as a layer."""

    #: Whether it computes in what it was made with, whatever `compile` says.
    keeps_precision = True

    def build(self, input_shape):
        self.built = True

    def get_config(self):
        if not isinstance(self.network, keras.layers.Layer):
            raise UserError(
                f"A .keras file cannot hold {self.network!r}, the function that the "
                "model is attached to: take export.export, or save the prior alone."
            )
        return super().get_config()


class ForeignEncoder(_Foreign):
    """Images in [0, 1] to codes, by a function of images in another range."""

    def __init__(
        self,
        network: Callable,
        image_shape: Sequence[int],
        latent_size: LatentSize,
        value_range: tuple[float, float] = (0.0, 1.0),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.network = network
        self.image_shape = tuple(image_shape)
        self.latent_size = latent_size
        self._code_shape = checked_code_shape(latent_size, type(self).__name__)
        self.value_range = tuple(value_range)

    def call(self, images):
        low, high = self.value_range
        codes = _as_it_is(self.network, low + (high - low) * images)
        return tf.reshape(tf.cast(codes, tf.float32), [-1, *self._code_shape])

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._code_shape)


class ForeignDecoder(_Foreign):
    """Codes to images in [0, 1], by a function to images in another range."""

    def __init__(
        self,
        network: Callable,
        code_shape: Sequence[int],
        image_shape: Sequence[int],
        value_range: tuple[float, float] = (0.0, 1.0),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.network = network
        self.code_shape = tuple(code_shape)
        self.image_shape = tuple(image_shape)
        self.value_range = tuple(value_range)

    def call(self, z):
        low, high = self.value_range
        images = _as_it_is(self.network, tf.reshape(z, [-1, *self.code_shape]))
        return (tf.cast(images, tf.float32) - low) / (high - low)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.image_shape)


def _as_it_is(network, inputs):
    """What a network that does not learn makes of its inputs."""
    if isinstance(network, keras.layers.Layer):
        return network(inputs, training=False)
    return network(inputs)


def _check_parts(encoder, decoder, prior):
    for name, part in (("encoder", encoder), ("decoder", decoder)):
        if not callable(part) or isinstance(part, (type, Prior)):
            raise UserError(
                f"Expected as {name} a Keras model, or a function of TensorFlow "
                f"tensors, received {part!r}."
            )
    if not isinstance(prior, Prior) or prior.context_size:
        raise UserError(
            "Expected a prior of tfp_priors.priors without a context, received "
            f"{prior!r}."
        )


def _checked_range(value_range):
    """The range as two floats."""
    try:
        low, high = map(float, value_range)
    except (TypeError, ValueError):
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise UserError(
            "Expected a value_range (lowest, highest) of two finite numbers, received "
            f"{value_range!r}."
        )
    return low, high


def _checked_shape(image_shape):
    """The shape as a tuple of whole numbers."""
    try:
        shape = tuple(map(operator.index, image_shape))
    except TypeError:
        shape = ()
    if len(shape) != 3 or min(shape) < 1:
        raise UserError(
            "Expected an image_shape (height, width, channels) of whole numbers, "
            f"received {image_shape!r}."
        )
    return shape


def _check_channels(shape):
    """Raises: UserError: if they are most likely the first of the three."""
    channels, height, width = shape
    if channels in (1, 3) and height == width > 4:
        raise UserError(
            f"Expected images (height, width, channels), received {shape}: put the "
            "channels last."
        )


def _check_codes(codes, prior):
    code_shape = tuple(codes.shape[1:])
    if codes.shape[0] != _PROBES or not np.isfinite(codes).all():
        raise UserError(
            f"Expected an encoder of finite codes, one for each of {_PROBES} images, "
            f"received shape {tuple(codes.shape)} or values that are not finite."
        )
    prior.check_code_shape(code_shape)


def _warn_of_draws(codes, again):
    if not np.allclose(codes, again, rtol=1e-3):
        warnings.warn(
            "The encoder has made other codes of the same images: what it encodes is "
            "random. Take the mean for the code.",
            stacklevel=3,
        )


def _check_images(images, probe, value_range):
    if tuple(images.shape) != tuple(probe.shape):
        raise UserError(
            f"Expected a decoder of images of shape {tuple(probe.shape[1:])}, received "
            f"{tuple(images.shape[1:])}."
        )
    low, high = value_range
    least, most = float(tf.reduce_min(images)), float(tf.reduce_max(images))
    margin = _MARGIN * (high - low)
    # A NaN compares as false.
    if not (least >= low - margin and most <= high + margin):
        raise UserError(
            f"Expected a decoder of images in {value_range}, received values from "
            f"{least:.3g} to {most:.3g}: say in value_range what it makes."
        )
    # It may be right: codes of noise may all be black.
    if most - least <= _LEAST_USED < high - low:
        warnings.warn(
            f"The decoder made values from {least:.3g} to {most:.3g} of two random "
            f"images, and value_range is {value_range}: is it that of its images?",
            stacklevel=3,
        )


def _called(name, network, inputs):
    """The outputs of a part for some inputs, as a tensor."""
    try:
        outputs = network(inputs)
    except Exception as error:
        raise UserError(
            f"The {name} cannot take inputs of shape {tuple(inputs.shape)}: "
            f"{first_line(error)}"
        ) from error
    if isinstance(outputs, (list, tuple, dict)):
        raise UserError(
            f"Expected the {name} to have one output, received {len(outputs)} of them: "
            "take one, as keras.Model(model.inputs, model.outputs[0]) does."
        )
    if not tf.is_tensor(outputs):
        raise UserError(
            f"Expected the {name} to be a Keras model, or a function of TensorFlow "
            f"tensors, received one that returns a {type(outputs).__name__}."
        )
    try:
        tf.function(network, autograph=False)(inputs)
    except Exception as error:
        raise UserError(
            f"The {name} works on values, not within a graph: write it with "
            "TensorFlow's operations, or wrap it in tf.numpy_function and set_shape. "
            f"{first_line(error)}"
        ) from error
    return outputs

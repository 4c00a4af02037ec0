"""The VampPrior: a mixture of posteriors at learned pseudo-inputs."""

from collections.abc import Sequence

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core import normal
from tfp_priors.core import replicas
from tfp_priors.core.code_shape import LatentSize
from tfp_priors.core.gradients import scale_gradient
from tfp_priors.core.gradients import scaled_weights
from tfp_priors.core.image_shape import image_shape_of
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.priors.components import draw_components
from tfp_priors.priors.prior import Prior
from tfp_priors.priors.standardization import LatentStandardization

tfb = tfp.bijectors
tfd = tfp.distributions


class VampPrior(Prior):
    """p(z) = sum_k w_k q(z|u_k) with learned images u_k (Tomczak & Welling 2018).

    The pseudo-inputs are the prior's variables and learn at full weight. The encoder,
    which the prior shares with the autoencoder, feels beta times the pull through its
    pseudo-inputs, as it does through the code: at beta = 1 the gradient is that of
    the authors' objective, at beta = 0 the prior leaves the encoder alone.

    A context changes the weights w_k by a linear function of it; they are all equal
    without one. Components lie in code space by themselves, so `standardize` changes
    nothing but what `standardized` returns.

    Args:
      latent_size: dimensions of the code.
      image_shape: `(height, width, channels)` of the pseudo-inputs.
      pseudo_inputs: number K of components.
      standardize: see `Prior`.
      context_size: see `Prior`.
    """

    reparameterized = False

    def __init__(
        self,
        latent_size: LatentSize,
        image_shape: Sequence[int],
        pseudo_inputs: int = 500,
        standardize: bool | LatentStandardization = False,
        context_size: int = 0,
        **kwargs,
    ):
        super().__init__(latent_size, standardize, context_size, **kwargs)
        check_counts(type(self).__name__, pseudo_inputs=pseudo_inputs)
        self.image_shape = tuple(image_shape)
        self.pseudo_inputs = pseudo_inputs
        self._logits = keras.layers.Dense(pseudo_inputs) if context_size else None
        self._parts = None

    def connect(self, encoder, posterior):
        shape = image_shape_of(encoder)
        if shape != self.image_shape:
            raise UserError(
                f"VampPrior has pseudo-inputs of shape {self.image_shape}, the encoder "
                f"takes images of {shape}: give both the same image_shape."
            )
        # In a function: Keras would count the layers' variables as the prior's.
        self._parts = lambda: (encoder, posterior)

    def build(self, input_shape=None):
        if self._parts is None:
            raise UserError(
                "VampPrior is made of posteriors: call connect(encoder, posterior), as "
                "LatentVariableModel does."
            )
        # Their sigmoids are the images: grey noise at first.
        self._pixels = self.add_weight(
            name="pseudo_inputs",
            shape=(self.pseudo_inputs, *self.image_shape),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        if self._logits is not None:
            self._logits.build((None, self.context_size))
        super().build(input_shape)

    def get_build_config(self):
        """None: its model connects it first."""

    def images(self):
        """The pseudo-inputs, `[pseudo_inputs, height, width, channels]` in [0, 1]."""
        return tf.sigmoid(self._pixels)

    def standard_distribution(self, context=None, temperature=1.0):
        means, scales = self._means_and_scales(beta=0.0)
        scales *= tf.cast(temperature, tf.float32)
        components = tfd.MultivariateNormalDiag(means, scales)
        if self._standardization is not None:
            affine = self._standardization.bijector()
            components = tfd.TransformedDistribution(components, tfb.Invert(affine))
        weights = tfd.Categorical(logits=self._weights(context))
        return tfd.MixtureSameFamily(weights, components)

    def nll(self, z, beta, seed=None, context=None):
        del seed
        context = self.standard_context(context)
        return -self._log_density(scale_gradient(z, beta), context, beta)

    def _log_prob(self, z, context):
        return self._log_density(z, context, beta=0.0)

    def _log_density(self, z, context, beta):
        means, scales = self._means_and_scales(beta)
        log_joint = tf.nn.log_softmax(self._weights(context))
        log_joint += normal.log_probs(self._flat(z), means, scales)
        return tf.reduce_logsumexp(log_joint, axis=-1)

    def standard_sample(self, n, seed, temperature=1.0, context=None):
        seeds = tf.random.experimental.stateless_split(seed, 2)
        mean, scale = self._means_and_scales(beta=0.0)
        which = draw_components(self._weights(context), n, seeds[0])
        noise = replicas.noise(n, self.latent_size, seeds[1])
        noise *= tf.cast(temperature, tf.float32)
        z = tf.gather(mean, which) + tf.gather(scale, which) * noise
        return self.standardized(z)

    def _weights(self, context):
        """Logits of the components, `[pseudo_inputs]` or `[batch, pseudo_inputs]`."""
        return (
            tf.zeros([self.pseudo_inputs]) if context is None else self._logits(context)
        )

    def _means_and_scales(self, beta):
        """Of q(z|u_k), both `[pseudo_inputs, latent_size]`."""
        encoder, posterior = self._parts()
        with scaled_weights([encoder, posterior], beta):
            features = encoder(self.images(), training=False)
            components = posterior.distribution(posterior(features))
        if not isinstance(components, tfd.MultivariateNormalDiag):
            raise UserError(
                "VampPrior expects a normal posterior, received a "
                f"{type(posterior).__name__}: choose NormalPosterior or "
                "FixedScaleNormalPosterior."
            )
        return components.mean(), components.stddev()

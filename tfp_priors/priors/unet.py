"""The prior of the Variational U-Net (Esser et al. 2018): normal, group by group."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core.by_rows import by_rows
from tfp_priors.core.code_shape import LatentSize
from tfp_priors.core.gradients import scale_gradient
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.networks import unet
from tfp_priors.networks.convolution import convolution
from tfp_priors.priors.flow import FlowPrior
from tfp_priors.priors.standardization import LatentStandardization

tfb = tfp.bijectors
tfd = tfp.distributions

# Groups of a picture: the pixels at each of the four places of a square of 2 x 2.
_GROUPS = 4


class _Shift(tfb.Bijector):
    """z = z0 + means(z), where the mean of a group depends on the groups before it.

    Args:
      means: maps codes to the means of all groups.
      draw: maps z0 to z, group after group.
    """

    def __init__(self, means, draw):
        super().__init__(
            forward_min_event_ndims=1, is_constant_jacobian=True, name="shift"
        )
        self._means = means
        self._draw = draw

    def _forward(self, z0):
        return self._draw(z0)

    def _inverse(self, z):
        return z - self._means(z)

    def _forward_log_det_jacobian(self, z0):
        return tf.zeros([], z0.dtype)

    def _inverse_log_det_jacobian(self, z):
        return tf.zeros([], z.dtype)


class UNetPrior(FlowPrior):
    """p(z|y) = prod_i N(z_i; mean_i(z_1, ..., z_{i-1}, y), I).

    The code holds two pictures, a coarse and a fine one (`networks.unet`), each in four
    groups: the pixels at one place of each square of 2 x 2. A group's mean is a small
    convolutional network of the groups before it in its picture, of the picture before,
    and of the context y. All means start at zero. The networks of Esser et al. see the
    U-Net's pictures of the pose; here they see the context.

    Args:
      latent_size: `(side, side, channels)` of z, of an even side.
      width: channels of the networks' hidden layers.
      standardize: see `Prior`.
      context_size: see `Prior`.
    """

    context_moves_base = False
    takes_maps = True

    def __init__(
        self,
        latent_size: LatentSize,
        width: int = 64,
        standardize: bool | LatentStandardization = False,
        context_size: int = 0,
        **kwargs,
    ):
        check_counts("UNetPrior", width=width)
        super().__init__(latent_size, standardize, context_size, **kwargs)
        self.width = width
        self._channels = unet.channels_of(latent_size, "UNetPrior")
        side = self.map_shape[0]
        if side % 2:
            raise UserError(
                f"UNetPrior expects an even side, received {side}: set LATENT_SIZE."
            )
        self._sides = [side, 2 * side]
        # Without a context they are learned pictures.
        self._contexts = [
            keras.layers.Dense((side // 2) ** 2 * width) for side in self._sides
        ]
        networks = range(_GROUPS * len(self._sides))
        self._hidden = [convolution(width, activation="elu") for _ in networks]
        self._outputs = [
            convolution(self._channels, kernel_initializer="zeros") for _ in networks
        ]

    def build(self, input_shape=None):
        any_size = (None, None, None)
        for layer in self._contexts:
            layer.build((None, max(1, self.context_size)))
        for i, (hidden, output) in enumerate(
            zip(self._hidden, self._outputs, strict=True)
        ):
            number, group = divmod(i, _GROUPS)
            before = self._channels * (group + (number > 0))
            hidden.build((*any_size, self.width + before))
            output.build((*any_size, self.width))
        super().build(input_shape)

    def bijector(self, context=None):
        return _Shift(
            lambda z: by_rows(self._walk, z, context)[1],
            lambda z0: by_rows(self._drawn, z0, context),
        )

    def kl(self, posterior, z, beta, context=None):
        """In closed form group by group, each given the draw of those before it."""
        diagonal = isinstance(posterior, tfd.MultivariateNormalDiag)
        if not diagonal or self.standardize:
            return None
        context = self.standard_context(context)
        _, means = self._walk(scale_gradient(z, beta), context)
        mean, scale = (
            scale_gradient(x, beta) for x in (posterior.mean(), posterior.stddev())
        )
        per_dimension = tfd.kl_divergence(tfd.Normal(mean, scale), tfd.Normal(means, 1))
        return tf.reduce_sum(per_dimension, axis=-1)

    def _drawn(self, z0, context):
        return self._walk(z0, context, draw=True)[0]

    def _walk(self, x, context, draw=False):
        """Goes through the groups in order.

        Args:
          x: z, or z0 if codes are to be drawn, `[batch, latent_size]`.
          context: `[batch, context_size]`, or None.
          draw: whether x is z0.

        Returns:
          z and the means, both `[batch, latent_size]`.
        """
        if context is None:
            context = tf.ones([tf.shape(x)[0], 1])
        pictures, means = [], []
        x = tf.reshape(x, [-1, *self.map_shape])
        for number, picture in enumerate(unet.split(x)):
            half = self._sides[number] // 2
            given = self._contexts[number](context)
            given = [tf.reshape(given, [-1, half, half, self.width]), *pictures[-1:]]
            groups, group_means = [], []
            for noise in tf.split(tf.nn.space_to_depth(picture, 2), _GROUPS, axis=-1):
                i = _GROUPS * number + len(groups)
                inputs = tf.concat([*given, *groups], axis=-1)
                group_means.append(self._outputs[i](self._hidden[i](inputs)))
                groups.append(noise + group_means[-1] if draw else noise)
            pictures.append(tf.nn.depth_to_space(tf.concat(groups, axis=-1), 2))
            means.append(tf.nn.depth_to_space(tf.concat(group_means, axis=-1), 2))
        shape = [-1, self.latent_size]
        return tuple(tf.reshape(unet.join(x), shape) for x in (pictures, means))

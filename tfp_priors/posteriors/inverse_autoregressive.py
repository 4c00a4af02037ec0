"""The inverse autoregressive flow posterior (Kingma et al. 2016)."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core.code_shape import LatentSize
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_widths
from tfp_priors.networks import MADE
from tfp_priors.posteriors.normal import NormalPosterior

tfb = tfp.bijectors
tfd = tfp.distributions

# Kingma et al. start the gate open, so that a new flow changes little.
_GATE = 2.0


class InverseAutoregressivePosterior(NormalPosterior):
    """q(z|x): a diagonal normal under a chain of gated autoregressive maps.

        z' = g * z + (1 - g) * m,   g = sigmoid(s + 2),   [m, s] = MADE(z, h(x))

    A draw and its density take one pass through each network. The density of any
    other point takes `latent_size` passes.

    Args:
      latent_size: dimensions of z.
      flows: number of maps; the order of the dimensions is reversed between them.
      hidden_sizes: hidden units of each MADE.
      context_size: width of h(x), which the head computes beside mean and scale.
      scale_floor: see `NormalPosterior`.
    """

    takes_maps = False

    def __init__(
        self,
        latent_size: LatentSize,
        flows: int = 2,
        hidden_sizes: Sequence[int] = (256, 256),
        context_size: int = 32,
        scale_floor: float = 1e-3,
        **kwargs,
    ):
        check_counts(type(self).__name__, flows=flows, context_size=context_size)
        self.flows = flows
        self.hidden_sizes = check_widths(type(self).__name__, hidden_sizes)
        self.context_size = context_size
        super().__init__(latent_size, scale_floor, **kwargs)
        self._networks = [
            MADE(self.latent_size, 2, self.hidden_sizes, context_size)
            for _ in range(flows)
        ]

    def _parameters_size(self):
        return super()._parameters_size() + self.context_size

    def build(self, input_shape):
        for network in self._networks:
            network.build()
        super().build(input_shape)

    def distribution(self, parameters):
        base, context = self._split(parameters)
        return tfd.TransformedDistribution(base, self._bijector(context))

    def code(self, parameters):
        """The image of the normal's mean under the flow; q's own mean is not known."""
        base, context = self._split(parameters)
        return self._bijector(context).forward(base.loc)

    def _split(self, parameters):
        normal, context = tf.split(
            parameters, [2 * self.latent_size, self.context_size], axis=-1
        )
        return super().distribution(normal), context

    def _bijector(self, context):
        order = list(range(self.latent_size)[::-1])
        bijectors = []
        for i in range(self.flows):
            if i:
                bijectors.append(tfb.Permute(order))
            masked = tfb.MaskedAutoregressiveFlow(bijector_fn=self._gated(i, context))
            bijectors.append(tfb.Invert(masked))
        return tfb.Chain(bijectors)

    def _gated(self, index, context):
        def bijector_fn(before, **kwargs):
            del kwargs
            m, s = self._networks[index](before, context)
            log_gate = tf.math.log_sigmoid(s + _GATE)
            gated = [tfb.Shift((1.0 - tf.exp(log_gate)) * m)]
            gated.append(tfb.Scale(log_scale=log_gate))
            # MaskedAutoregressiveFlow takes one pass in its inverse direction.
            return tfb.Invert(tfb.Chain(gated))

        return bijector_fn

"""The base class of posteriors."""

import keras

from tfp_priors.core.configured import Configured
from tfp_priors.errors import UserError
from tfp_priors.errors import check_latent_size

#: A latent unit is active if the variance of its posterior mean over the data exceeds
#: this (Burda et al. 2016), for a prior of unit scale.
ACTIVE_VARIANCE = 1e-2


class Posterior(Configured, keras.layers.Layer):
    """A head on the encoder: features to a distribution q(z|x) of codes.

    A subclass owns its dense layer and defines `distribution`.

    Args:
      latent_size: dimensions of z.
      project: False: the encoder's features are the parameters already.
    """

    #: Whether log q(z|x) is finite, as the KL divergence needs.
    has_density = True

    def __init__(self, latent_size: int, project: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.latent_size = check_latent_size(latent_size, type(self).__name__)
        self.project = project
        self._head = None
        if project:
            self._head = keras.layers.Dense(
                self._parameters_size(),
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
                name="head",
            )

    def _parameters_size(self) -> int:
        """Outputs of the head."""
        return self.latent_size

    def build(self, input_shape):
        if self._head is not None:
            self._head.build(input_shape)
        elif input_shape[-1] != self._parameters_size():
            raise UserError(
                f"{type(self).__name__} without projection expects "
                f"{self._parameters_size()} features, received {input_shape[-1]}: set "
                "project = True, or the encoder's latent_size."
            )
        self.built = True

    def call(self, features):
        """Returns the parameters of q(z|x), one row per image."""
        return features if self._head is None else self._head(features)

    def distribution(self, parameters):
        """The TFP distribution with event shape `[latent_size]`."""
        raise NotImplementedError

    def code(self, parameters):
        """The code of an image, `[batch, latent_size]`: the mean of q(z|x)."""
        return self.distribution(parameters).mean()

    def get_config(self):
        # Subclasses pass it on.
        return super().get_config() | {"project": self.project}

"""The base class of regularizers."""

from tfp_priors.core.configured import Configured
from tfp_priors.errors import check_within


class Regularizer(Configured):
    """A term `weight * term(...)` of the autoencoder's loss; the prior is held fixed.

    Args:
      weight: of the term.
    """

    #: The metric that reports the term, without its weight.
    name: str | None = None

    def __init__(self, weight: float):
        check_within(type(self).__name__, "[0, inf)", weight=weight)
        self.weight = weight

    def term(self, model, z, seed, condition=None):
        """The term without its weight.

        Args:
          model: the `LatentVariableModel`.
          z: codes of the batch, `[batch, latent_size]`.
          seed: int tensor `[2]`.
          condition: of a conditional model, `[batch, ...]`, or None.

        Returns:
          Float tensor `[batch]`, or a scalar.
        """
        raise NotImplementedError

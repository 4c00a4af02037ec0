"""The base class of divergences."""

from typing import Any, NamedTuple

import keras

from tfp_priors.core.configured import Configured


class DivergenceTerms(NamedTuple):
    """What a divergence adds to the objective.

    Attributes:
      loss: `[batch]` or a scalar. Its gradient is beta times that of D for the code
        and exactly that of D for the prior. Its value is of no meaning by itself.
      metrics: named tensors to report, `[batch]` or scalars.
    """

    loss: Any
    metrics: dict[str, Any]


class CriticTerms(NamedTuple):
    """The loss of a divergence's own network, and what to report.

    Attributes:
      loss: scalar.
      metrics: named scalars.
    """

    loss: Any
    metrics: dict[str, Any]


class Divergence(Configured, keras.layers.Layer):
    """D(q, p) between the code's distribution and the prior.

    A divergence that is measured by a network of its own (a critic) has trainable
    variables, `critic_steps` > 0, and defines `critic_terms`.
    """

    #: Critic updates after each step of the model.
    critic_steps = 0

    def build(self, input_shape=None):
        """Args: `(None, width)` of a code with the prior's context beside it."""
        self.built = True

    def metric_names(self, posterior, prior, beta) -> tuple[str, ...]:
        """Names of the metrics of `terms`, given the layers and beta."""
        raise NotImplementedError

    def critic_metric_names(self) -> tuple[str, ...]:
        """Names of the metrics of `critic_terms`."""
        return ()

    def check(self, posterior, prior, beta) -> None:
        """Raises UserError if these parts (layers) cannot be compared."""

    def terms(self, posterior, z, prior, beta, seed, context=None) -> DivergenceTerms:
        """Compares codes with the prior.

        Args:
          posterior: TFP distribution q(z|x) with batch shape `[batch]`.
          z: one draw of it, `[batch, latent_size]`.
          prior: a `tfp_priors.priors.Prior`.
          beta: scalar, the weight of the push on the code.
          seed: int tensor `[2]`, of the prior's draws.
          context: context of the prior, `[batch, context_size]`, or None.
        """
        raise NotImplementedError

    def critic_terms(self, z, prior, seed, context=None) -> CriticTerms:
        """The critic's loss; codes and prior are held fixed.

        Args:
          z: codes, `[batch, latent_size]`.
          prior: the prior.
          seed: int tensor `[2]`, of the prior's draws.
          context: context of the prior, or None.
        """
        raise NotImplementedError

"""The base class of divergences, and the gradient rule that they share."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf


def is_zero(beta) -> bool:
    """Whether beta is the number 0, at every step of the training."""
    return isinstance(beta, (int, float)) and beta == 0


def scale_gradient(x, beta):
    """x itself, with its gradient multiplied by beta.

    A prior that is fed `scale_gradient(z, beta)` learns at full weight (equation 6)
    while the code feels beta times the push (equation 7), in one backward pass.

    Args:
      x: float tensor.
      beta: scalar in [0, 1], a number or a tensor. The number 0 cuts the gradient
        off, so that no 0 * inf can arise.
    """
    stopped = tf.stop_gradient(x)
    if is_zero(beta):
        return stopped
    # Not beta * x + (1 - beta) * stopped, which differs from x by rounding.
    return stopped + beta * (x - stopped)


class DivergenceTerms(NamedTuple):
    """What a divergence adds to the objective.

    Attributes:
      loss: `[batch]`, nats. Its gradient is beta times that of D for the code and
        exactly that of D for the prior. Its value is of no meaning by itself.
      metrics: named `[batch]` tensors to report.
    """

    loss: Any
    metrics: dict[str, Any]


class Divergence(keras.layers.Layer):
    """D(q, p) between the code's distribution and the prior."""

    def build(self, input_shape=None):
        self.built = True

    def metric_names(self, posterior) -> tuple[str, ...]:
        """Names of the metrics of `terms`, given the `Posterior` layer."""
        raise NotImplementedError

    def check(self, posterior, prior, beta) -> None:
        """Raises UserError if these parts (layers) cannot be compared."""

    def terms(self, posterior, z, prior, beta, context=None) -> DivergenceTerms:
        """Compares codes with the prior.

        Args:
          posterior: TFP distribution q(z|x) with batch shape `[batch]`.
          z: one draw of it, `[batch, latent_size]`.
          prior: a `tfp_priors.priors.Prior`.
          beta: scalar, the weight of the push on the code.
          context: context of the prior, `[batch, context_size]`, or None.
        """
        raise NotImplementedError

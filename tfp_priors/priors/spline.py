"""The spline flow prior: rational-quadratic couplings (Durkan et al. 2019)."""

import functools
import math
from collections.abc import Sequence

import tensorflow as tf

from tfp_priors.core.code_shape import LatentSize
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_within
from tfp_priors.priors.coupling import CouplingPrior
from tfp_priors.priors.rational_quadratic import RationalQuadratic
from tfp_priors.priors.standardization import LatentStandardization

# Smallest width and height of a bin, as a share of the mean one, and smallest slope.
_SMALLEST = 1e-3


class SplinePrior(CouplingPrior):
    """Couplings whose elementwise map is a monotone rational-quadratic spline.

    The spline maps [-bound, bound] onto itself and is the identity outside, so
    `standardize` matters more than elsewhere. A new flow equals its base.

    Args:
      latent_size: see `CouplingPrior`.
      couplings: see `CouplingPrior`.
      hidden_sizes: see `CouplingPrior`.
      bins: pieces of each spline, at least 2.
      bound: half the length of the interval that is warped.
      permutation_seed: see `CouplingPrior`.
      standardize: see `Prior`.
      context_size: see `CouplingPrior`.
      dropout: see `CouplingPrior`.
      input_bound: see `CouplingPrior`.
    """

    def __init__(
        self,
        latent_size: LatentSize,
        couplings: int = 4,
        hidden_sizes: Sequence[int] = (256, 256),
        bins: int = 8,
        bound: float = 5.0,
        permutation_seed: int = 0,
        standardize: bool | LatentStandardization = False,
        context_size: int = 0,
        dropout: float = 0.0,
        input_bound: float | None = 3.0,
        **kwargs,
    ):
        check_counts("SplinePrior", bins=bins)
        check_within("SplinePrior", "[2, inf)", bins=bins)
        self.bins = bins
        check_within("SplinePrior", "(0, inf)", bound=bound)
        self.bound = bound
        super().__init__(
            latent_size,
            couplings,
            hidden_sizes,
            permutation_seed,
            standardize,
            context_size,
            dropout,
            input_bound,
            **kwargs,
        )

    def _outputs_per_dimension(self):
        return 3 * self.bins - 1

    def _elementwise(self, outputs):
        outputs = tf.split(outputs, self._outputs_per_dimension(), axis=-1)
        # softplus(log(e^(1 - m) - 1)) = 1 - m: a zero output gives the slope 1.
        one = math.log(math.expm1(1.0 - _SMALLEST))
        return RationalQuadratic(
            widths=self._shares(outputs[: self.bins]),
            heights=self._shares(outputs[self.bins : 2 * self.bins]),
            slopes=[
                _SMALLEST + tf.nn.softplus(slope + one)
                for slope in outputs[2 * self.bins :]
            ],
            bound=self.bound,
        )

    def _shares(self, outputs):
        """Positive tensors that add up to the interval."""
        largest = tf.stop_gradient(functools.reduce(tf.maximum, outputs))
        parts = [tf.exp(output - largest) for output in outputs]
        scale = 2.0 * self.bound * (1.0 - _SMALLEST) / tf.add_n(parts)
        smallest = 2.0 * self.bound * _SMALLEST / self.bins
        return [smallest + scale * part for part in parts]

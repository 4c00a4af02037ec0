"""The flow prior: RealNVP coupling layers (Dinh et al. 2017; the paper's section 3)."""

from collections.abc import Sequence

import tensorflow as tf

from tfp_priors.core.code_shape import LatentSize
from tfp_priors.core.scoped import Scoped
from tfp_priors.errors import check_within
from tfp_priors.priors.affine import affine_bijector
from tfp_priors.priors.affine import bounded
from tfp_priors.priors.coupling import CouplingPrior
from tfp_priors.priors.standardization import LatentStandardization

# Log-scales of couplings that `diagnostics` collects.
_SEEN = Scoped("log_scales")


class RealNVPPrior(CouplingPrior):
    """Couplings x -> exp(log_scale) x + shift; see `CouplingPrior`.

    A new flow equals its base exactly, and log-scales stay within the open interval
    +- log_scale_bound.

    Args:
      latent_size: see `CouplingPrior`.
      couplings: see `CouplingPrior`.
      hidden_sizes: see `CouplingPrior`.
      log_scale_bound: c in log_scale = c tanh(s / c).
      permutation_seed: see `CouplingPrior`.
      standardize: see `Prior`.
      context_size: see `CouplingPrior`.
      dropout: see `CouplingPrior`.
      input_bound: see `CouplingPrior`.

    >>> prior = RealNVPPrior(latent_size=8)
    >>> prior.build((None, 8))
    >>> z = prior.sample(100, seed=0)
    >>> z.shape, prior.log_prob(z).shape, prior.to_base(z).shape
    (TensorShape([100, 8]), TensorShape([100]), TensorShape([100, 8]))
    """

    def __init__(
        self,
        latent_size: LatentSize,
        couplings: int = 8,
        hidden_sizes: Sequence[int] = (256, 256),
        log_scale_bound: float = 2.0,
        permutation_seed: int = 0,
        standardize: bool | LatentStandardization = False,
        context_size: int = 0,
        dropout: float = 0.0,
        input_bound: float | None = 3.0,
        **kwargs,
    ):
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
        check_within("RealNVPPrior", "(0, inf)", log_scale_bound=log_scale_bound)
        self.log_scale_bound = log_scale_bound

    def _outputs_per_dimension(self):
        return 2

    def _elementwise(self, outputs):
        shift, s = tf.split(outputs, 2, axis=-1)
        log_scale = bounded(s, self.log_scale_bound)
        seen = _SEEN.of(self)
        if seen is not None:
            seen.append(log_scale)
        return affine_bijector(shift, log_scale)

    def diagnostics(self, z, context=None):
        """Smallest and largest log-scale of the couplings on the codes z."""
        seen = []
        with _SEEN.set(self, seen):
            self.to_base(z, context)
        log_scale = tf.concat(seen, axis=-1)
        return {
            "flow_log_scale_min": tf.reduce_min(log_scale),
            "flow_log_scale_max": tf.reduce_max(log_scale),
        }

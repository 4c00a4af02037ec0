"""The flow prior: RealNVP coupling layers (Dinh et al. 2017; the paper's section 3)."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.checks import check_latent_size
from tfp_priors.errors import UserError
from tfp_priors.networks import MLP
from tfp_priors.priors.prior import Prior

tfb = tfp.bijectors


class RealNVPPrior(Prior):
    """z = f^-1(z0), f a chain of affine couplings on alternate halves of the code.

    The couplings come in pairs: the first moves one half given the other, the
    second the other way round, and a fixed permutation separates the pairs. All
    conditioners start with a zero output, so a new flow equals its base exactly,
    and log-scales stay within the open interval +- log_scale_bound.

    Args:
      latent_size: dimensions of the code, at least 2.
      couplings: number of coupling layers.
      hidden_sizes: hidden units of each conditioner.
      log_scale_bound: c in log_scale = c tanh(s / c).
      permutation_seed: fixes the permutations between the pairs.
      standardize: see `Prior`.
      context_size: see `Prior`; the context is also an input of each conditioner.
    """

    def __init__(
        self,
        latent_size: int,
        couplings: int = 8,
        hidden_sizes: Sequence[int] = (256, 256),
        log_scale_bound: float = 2.0,
        permutation_seed: int = 0,
        standardize: bool = False,
        context_size: int = 0,
        **kwargs,
    ):
        check_latent_size(latent_size, "RealNVPPrior", minimum=2)
        super().__init__(latent_size, standardize, context_size, **kwargs)
        if couplings < 1 or not log_scale_bound > 0:
            raise UserError(
                "RealNVPPrior expects couplings >= 1 and log_scale_bound > 0, "
                f"received {couplings} and {log_scale_bound}."
            )
        self.couplings = couplings
        self.hidden_sizes = tuple(hidden_sizes)
        self.log_scale_bound = log_scale_bound
        self.permutation_seed = permutation_seed
        random = np.random.RandomState(permutation_seed)
        self._permutations = [
            tuple(int(i) for i in random.permutation(latent_size))
            for _ in range((couplings - 1) // 2)
        ]
        self._conditioners = [
            MLP(self.hidden_sizes, 2 * self._moved(i), zero_output=True)
            for i in range(couplings)
        ]

    def _num_masked(self, index: int) -> int:
        # TFP keeps the first n dimensions for n > 0 and the last -n for n < 0.
        first = self.latent_size // 2
        return first if index % 2 == 0 else first - self.latent_size

    def _moved(self, index: int) -> int:
        return self.latent_size - abs(self._num_masked(index))

    def build(self, input_shape=None):
        for i, conditioner in enumerate(self._conditioners):
            conditioner.build((None, abs(self._num_masked(i)) + self.context_size))
        super().build(input_shape)

    def bijector(self, context=None) -> tfb.Bijector:
        return self._flow(context)

    def diagnostics(self, z, context=None):
        """Smallest and largest log-scale of the couplings on the codes z."""
        log_scales = []
        bijector = self._flow(context, log_scales)
        if self._standardization is not None:
            z = self._standardization(z)
        bijector.inverse(z)
        log_scale = tf.concat(log_scales, axis=-1)
        return {
            "flow_log_scale_min": tf.reduce_min(log_scale),
            "flow_log_scale_max": tf.reduce_max(log_scale),
        }

    def _flow(self, context, log_scales=None):
        bijectors = []
        for i in range(self.couplings):
            bijectors.append(self._coupling(i, context, log_scales))
            if i % 2 == 1 and i < self.couplings - 1:
                bijectors.append(tfb.Permute(self._permutations[i // 2]))
        return tfb.Chain(bijectors)

    def _coupling(self, index, context, log_scales):
        def shift_and_log_scale(kept, moved_size):
            inputs = kept
            if context is not None:
                inputs = tf.concat([kept, context], axis=-1)
            shift, s = tf.split(self._conditioners[index](inputs), 2, axis=-1)
            log_scale = self.log_scale_bound * tf.tanh(s / self.log_scale_bound)
            if log_scales is not None:
                log_scales.append(log_scale)
            return shift, log_scale

        return tfb.RealNVP(
            num_masked=self._num_masked(index),
            shift_and_log_scale_fn=shift_and_log_scale,
        )

    def get_config(self):
        return super().get_config() | {
            "couplings": self.couplings,
            "hidden_sizes": self.hidden_sizes,
            "log_scale_bound": self.log_scale_bound,
            "permutation_seed": self.permutation_seed,
        }

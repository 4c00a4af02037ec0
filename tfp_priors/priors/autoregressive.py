"""The base class of autoregressive flows: each dimension given those before it."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core.by_rows import by_rows
from tfp_priors.core.code_shape import LatentSize
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_widths
from tfp_priors.errors import check_within
from tfp_priors.networks import MADE
from tfp_priors.priors.affine import affine_bijector
from tfp_priors.priors.affine import bounded
from tfp_priors.priors.flow import FlowPrior
from tfp_priors.priors.standardization import LatentStandardization

tfb = tfp.bijectors


class AutoregressivePrior(FlowPrior):
    """z = f^-1(z0), f a chain of affine autoregressive maps.

    The order of the dimensions is reversed between the flows. The conditioners are
    `MADE` networks that start with a zero output. A subclass defines `_flow`.

    Args:
      latent_size: dimensions of the code.
      flows: number of autoregressive maps.
      hidden_sizes: hidden units of each conditioner.
      log_scale_bound: c in log_scale = c tanh(s / c).
      standardize: see `Prior`.
      context_size: see `FlowPrior`; the context also is an input of each conditioner.
      dropout: share of the hidden units of each conditioner that a training step
        leaves out.
    """

    def __init__(
        self,
        latent_size: LatentSize,
        flows: int = 4,
        hidden_sizes: Sequence[int] = (256, 256),
        log_scale_bound: float = 2.0,
        standardize: bool | LatentStandardization = False,
        context_size: int = 0,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(latent_size, standardize, context_size, **kwargs)
        name = type(self).__name__
        check_counts(name, flows=flows)
        self.flows = flows
        self.hidden_sizes = check_widths(name, hidden_sizes)
        check_within(name, "[0, 1)", dropout=dropout)
        self.dropout = dropout
        check_within(name, "(0, inf)", log_scale_bound=log_scale_bound)
        self.log_scale_bound = log_scale_bound
        self._conditioners = [
            MADE(self.latent_size, 2, self.hidden_sizes, context_size)
            for _ in range(flows)
        ]

    def build(self, input_shape=None):
        for conditioner in self._conditioners:
            conditioner.build()
        super().build(input_shape)

    def _flow(self, masked: tfb.MaskedAutoregressiveFlow) -> tfb.Bijector:
        """One flow, from the bijector whose inverse takes one pass."""
        raise NotImplementedError

    def bijector(self, context=None):
        order = range(self.latent_size)[::-1]
        bijectors = []
        for i in range(self.flows):
            if i:
                bijectors.append(tfb.Permute(list(order)))
            masked = tfb.MaskedAutoregressiveFlow(bijector_fn=self._affine(i, context))
            bijectors.append(self._flow(masked))
        return tfb.Chain(bijectors)

    def _forward(self, z0, context):
        # Op by op a pass for each dimension takes seconds.
        if tf.executing_eagerly() and self._step_seed is None:
            return self._compiled_forward(z0, context)
        return super()._forward(z0, context)

    @tf.function(reduce_retracing=True, autograph=False)
    def _compiled_forward(self, z0, context):
        return super()._forward(z0, context)

    def _affine(self, index, context):
        def outputs_given(before, context):
            dropout = self._dropout(index)
            return tuple(self._conditioners[index](before, context, dropout=dropout))

        def bijector_fn(before, **kwargs):
            del kwargs
            shift, s = by_rows(outputs_given, before, context)
            return affine_bijector(shift, bounded(s, self.log_scale_bound))

        return bijector_fn

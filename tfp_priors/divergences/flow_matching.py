"""Conditional flow matching (Lipman et al. 2023; Liu et al. 2023)."""

import tensorflow as tf

from tfp_priors.core.gradients import is_zero
from tfp_priors.divergences.divergence import Divergence
from tfp_priors.divergences.divergence import DivergenceTerms
from tfp_priors.errors import UserError


class FlowMatchingDivergence(Divergence):
    """The squared error of a prior's velocity, on paths from draws of z0 to codes.

    It is least for the velocity whose flow carries z0 to the codes. It says how far
    that flow is off, and nothing of where a code is likely, so it cannot push the code:
    beta must be 0.

    Metrics: `velocity_error`, see `FlowMatchingPrior.velocity_error`.
    """

    def metric_names(self, posterior, prior, beta):
        return ("velocity_error",)

    def check(self, posterior, prior, beta):
        if not prior.has_velocity:
            raise UserError(
                f"FlowMatchingDivergence needs a velocity, which a "
                f"{type(prior).__name__} does not have: use FlowMatchingPrior, or "
                "another divergence."
            )
        if not is_zero(beta):
            raise UserError(
                "FlowMatchingDivergence cannot push the code to the prior: set beta = "
                "0, or use KLDivergence, which follows the density of the flow."
            )

    def terms(self, posterior, z, prior, beta, seed, context=None):
        error = prior.velocity_error(tf.stop_gradient(z), seed, context)
        return DivergenceTerms(error, {"velocity_error": error})

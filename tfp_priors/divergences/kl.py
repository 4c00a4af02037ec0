"""The KL divergence of VAEs and flow-prior VAEs (equations 5 to 8)."""

import tensorflow_probability as tfp

from tfp_priors.divergences.divergence import Divergence
from tfp_priors.divergences.divergence import DivergenceTerms
from tfp_priors.divergences.divergence import is_zero
from tfp_priors.divergences.divergence import scale_gradient
from tfp_priors.errors import UserError

tfd = tfp.distributions


class KLDivergence(Divergence):
    """KL[q(z|x) || p(z)], in closed form where TFP knows one, else at one draw.

    Metrics: `kl` (only if q(z|x) has a density) and `prior_nll` = -log p(z), nats.
    """

    def metric_names(self, posterior):
        return ("kl", "prior_nll") if posterior.has_density else ("prior_nll",)

    def check(self, posterior, prior, beta):
        if not posterior.has_density and not is_zero(beta):
            raise UserError(
                "KLDivergence needs log q(z|x), which a "
                f"{type(posterior).__name__} does not have: set beta = 0, or choose "
                "NormalPosterior or FixedScaleNormalPosterior."
            )

    def terms(self, posterior, z, prior, beta, context=None):
        distribution = prior.distribution(context)
        prior_nll = -distribution.log_prob(scale_gradient(z, beta))
        if isinstance(posterior, tfd.VectorDeterministic):
            return DivergenceTerms(prior_nll, {"prior_nll": prior_nll})
        if not prior.trainable_variables and _has_closed_form(posterior, distribution):
            kl = tfd.kl_divergence(posterior, distribution)
            return DivergenceTerms(beta * kl, {"kl": kl, "prior_nll": prior_nll})
        log_q = posterior.log_prob(z)
        loss = prior_nll if is_zero(beta) else beta * log_q + prior_nll
        return DivergenceTerms(loss, {"kl": log_q + prior_nll, "prior_nll": prior_nll})


def _has_closed_form(q: tfd.Distribution, p: tfd.Distribution) -> bool:
    return all(isinstance(d, tfd.MultivariateNormalDiag) for d in (q, p))

"""The KL divergence of VAEs and flow-prior VAEs (equations 5 to 8)."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core import replicas
from tfp_priors.core.gradients import is_zero
from tfp_priors.divergences.divergence import Divergence
from tfp_priors.divergences.divergence import DivergenceTerms
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_within

tfd = tfp.distributions


class KLDivergence(Divergence):
    """KL[q(z|x) || p(z)], in closed form where there is one, else at one draw.

    With free bits (Kingma et al. 2016) the code is pushed only while the divergence,
    averaged over the batch, exceeds `free_bits`: the autoencoder minimises
    max(free_bits, KL) for each subset of the latent dimensions. The prior learns as
    ever, and at beta = 0, without a push, free bits are none.

    Metrics: `kl` (only if q(z|x) has a density) and `prior_nll` = -log p(z), nats; for
    a prior that knows a bound only, their bounds.

    Args:
      free_bits: nats per subset that cost nothing.
      subset_size: neighbouring dimensions per subset; None: the whole code is one.
        Smaller subsets need a diagonal posterior and the standard normal prior.
    """

    def __init__(
        self, free_bits: float = 0.0, subset_size: int | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        check_within("KLDivergence", "[0, inf)", free_bits=free_bits)
        self.free_bits = free_bits
        if subset_size is not None:
            check_counts("KLDivergence", subset_size=subset_size)
        self.subset_size = subset_size

    def metric_names(self, posterior, prior, beta):
        return ("kl", "prior_nll") if posterior.has_density else ("prior_nll",)

    def check(self, posterior, prior, beta):
        if not prior.has_nll:
            raise UserError(
                f"KLDivergence needs log p(z), which a {type(prior).__name__} does not "
                "have: use AdversarialDivergence or MMDDivergence."
            )
        if prior.has_velocity and getattr(prior, "dropout", 0):
            raise UserError(
                f"KLDivergence trains a {type(prior).__name__} without its dropout = "
                f"{prior.dropout:g}: set it to 0, or take FlowMatchingDivergence."
            )
        if not posterior.has_density and not is_zero(beta):
            raise UserError(
                "KLDivergence needs log q(z|x), which a "
                f"{type(posterior).__name__} does not have: set beta = 0, or choose "
                "NormalPosterior or FixedScaleNormalPosterior."
            )
        size = self.subset_size
        if size is not None and posterior.latent_size % size:
            raise UserError(
                f"KLDivergence.subset_size = {size} does not divide the "
                f"{posterior.latent_size} latent dimensions."
            )

    def terms(self, posterior, z, prior, beta, seed, context=None):
        closed_form = self._closed_form(posterior, prior, context)
        if closed_form is not None:
            metrics = {
                "kl": tf.reduce_sum(closed_form, axis=-1),
                "prior_nll": prior.nll(z, 0.0, seed, context),
            }
            if is_zero(beta):
                return DivergenceTerms(tf.zeros([]), metrics)
            return DivergenceTerms(beta * self._with_free_bits(closed_form), metrics)
        has_free_bits = self.free_bits > 0 and not is_zero(beta)
        if self.subset_size is not None and not is_zero(beta):
            raise UserError(
                "KLDivergence.subset_size needs the closed form of a diagonal "
                "posterior and the standard normal prior: remove it."
            )
        kl = None if has_free_bits else prior.kl(posterior, z, beta, context)
        if kl is not None:
            metrics = {"kl": kl, "prior_nll": prior.nll(z, 0.0, seed, context)}
            return DivergenceTerms(kl, metrics)
        if isinstance(posterior, tfd.VectorDeterministic):
            nll = prior.nll(z, beta, seed, context)
            return DivergenceTerms(nll, {"prior_nll": nll})
        log_q = posterior.log_prob(z)
        if has_free_bits:
            kl = tf.reduce_mean(log_q + prior.nll(z, 0.0, seed, context))
            # max(free_bits, kl) has the gradient of kl, or none.
            beta *= tf.cast(replicas.mean(kl) > self.free_bits, tf.float32)
        nll = prior.nll(z, beta, seed, context)
        loss = nll if is_zero(beta) else beta * log_q + nll
        return DivergenceTerms(loss, {"kl": log_q + nll, "prior_nll": nll})

    def _closed_form(self, posterior, prior, context):
        """KL per dimension, `[batch, latent_size]`, or None."""
        if prior.trainable_variables or not prior.has_density:
            return None
        distribution = prior.distribution(context)
        pair = (posterior, distribution)
        if not all(isinstance(d, tfd.MultivariateNormalDiag) for d in pair):
            return None
        q, p = (tfd.Normal(d.mean(), d.stddev()) for d in pair)
        return tfd.kl_divergence(q, p)

    def _with_free_bits(self, kl):
        """`[batch, latent_size]` to `[batch]`, or to a scalar with free bits."""
        if not self.free_bits:
            return tf.reduce_sum(kl, axis=-1)
        mean = tf.reduce_mean(kl, axis=0)  # [latent_size]
        subsets = tf.reshape(mean, [-1, self.subset_size or mean.shape[0]])
        subsets = tf.reduce_sum(subsets, axis=-1)
        # max(free_bits, .) of the mean over all replicas.
        exceeds = replicas.mean(subsets) > self.free_bits
        return tf.reduce_sum(tf.where(exceeds, subsets, self.free_bits))

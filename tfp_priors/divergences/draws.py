"""What divergences that compare draws share."""

import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.core.gradients import scale_gradient
from tfp_priors.errors import UserError


def check_reparameterized(prior, owner: str) -> None:
    """Raises UserError if a prior that must learn has draws without gradients."""
    if prior.trainable_variables and not prior.reparameterized:
        raise UserError(
            f"{owner} learns a prior through its draws, and those of a "
            f"{type(prior).__name__} have no gradient: use KLDivergence."
        )


def codes_and_draws(z, prior, beta, seed, context):
    """Codes and as many draws of the prior, with the context beside them, all standard.

    Returns:
      Two float tensors `[batch, latent_size + context_size]`.
    """
    codes, _ = prior.standardization(scale_gradient(z, beta))
    context = prior.standard_context(context)
    draws = prior.standard_sample(replicas.size(z), seed, context=context)
    draws = tf.ensure_shape(draws, z.shape)
    if context is None:
        return codes, draws
    return tuple(tf.concat([x, context], axis=-1) for x in (codes, draws))

"""The adversarial divergence of AAE and Prior-AAE (the paper's section 3)."""

import keras
import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.core.gradients import gradient_norm
from tfp_priors.core.gradients import is_zero
from tfp_priors.divergences.adversarial_losses import NonSaturatingLoss
from tfp_priors.divergences.divergence import CriticTerms
from tfp_priors.divergences.divergence import Divergence
from tfp_priors.divergences.divergence import DivergenceTerms
from tfp_priors.divergences.draws import check_reparameterized
from tfp_priors.divergences.draws import codes_and_draws
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_within


class AdversarialDivergence(Divergence):
    """A discriminator tells draws of the prior from codes.

    The code moves towards the prior, with weight beta, and a learned prior towards
    the code, with full weight; with a fixed prior this is an AAE (Makhzani et al.
    2016), with a `GeneratorPrior` a Prior-AAE. Codes are compared after the prior's
    standardisation, if it has one.

    Metrics: `adversarial`, the loss of the code (unless beta is 0);
    `prior_adversarial`, the loss of a learned prior; `discriminator_loss` with its
    penalties; `discriminator_accuracy`, 1/2 if it cannot tell.

    Args:
      discriminator: layer, codes to one number, such as `MLP(sizes, 1)`.
      loss: see `tfp_priors.divergences.adversarial_losses`.
      critic_steps: discriminator updates per step, with new draws of the prior each.
      gradient_penalty: weight of E[(|grad| - 1)^2] on lines between draws and codes
        (Gulrajani et al. 2017).
      r1: weight of E[|grad|^2] / 2 on the side that does not follow: the draws of a
        fixed prior, or the codes if the prior is learned (Mescheder et al. 2018).
    """

    def __init__(
        self,
        discriminator: keras.layers.Layer,
        loss=None,
        critic_steps: int = 1,
        gradient_penalty: float = 0.0,
        r1: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        name = type(self).__name__
        check_counts(name, critic_steps=critic_steps)
        check_within(name, "[0, inf)", gradient_penalty=gradient_penalty, r1=r1)
        self.discriminator = discriminator
        self.loss = NonSaturatingLoss() if loss is None else loss
        self.critic_steps = critic_steps
        self.gradient_penalty = gradient_penalty
        self.r1 = r1

    def build(self, input_shape):
        self.discriminator.build(input_shape)
        self.built = True

    def metric_names(self, posterior, prior, beta):
        names = () if is_zero(beta) else ("adversarial",)
        return (*names, "prior_adversarial") if prior.trainable_variables else names

    def critic_metric_names(self):
        return ("discriminator_loss", "discriminator_accuracy")

    def check(self, posterior, prior, beta):
        check_reparameterized(prior, "AdversarialDivergence")

    def terms(self, posterior, z, prior, beta, seed, context=None):
        codes, draws = codes_and_draws(z, prior, beta, seed, context)
        losses = {}
        if not is_zero(beta):
            t = self.discriminator(codes)
            losses["adversarial"] = self.loss.follower(t)[:, 0]
        if prior.trainable_variables:
            t = self.discriminator(draws)
            losses["prior_adversarial"] = self.loss.follower(-t)[:, 0]
        loss = tf.add_n(list(losses.values())) if losses else tf.zeros([])
        return DivergenceTerms(loss, losses)

    def critic_terms(self, z, prior, seed, context=None):
        seeds = tf.random.experimental.stateless_split(seed, 2)
        codes, draws = codes_and_draws(z, prior, 0.0, seeds[0], context)
        draws = tf.stop_gradient(draws)
        t = self.discriminator(tf.concat([draws, codes], axis=0), training=True)
        t_draws, t_codes = tf.split(t, 2)
        loss = tf.reduce_mean(self.loss.critic(t_draws) + self.loss.critic(-t_codes))
        if self.gradient_penalty:
            share = replicas.uniform(replicas.size(codes), [1], seeds[1])
            between = share * draws + (1.0 - share) * codes
            norm = self._slopes(between, prior.latent_size)
            loss += self.gradient_penalty * tf.reduce_mean(tf.square(norm - 1.0))
        if self.r1:
            leader = codes if prior.trainable_variables else draws
            norm = self._slopes(leader, prior.latent_size)
            loss += 0.5 * self.r1 * tf.reduce_mean(tf.square(norm))
        right = [t_draws > 0.0, t_codes < 0.0]
        accuracy = tf.reduce_mean(tf.cast(tf.concat(right, axis=0), tf.float32))
        metrics = {"discriminator_loss": loss, "discriminator_accuracy": accuracy}
        return CriticTerms(loss, metrics)

    def _slopes(self, rows, size):
        """|dT / dz| of rows that are codes and, beside them, contexts."""
        z, context = tf.split(rows, [size, rows.shape[-1] - size], axis=-1)
        return gradient_norm(
            lambda z: self.discriminator(tf.concat([z, context], axis=-1)), z
        )

"""The base model: encoder, decoder, prior, divergence and beta in one step."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfp_priors import replicas
from tfp_priors.divergences import Divergence
from tfp_priors.errors import UserError
from tfp_priors.likelihoods import Likelihood
from tfp_priors.models.generative_model import GenerativeModel
from tfp_priors.models.grouped_model import Objective
from tfp_priors.models.grouped_model import Summary
from tfp_priors.models.grouped_model import describe
from tfp_priors.models.grouped_model import fold_in
from tfp_priors.models.grouped_model import with_float_images
from tfp_priors.posteriors import Posterior
from tfp_priors.priors import Prior
from tfp_priors.regularizers import Regularizer

#: Key of the data that holds the parameters of q(z|x) in place of images.
POSTERIOR = "posterior"


# Burda et al. 2016: a latent unit is active if the variance of its posterior mean
# over the data exceeds this.
_ACTIVE_VARIANCE = 1e-2

# What is folded into a step's seed for uses other than the posterior's noise.
_DRAWS, _REGULARIZERS, _CRITIC = 1, 100, 200


class LatentVariableModel(GenerativeModel):
    """An autoencoder with a prior on its code.

        L_phi,psi = reconstruction + beta * D(q, p)   the prior held fixed   (eq. 7)
        L_theta   =                         D(q, p)   the code held fixed    (eq. 6)

    With a fixed normal prior and the KL divergence it is a VAE, with a flow prior
    the FP-VAE; at beta = 0 an unregularised autoencoder whose prior comes to the
    code (eq. 8). All variables exist once the constructor returns. Their groups are
    "autoencoder", "prior" and, for an adversarial divergence, "discriminator".

    Args:
      encoder: layer, images to features; has an attribute `image_shape`.
      posterior: head on the features, q(z|x).
      decoder: layer, codes to the likelihood's parameters.
      likelihood: p(x|z) of the decoder's outputs.
      prior: p(z).
      divergence: D.
      beta: weight of D in the autoencoder's loss; a number, or a function of the
        step (an integer tensor) such as `training.LinearAnnealing`.
      seed: of all noise. The noise of a row is a function of the seed, the step and
        the row's place in the batch, so a resumed run repeats it.
      regularizers: further terms of the autoencoder's loss.

    Images are float tensors `[batch, height, width, channels]` in [0, 1]. The
    training data is a `tf.data.Dataset` of dicts with the key "image"; or with the
    key "posterior", the outputs of `posterior_parameters`: the prior then learns
    alone.
    """

    has_encoder = True
    remedies = (*GenerativeModel.remedies, "a prior with standardize = True")

    def __init__(
        self,
        encoder: keras.layers.Layer,
        posterior: Posterior,
        decoder: keras.layers.Layer,
        likelihood: Likelihood,
        prior: Prior,
        divergence: Divergence,
        beta: float | Callable = 1.0,
        seed: int = 0,
        regularizers: Sequence[Regularizer] = (),
        **kwargs,
    ):
        super().__init__(**kwargs)
        if posterior.latent_size != prior.latent_size:
            raise UserError(
                "Posterior and prior must have one latent size, received "
                f"{posterior.latent_size} and {prior.latent_size}."
            )
        if not callable(beta) and not 0 <= beta < float("inf"):
            raise UserError(f"beta must be a finite number >= 0, received {beta}.")
        self.encoder = encoder
        self.posterior = posterior
        self.decoder = decoder
        self.likelihood = likelihood
        self.prior = prior
        self.divergence = divergence
        # A schedule that rises to 0 is the number 0, which cuts gradients off.
        self.beta = 0.0 if getattr(beta, "value", None) == 0 else beta
        self.seed = seed
        self.regularizers = tuple(regularizers)
        prior.connect(encoder, posterior)
        self.build((None, *encoder.image_shape))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)`."""
        return self.encoder.image_shape

    def build(self, input_shape):
        latent_shape = (None, self.latent_size)
        features_shape = self.encoder.compute_output_shape(input_shape)
        outputs_shape = self.decoder.compute_output_shape(latent_shape)
        joint_shape = (None, self.latent_size + self.prior.context_size)
        for part, shape in (
            (self.encoder, input_shape),
            (self.posterior, features_shape),
            (self.decoder, latent_shape),
            (self.likelihood, outputs_shape),
            (self.prior, latent_shape),
            (self.divergence, joint_shape),
        ):
            if not part.built:
                part.build(shape)
        self.divergence.check(self.posterior, self.prior, self.beta)
        names = ["loss", "reconstruction", *(r.name for r in self.regularizers)]
        names += self.divergence.metric_names(self.posterior, self.prior, self.beta)
        self.track([*names, *self.divergence.critic_metric_names()])
        self.built = True

    @property
    def autoencoder(self) -> dict[str, keras.layers.Layer]:
        """The parts that are not the prior's, by name."""
        return {
            "encoder": self.encoder,
            "posterior": self.posterior,
            "decoder": self.decoder,
            "likelihood": self.likelihood,
        }

    def networks(self):
        return [self.encoder, self.decoder, *self.likelihood.networks()]

    def variable_groups(self):
        parts = self.autoencoder.values()
        return {
            "autoencoder": [v for part in parts for v in part.trainable_variables],
            "prior": self.prior.trainable_variables,
            "discriminator": self.divergence.trainable_variables,
        }

    def with_prior(self, prior: Prior, divergence: Divergence) -> "LatentVariableModel":
        """A model of the same autoencoder, held fixed from now on, and another prior.

        Its beta is 0: the prior comes to the code.
        """
        for part in self.autoencoder.values():
            part.trainable = False
        return LatentVariableModel(
            **self.autoencoder,
            prior=prior,
            divergence=divergence,
            beta=0.0,
            seed=self.seed,
        )

    # Inference -----------------------------------------------------------------

    def call(self, images, training=False):
        """Reconstructs images."""
        parameters = self.posterior_parameters(images, training)
        return self.decode(self.posterior.code(parameters), training)

    def posterior_parameters(self, images, training=False):
        """What `posterior.distribution` makes q(z|x) of, a row per image."""
        features = self.encoder(images, training=training)
        return self.posterior(tf.cast(features, tf.float32))

    def posterior_distribution(self, images, training=False):
        """q(z|x) as a TFP distribution with batch shape `[batch]`."""
        return self.posterior.distribution(self.posterior_parameters(images, training))

    def encode(self, images):
        """Images to codes, `[batch, latent_size]`: as a rule the means of q(z|x)."""
        return self.posterior.code(self.posterior_parameters(images))

    def decode(self, z, training=False):
        """Codes `[batch, latent_size]` to expected images in [0, 1]."""
        return self.likelihood.mean(self._outputs(z, training))

    def _outputs(self, z, training=False):
        """The likelihood's parameters, float32 whatever the decoder computes in."""
        return tf.cast(self.decoder(z, training=training), tf.float32)

    def reconstruct(self, images):
        """Images to their decoded codes."""
        return self.decode(self.encode(images))

    def sample_posterior(self, images, seed):
        """Draws a code of q(z|x) for each image, `[batch, latent_size]`.

        Args:
          images: `[batch, height, width, channels]` in [0, 1].
          seed: int tensor `[2]`.
        """
        return replicas.sample(self.posterior_distribution(images), seed)

    def log_terms(self, images, seed):
        """log p(x|z), log p(z) and log q(z|x) at one draw z of q(z|x).

        Args:
          images: `[batch, height, width, channels]` in [0, 1].
          seed: int tensor `[2]`, of the draw.

        Returns:
          Three tensors in nats, `[batch]`.

        Raises:
          UserError: if the prior or the posterior has no density, or the likelihood is
            none.
        """
        if not self.likelihood.is_density:
            raise UserError(
                f"A {type(self.likelihood).__name__} is no density of images: the "
                "likelihood needs NormalLikelihood or BernoulliLikelihood."
            )
        if not self.posterior.has_density:
            raise UserError(
                f"A {type(self.posterior).__name__} has no density q(z|x): the "
                "likelihood needs NormalPosterior or another one with noise."
            )
        posterior = self.posterior_distribution(images)
        z = replicas.sample(posterior, seed)
        log_likelihood = self.likelihood.log_prob(images, self._outputs(z))
        return log_likelihood, self.log_prob(z), posterior.log_prob(z)

    # Training ------------------------------------------------------------------

    def beta_at(self, step):
        """beta at a step: the number itself, or a scalar tensor if it changes."""
        return self.beta(step) if callable(self.beta) else self.beta

    def objective(self, images, beta, seed, training=False) -> Objective:
        """The objective on a batch.

        The gradient of its loss is that of equation 7 for the autoencoder and that of
        equation 6 for the prior. Its codes are z, `[batch, latent_size]`.

        Args:
          images: `[batch, height, width, channels]` in [0, 1].
          beta: scalar.
          seed: int tensor `[2]`, of all noise.
          training: use batch statistics.
        """
        posterior = self.posterior_distribution(images, training)
        z = replicas.sample(posterior, seed)
        outputs = self._outputs(z, training)
        reconstruction = -self.likelihood.log_prob(images, outputs)  # [B]
        divergence = self.divergence.terms(
            posterior, z, self.prior, beta, fold_in(seed, _DRAWS)
        )
        loss = tf.reduce_mean(reconstruction) + tf.reduce_mean(divergence.loss)
        metrics = {"reconstruction": reconstruction, **divergence.metrics}
        for i, regularizer in enumerate(self.regularizers):
            term = regularizer.term(self, z, fold_in(seed, _REGULARIZERS + i))
            loss += regularizer.weight * tf.reduce_mean(term)
            metrics[regularizer.name] = term
        return Objective(loss, _means(metrics), z)

    def prior_objective(self, parameters, seed) -> Objective:
        """The prior's objective (equation 6) on a batch of fixed codes.

        Args:
          parameters: of q(z|x), from `posterior_parameters`.
          seed: int tensor `[2]`, of all noise.
        """
        posterior = self.posterior.distribution(tf.stop_gradient(parameters))
        z = replicas.sample(posterior, seed)
        divergence = self.divergence.terms(
            posterior, z, self.prior, 0.0, fold_in(seed, _DRAWS)
        )
        loss = tf.reduce_mean(divergence.loss)
        return Objective(loss, _means(divergence.metrics), z)

    def groups_on(self, batch):
        names = ("prior",) if POSTERIOR in batch else ("autoencoder", "prior")
        return [name for name in names if name in self._optimizers]

    def objective_on(self, batch, step, seed):
        if POSTERIOR in batch:
            return self.prior_objective(batch[POSTERIOR], seed)
        return self.objective(batch["image"], self.beta_at(step), seed, training=True)

    def finish_step(self, batch, codes, seed):
        scalars = {}
        for i in range(self.divergence.critic_steps):
            scalars |= self._critic_step(codes, fold_in(seed, _CRITIC + i))
        if POSTERIOR not in batch:
            self.prior.update_statistics(codes)
        return scalars

    def _critic_step(self, z, seed):
        group = "discriminator"
        with tf.GradientTape() as tape:
            terms = self.divergence.critic_terms(z, self.prior, seed)
            loss = self.scaled_loss(terms.loss, [group])
        gradients = tape.gradient(loss, self.divergence.trainable_variables)
        return terms.metrics | self.apply_gradients(group, gradients)

    def test_step(self, data):
        step = next(iter(self._optimizers.values())).iterations
        seed = self.step_seed(self.seed, step)
        images = with_float_images(data)["image"]
        objective = self.objective(images, self.beta_at(step), seed)
        return self.report({"loss": objective.loss, **objective.metrics})

    # What training shows -------------------------------------------------------

    def schedules(self, step):
        return {"beta": self.beta_at(step)}

    def summary_of(self, batch):
        images = batch["image"]
        z = self.encode(images)
        scale = tf.math.reduce_std(z, axis=0)  # [latent_size]
        active = tf.cast(tf.square(scale) > _ACTIVE_VARIANCE, tf.float32)
        scalars = {
            "latent/scale_min": tf.reduce_min(scale),
            "latent/scale_mean": tf.reduce_mean(scale),
            "latent/scale_max": tf.reduce_max(scale),
            "latent/active_units": tf.reduce_sum(active),
        }
        if self.prior.has_density:
            scalars["test/prior_nll"] = -tf.reduce_mean(self.log_prob(z))
        for name, value in self.prior.diagnostics(z).items():
            scalars[f"prior/{name}"] = value
        pairs = tf.concat([images[:10], self.decode(z[:10])], axis=0)
        return Summary(
            scalars, {"reconstructions": pairs, "samples": self.sample(100, seed=0)}
        )

    def diagnosis(self, images):
        return describe("codes", self.encode(images).numpy())


def _means(metrics):
    return {name: tf.reduce_mean(value) for name, value in metrics.items()}

"""The base model: encoder, decoder, prior, divergence and beta in one step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfp_priors.divergences import Divergence
from tfp_priors.errors import UserError
from tfp_priors.likelihoods import Likelihood
from tfp_priors.posteriors import Posterior
from tfp_priors.priors import Prior


class Objective(NamedTuple):
    """The objective on one batch.

    Attributes:
      loss: scalar; its gradient is that of equation 7 for the autoencoder and that
        of equation 6 for the prior.
      metrics: named scalars, nats averaged over the batch.
      z: the codes, `[batch, latent_size]`.
    """

    loss: Any
    metrics: dict[str, Any]
    z: Any


class LatentVariableModel(keras.Model):
    """An autoencoder with a prior on its code.

        L_phi,psi = reconstruction + beta * D(q, p)   the prior held fixed   (eq. 7)
        L_theta   =                         D(q, p)   the code held fixed    (eq. 6)

    With a fixed normal prior and the KL divergence it is a VAE, with a flow prior
    the FP-VAE; at beta = 0 an unregularised autoencoder whose prior comes to the
    code (eq. 8). All variables exist once the constructor returns.

    Args:
      encoder: layer, images to features; has an attribute `image_shape`.
      posterior: head on the features, q(z|x).
      decoder: layer, codes to the likelihood's parameters.
      likelihood: p(x|z) of the decoder's outputs.
      prior: p(z).
      divergence: D.
      beta: weight of D in the autoencoder's loss; a number, or a function of the
        step (an integer tensor) such as `training.LinearAnnealing`.
      seed: of the posterior's noise. The noise of a step is a function of the seed,
        the step and the replica, so a resumed run repeats it.

    Images are float tensors `[batch, height, width, channels]` in [0, 1]. The
    training data is a `tf.data.Dataset` of dicts with the key "image".
    """

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
        divergence.check(posterior, prior, beta)
        self.encoder = encoder
        self.posterior = posterior
        self.decoder = decoder
        self.likelihood = likelihood
        self.prior = prior
        self.divergence = divergence
        self.beta = beta
        self.seed = seed
        self.prior_optimizer = None
        self.clip_norm = None
        names = ("loss", "reconstruction", *divergence.metric_names(posterior))
        self._means = {name: keras.metrics.Mean(name=name) for name in names}
        for group in self.variable_groups():
            name = f"{group}_gradient_norm"
            self._means[name] = keras.metrics.Mean(name=name)
        self.build((None, *encoder.image_shape))

    @property
    def latent_size(self) -> int:
        """Dimensions of z."""
        return self.prior.latent_size

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)`."""
        return self.encoder.image_shape

    def build(self, input_shape):
        latent_shape = (None, self.latent_size)
        self.encoder.build(input_shape)
        self.posterior.build(self.encoder.compute_output_shape(input_shape))
        self.decoder.build(latent_shape)
        self.likelihood.build(self.decoder.compute_output_shape(latent_shape))
        self.prior.build(latent_shape)
        self.divergence.build(latent_shape)
        self.built = True

    def variable_groups(self) -> dict[str, list]:
        """The trainable variables by the loss that moves them."""
        parts = (self.encoder, self.posterior, self.decoder, self.likelihood)
        return {
            "autoencoder": [v for part in parts for v in part.trainable_variables],
            "prior": self.prior.trainable_variables,
        }

    # Inference -----------------------------------------------------------------

    def call(self, images, training=False):
        """Reconstructs images."""
        z = self.posterior_distribution(images, training).mean()
        return self.decode(z, training)

    def posterior_distribution(self, images, training=False):
        """q(z|x) as a TFP distribution with batch shape `[batch]`."""
        features = self.encoder(images, training=training)
        return self.posterior.distribution(self.posterior(features))

    def encode(self, images):
        """Images to the means of their posteriors, `[batch, latent_size]`."""
        return self.posterior_distribution(images).mean()

    def decode(self, z, training=False):
        """Codes `[batch, latent_size]` to expected images in [0, 1]."""
        return self.likelihood.mean(self.decoder(z, training=training))

    def reconstruct(self, images):
        """Images to the decoded means of their posteriors."""
        return self.decode(self.encode(images))

    def sample(self, n, seed=0, temperature=1.0):
        """Draws images from the model.

        Args:
          n: number of images.
          seed: int; the same seed gives the same images.
          temperature: factor on the standard deviation of z0.

        Returns:
          Float tensor `[n, height, width, channels]` in [0, 1].
        """
        return self.decode(self.sample_prior(n, seed, temperature))

    def sample_prior(self, n, seed=0, temperature=1.0):
        """Draws n codes from the prior, `[n, latent_size]`; see `sample`."""
        stateless_seed = tf.stack([tf.cast(seed, tf.int32), 0])
        return self.prior.sample(n, stateless_seed, temperature)

    def to_base(self, z):
        """z to z0, both `[batch, latent_size]`."""
        return self.prior.to_base(z)

    def from_base(self, z0):
        """z0 to z, both `[batch, latent_size]`."""
        return self.prior.from_base(z0)

    def log_prob(self, z):
        """log p(z) under the prior in nats, `[batch]`."""
        return self.prior.log_prob(z)

    # Training ------------------------------------------------------------------

    def compile(
        self,
        optimizer="adam",
        prior_optimizer="adam",
        clip_norm: float | None = None,
        jit_compile: bool | str = "auto",
        **kwargs,
    ):
        """Prepares training.

        Args:
          optimizer: Keras optimizer of encoder, posterior, decoder and likelihood.
          prior_optimizer: Keras optimizer of the prior.
          clip_norm: largest global norm of each group's gradient; None: no limit.
          jit_compile: compile the step with XLA; "auto" does so on one replica.
          **kwargs: passed on to `keras.Model.compile`.
        """
        if jit_compile == "auto":
            jit_compile = self.distribute_strategy.num_replicas_in_sync == 1
        super().compile(
            optimizer=optimizer, loss=None, jit_compile=jit_compile, **kwargs
        )
        self.prior_optimizer = keras.optimizers.get(prior_optimizer)
        self.clip_norm = clip_norm
        # Each optimizer owns one group only. Built here: `fit` would build the
        # first one over all variables.
        groups = self.variable_groups()
        for group, group_optimizer in self._group_optimizers().items():
            if groups[group]:
                group_optimizer.build(groups[group])

    def _group_optimizers(self):
        return {"autoencoder": self.optimizer, "prior": self.prior_optimizer}

    @property
    def metrics(self):
        return list(self._means.values())

    def beta_at(self, step):
        """beta at a step: the number itself, or a scalar tensor if it changes."""
        return self.beta(step) if callable(self.beta) else self.beta

    def objective(self, images, beta, seed, training=False) -> Objective:
        """The objective on a batch.

        Args:
          images: `[batch, height, width, channels]` in [0, 1].
          beta: scalar.
          seed: int tensor `[2]`, of the posterior's noise.
          training: use batch statistics.
        """
        posterior = self.posterior_distribution(images, training)
        z = posterior.sample(seed=seed)
        outputs = self.decoder(z, training=training)
        reconstruction = -self.likelihood.log_prob(images, outputs)  # [B]
        divergence = self.divergence.terms(posterior, z, self.prior, beta)
        loss = tf.reduce_mean(reconstruction + divergence.loss)
        metrics = {"reconstruction": reconstruction, **divergence.metrics}
        metrics = {name: tf.reduce_mean(value) for name, value in metrics.items()}
        return Objective(loss, metrics, z)

    def train_step(self, data):
        step = self.optimizer.iterations
        groups = {
            name: group for name, group in self.variable_groups().items() if group
        }
        with tf.GradientTape() as tape:
            objective = self.objective(
                data["image"], self.beta_at(step), self._step_seed(step), training=True
            )
            # Keras optimizers add the replicas' gradients up.
            replicas = self.distribute_strategy.num_replicas_in_sync
            loss = objective.loss / replicas
        gradients = tape.gradient(loss, groups)
        norms = {}
        for name, optimizer in self._group_optimizers().items():
            if name in groups:
                clipped, norms[f"{name}_gradient_norm"] = self._clip(gradients[name])
                optimizer.apply_gradients(zip(clipped, groups[name], strict=True))
        self.prior.update_statistics(objective.z)
        scalars = {"loss": objective.loss, **objective.metrics, **norms}
        for name, value in scalars.items():
            self._means[name].update_state(value)
        return self.get_metrics_result()

    def test_step(self, data):
        step = self.optimizer.iterations
        objective = self.objective(
            data["image"], self.beta_at(step), self._step_seed(step)
        )
        scalars = {"loss": objective.loss, **objective.metrics}
        for name, value in scalars.items():
            self._means[name].update_state(value)
        return {name: self._means[name].result() for name in scalars}

    def _step_seed(self, step):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.constant([self.seed, 0], tf.int32)  # TFP takes int32 seeds only.
        for number in (step, replica):
            seed = tf.random.experimental.stateless_fold_in(
                seed, tf.cast(number, tf.int32)
            )
        return seed

    def _clip(self, gradients):
        """Clips one group's gradient by its norm over the whole batch.

        Keras would clip each replica's share by itself, before the sum.
        """
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas > 1:
            replica = tf.distribute.get_replica_context()
            gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        norm = tf.sqrt(tf.add_n([_sum_of_squares(g) for g in gradients]))
        if self.clip_norm is not None:
            scale = self.clip_norm / tf.maximum(norm, self.clip_norm)
            gradients = [scale * gradient for gradient in gradients]
        if replicas > 1:
            # Every replica now holds the sum, which the optimizer adds up again.
            gradients = [gradient / replicas for gradient in gradients]
        return gradients, norm


def _sum_of_squares(x, lanes=64):
    # XLA's reduction on a CPU adds one number after another. Adding whole slices
    # first is vectorised: 1.6 ms instead of 10.6 ms for 6.4 M numbers.
    size = x.shape.num_elements()
    if size % lanes or size < lanes**2:
        return tf.reduce_sum(tf.square(x))
    slices = tf.split(tf.reshape(x, [-1]), lanes)
    return tf.reduce_sum(tf.add_n([tf.square(part) for part in slices]))

"""The base model: encoder, decoder, prior, divergence and beta in one step."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.core.conditioner import Conditioner
from tfp_priors.core.image_shape import image_shape_of
from tfp_priors.core.replicas import fold_in
from tfp_priors.divergences import Divergence
from tfp_priors.errors import UserError
from tfp_priors.errors import check_part
from tfp_priors.errors import check_per_row
from tfp_priors.errors import check_seed
from tfp_priors.errors import check_within
from tfp_priors.learning.batches import check_images
from tfp_priors.learning.batches import checked
from tfp_priors.learning.batches import scaled
from tfp_priors.learning.code_learner import POSTERIOR
from tfp_priors.learning.code_learner import CodeLearner
from tfp_priors.learning.code_learner import build_part
from tfp_priors.learning.code_learner import means
from tfp_priors.learning.grouped_model import Objective
from tfp_priors.learning.grouped_model import Summary
from tfp_priors.learning.grouped_model import batches_seen
from tfp_priors.learning.grouped_model import describe
from tfp_priors.likelihoods import Likelihood
from tfp_priors.models.generative_model import GenerativeModel
from tfp_priors.models.network_shapes import build_network
from tfp_priors.models.network_shapes import output_shape
from tfp_priors.models.output_range import output_range
from tfp_priors.posteriors import ACTIVE_VARIANCE
from tfp_priors.posteriors import Posterior
from tfp_priors.priors import Prior
from tfp_priors.regularizers import Regularizer

# Logits must be able to go beyond it on both sides: the sigmoids of -3 and 3 are 0.05
# and 0.95.
_LEAST_LOGIT = 3.0

# Images whose likelihood is measured at once.
_MEASURED_AT_ONCE = 500

# What is folded into a step's seed for uses other than the posterior's noise.
_REGULARIZERS = 100


class LatentVariableModel(GenerativeModel, CodeLearner):
    """An autoencoder with a prior on its code.

        L_phi,psi = reconstruction + beta * D(q, p)   the prior held fixed   (eq. 7)
        L_theta   =                         D(q, p)   the code held fixed    (eq. 6)

    With a fixed normal prior and the KL divergence it is a VAE, with a flow prior
    the FP-VAE; at beta = 0 an unregularised autoencoder whose prior comes to the
    code (eq. 8). All variables exist once the constructor returns. Their groups are
    "autoencoder", "prior" and, for an adversarial divergence, "discriminator".

    Args:
      encoder: layer, images to features, `[batch, size]` or, for a code that is a map,
        `[batch, height, width, channels]`; has an attribute `image_shape`.
      posterior: head on the features, q(z|x).
      decoder: layer, codes to the likelihood's parameters.
      likelihood: p(x|z) of the decoder's outputs.
      prior: p(z).
      divergence: D of the code and the prior.
      beta: weight of D in the autoencoder's loss; a number, or a function of the
        step (an integer tensor) such as `training.LinearAnnealing`.
      seed: of all noise. The noise of a row is a function of the seed, the step and
        the row's place in the batch, so a resumed run repeats it.
      regularizers: further terms of the autoencoder's loss.
      conditioner: None, or a `networks.Conditioner`, which maps a feature of the data,
        the condition, to the prior's context, such as `networks.LabelContext`. Where
        it says so, encoder and decoder see the condition too and take pairs, (images,
        condition) and (codes, condition), as with `networks.PoseContext`.

    Images are `[batch, height, width, channels]`, floats in [0, 1] or uint8. The
    training data may have the key "posterior" in place of "image", the outputs of
    `posterior_parameters`: the prior then learns alone.

    >>> from tfp_priors import divergences, likelihoods, networks, posteriors, priors
    >>> model = LatentVariableModel(
    ...     encoder=networks.InfoGANEncoder((28, 28, 1), width=4),
    ...     posterior=posteriors.DeterministicPosterior(8),
    ...     decoder=networks.InfoGANDecoder((28, 28, 1), width=4),
    ...     likelihood=likelihoods.BernoulliLikelihood(),
    ...     prior=priors.RealNVPPrior(8, standardize=True),
    ...     divergence=divergences.KLDivergence(),
    ...     beta=0.0,
    ... )
    >>> model.compile("adam", clip_norm=200.0)
    >>> images = np.random.RandomState(0).rand(64, 28, 28, 1).astype("float32")
    >>> history = model.fit(images, batch_size=32, verbose=0, shuffle=False)
    >>> sorted(history.history)[:3]
    ['autoencoder_clipped_share', 'autoencoder_gradient_norm', 'loss']
    >>> model.sample(10, seed=0).shape, model.encode(images).shape
    (TensorShape([10, 28, 28, 1]), TensorShape([64, 8]))
    """

    has_encoder = True
    remedies = (*GenerativeModel.remedies, "a prior with standardize = True")
    inputs = ("image", POSTERIOR)

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
        conditioner: Conditioner | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, part, kind in (
            ("encoder", encoder, keras.layers.Layer),
            ("posterior", posterior, Posterior),
            ("decoder", decoder, keras.layers.Layer),
            ("likelihood", likelihood, Likelihood),
            ("prior", prior, Prior),
            ("divergence", divergence, Divergence),
            *(("regularizer", one, Regularizer) for one in regularizers),
            *([("conditioner", conditioner, Conditioner)] if conditioner else []),
        ):
            check_part(name, part, kind)
        check_seed(seed)
        # A prior of vectors takes maps for rows of numbers.
        fits = prior.map_shape in (None, posterior.map_shape)
        if not (fits and posterior.latent_size == prior.latent_size):
            raise UserError(
                "Posterior and prior must have one latent size, received "
                f"{posterior.latent_argument} and {prior.latent_argument}."
            )
        context_size = 0 if conditioner is None else conditioner.context_size
        if prior.context_size != context_size:
            raise UserError(
                f"The prior expects a context of width {prior.context_size}, the "
                f"conditioner gives {context_size}: set the prior's context_size = "
                f"{context_size}."
            )
        if not callable(beta):
            check_within("LatentVariableModel", "[0, inf)", beta=beta)
        self.encoder = encoder
        self.posterior = posterior
        self.decoder = decoder
        self.likelihood = likelihood
        self.prior = prior
        self.divergence = divergence
        # A schedule that is always 0 is the number, which cuts gradients off.
        self._beta = 0.0 if getattr(beta, "is_zero", False) else beta
        self.seed = seed
        self.regularizers = tuple(regularizers)
        self.conditioner = conditioner
        self._image_shape = image_shape_of(encoder)
        self._connect_prior()
        self.build((None, *self.image_shape))

    def _connect_prior(self):
        connects = type(self.prior).connect is not Prior.connect
        if connects and self._conditions_networks:
            raise UserError(
                f"A {type(self.prior).__name__} sends images of its own through the "
                "encoder, which have no condition: choose another prior, or a "
                "conditioner with conditions_networks = False."
            )
        self.prior.connect(self.encoder, self.posterior)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)`."""
        return self._image_shape

    @property
    def code_shape(self):
        return self.posterior.map_shape or super().code_shape

    def build(self, input_shape):
        latent_shape = (None, self.latent_size)
        images = tf.TensorSpec(input_shape)
        codes = tf.TensorSpec((None, *self.posterior.own_shape))
        if self._conditions_networks:
            conditions = tf.TensorSpec(
                (None, *self.conditioner.condition_shape),
                self.conditioner.condition_dtype,
            )
            images, codes = (images, conditions), (codes, conditions)
        features_shape = output_shape("encoder", self.encoder, images)
        outputs_shape = output_shape("decoder", self.decoder, codes)
        if outputs_shape[1:] != tuple(self.image_shape):
            raise UserError(
                f"Expected a decoder of outputs of shape {self.image_shape}, those of "
                f"the encoder's images, received {outputs_shape[1:]}."
            )
        joint_shape = (None, self.latent_size + self.prior.context_size)
        for network, inputs in ((self.encoder, images), (self.decoder, codes)):
            build_network(network, inputs)
        for part, shape in (
            (self.posterior, features_shape),
            (self.likelihood, outputs_shape),
            (self.prior, latent_shape),
            (self.divergence, joint_shape),
        ):
            build_part(part, shape)
        if self.likelihood.squashes:
            self._check_logits(codes)
        self.divergence.check(self.posterior, self.prior, self.beta)
        names = ["loss", "reconstruction", *(r.name for r in self.regularizers)]
        self.track([*names, *self.divergence_names(self.beta)])
        self.built = True

    def _check_logits(self, codes):
        """Raises: UserError: if the sigmoid of the decoder's outputs is never 0 or 1.

        As of outputs that are in [0, 1] already, which would be grey.
        """
        low, high, activation = output_range(self.decoder, codes)
        if not (low < -_LEAST_LOGIT and high > _LEAST_LOGIT):
            ends = activation and f"ends with the activation {activation}"
            raise UserError(
                f"The decoder {ends or 'is bounded'}, its outputs are in [{low:g}, "
                f"{high:g}], but the mean of a {type(self.likelihood).__name__} is the "
                "sigmoid of its outputs: end it with a layer without an activation."
            )

    @property
    def _conditions_networks(self):
        """Whether encoder and decoder see the condition."""
        return self.conditioner is not None and self.conditioner.conditions_networks

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
        own = [v for part in parts for v in part.trainable_variables]
        return {"autoencoder": own, **super().variable_groups()}

    def at_rest(
        self, prior: Prior | None = None, divergence: Divergence | None = None
    ) -> "LatentVariableModel":
        """A model of the same autoencoder, held fixed from now on, whose prior learns.

        Its beta is 0: the prior comes to the code. It is of this model's class if that
        is built of these parts, else a `LatentVariableModel`.

        Args:
          prior: None: this model's own goes on.
          divergence: None: this model's own.

        Raises:
          UserError: if encoder and decoder are conditional.
        """
        if self._conditions_networks:
            raise UserError(
                "The prior of a model whose networks are conditional learns along with "
                "it: set train.post_hoc = None."
            )
        for part in self.autoencoder.values():
            part.trainable = False
        parts = {
            **self.autoencoder,
            "prior": prior or self.prior,
            "divergence": divergence or self.divergence,
        }
        kind, own = type(self), {n: self._argument(n) for n in self._defaults()}
        if not set(parts) <= set(own):
            kind = LatentVariableModel
            own = {"seed": self.seed, "conditioner": self.conditioner}
        own.pop("regularizers", None)
        return kind(**own | parts | {"beta": 0.0})

    def export(self, filepath, *args, **kwargs):
        """The reconstruction as Keras exports it; `export.export` has the sampler."""
        self(tf.zeros([1, *self.image_shape]))  # Keras asks for a call before.
        super().export(filepath, *args, **kwargs)

    # Inference -----------------------------------------------------------------

    def call(self, images, condition=None, training=False):
        """Reconstructs images."""
        parameters = self.posterior_parameters(images, training, condition)
        return self.decode(self.posterior.code(parameters), training, condition)

    def predict_step(self, data):
        batch, rows = self.padded_batch(data)
        condition = self.condition_of(batch) if self._conditions_networks else None
        return self(self.feature(batch, "image"), condition)[:rows]

    def _with(self, x, condition):
        """What a network takes: x, and the condition if there is one."""
        self.check_condition(condition)
        if not self._conditions_networks:
            return x
        if condition is None:
            raise UserError(
                f"The model is conditional on {self.conditioner.feature}: pass a "
                f"condition of shape {self.conditioner.shape_of_batch}."
            )
        return x, self.conditioner.given(condition)

    def posterior_parameters(self, images, training=False, condition=None):
        """What `posterior.distribution` makes q(z|x) of, a row per image."""
        check_images(images, self.image_shape)
        inputs = self._with(checked(images), condition)
        features = self.encoder(inputs, training=training)
        return self.posterior(tf.cast(features, tf.float32))

    def posterior_distribution(self, images, training=False, condition=None):
        """q(z|x) as a TFP distribution with batch shape `[batch]`."""
        parameters = self.posterior_parameters(images, training, condition)
        return self.posterior.distribution(parameters)

    def encode(self, images, condition=None):
        """Images to codes, `[batch, *code_shape]`: as a rule the means of q(z|x)."""
        parameters = self.posterior_parameters(images, condition=condition)
        return self.shaped(self.posterior.code(parameters))

    def decode(self, z, training=False, condition=None):
        """Codes `[batch, *code_shape]` to expected images in [0, 1]."""
        return self.likelihood.mean(self._outputs(self.rows(z), training, condition))

    def _outputs(self, z, training=False, condition=None):
        """The likelihood's parameters, float32 whatever the decoder computes in."""
        if self.posterior.map_shape is not None:
            z = tf.reshape(z, [-1, *self.posterior.map_shape])
        outputs = self.decoder(self._with(z, condition), training=training)
        return tf.cast(outputs, tf.float32)

    def reconstruct(self, images, condition=None):
        """Images to their decoded codes."""
        return self.decode(self.encode(images, condition), condition=condition)

    def transfer(self, images, condition, target):
        """What is in the images beside their condition, under another one.

        Args:
          images: `[batch, height, width, channels]` in [0, 1].
          condition: of these images, `[batch, ...]`.
          target: the condition to show it under, `[batch, ...]`.
        """
        return self.decode(self.encode(images, condition), condition=target)

    def sample_posterior(self, images, seed, condition=None):
        """Draws a code of q(z|x) for each image, `[batch, latent_size]`.

        Args:
          images: `[batch, height, width, channels]` in [0, 1].
          seed: int tensor `[2]`.
          condition: `[batch, ...]`, or None.
        """
        posterior = self.posterior_distribution(images, condition=condition)
        return replicas.sample(posterior, seed)

    def log_terms(self, images, seed, draws=1, condition=None):
        """log p(x|z), log p(z) and log q(z|x) at draws z of q(z|x).

        Args:
          images: `[batch, height, width, channels]` in [0, 1].
          seed: int tensor `[2]`, of the draws.
          draws: number of them for each image.
          condition: `[batch, ...]`, or None.

        Returns:
          Three tensors in nats, `[draws, batch]`.

        Raises:
          UserError: if the prior or the posterior has no density, or the likelihood is
            none.
        """
        self._check_densities()
        rows = self.posterior_parameters(images, condition=condition)
        # Rows of all images, for each draw.
        rows, x, condition = (
            None if given is None else tf.concat([given] * draws, axis=0)
            for given in (rows, scaled(images), condition)
        )
        posterior = self.posterior.distribution(rows)
        z = replicas.sample(posterior, seed)
        terms = (
            self._log_likelihood(x, self._outputs(z, condition=condition)),
            self.log_prob(z, condition),
            posterior.log_prob(z),
        )
        return tuple(tf.reshape(term, [draws, -1]) for term in terms)

    def _log_likelihood(self, images, outputs):
        log_prob = self.likelihood.log_prob(images, outputs)
        name = f"{type(self.likelihood).__name__}.log_prob"
        check_per_row(f"the shape of {name}", log_prob.shape)
        return log_prob

    def _check_densities(self):
        """Raises: UserError: if `log_terms` has none."""
        if not self.likelihood.is_density:
            raise UserError(
                f"A {type(self.likelihood).__name__} is no density of images: the "
                "likelihood needs NormalLikelihood or BernoulliLikelihood."
            )
        if not self.prior.has_density:
            raise UserError(
                f"A {type(self.prior).__name__} has no density p(z): the likelihood "
                "needs a prior that has one."
            )
        if not self.posterior.has_density:
            raise UserError(
                f"A {type(self.posterior).__name__} has no density q(z|x): the "
                "likelihood needs NormalPosterior or another one with noise."
            )

    def bound_of(self, dataset):
        """Minus the evidence lower bound of images, by one draw each, in nats."""
        try:
            self._check_densities()
        except UserError as error:
            raise UserError(
                "train.early_stopping goes by the likelihood of held-out images: leave "
                f"it unset. {error}"
            ) from error
        feature = self.conditioner and self.conditioner.feature

        def bound(images, condition, number):
            seed = tf.stack([self.seed, number])
            terms = self.log_terms(images, seed, condition=condition)
            log_likelihood, log_prior, log_posterior = map(tf.reduce_sum, terms)
            return log_posterior - log_prior - log_likelihood

        compiled = tf.function(bound, autograph=False, reduce_retracing=True)

        def mean():
            batches = dataset.batches(_MEASURED_AT_ONCE)
            parts = [
                compiled(batch["image"], batch.get(feature), tf.constant(i))
                for i, batch in enumerate(batches)
            ]
            return sum(map(float, parts)) / dataset.size

        return mean

    # Training ------------------------------------------------------------------

    @property
    def beta(self):
        """The constructor's beta; a step that is compiled keeps it."""
        return self._beta

    @beta.setter
    def beta(self, beta):
        raise UserError(
            f"{type(self).__name__}.beta = {beta!r} would change no step that is "
            "compiled: give the constructor a function of the step, such as "
            "training.LinearAnnealing, or make another model."
        )

    def beta_at(self, step):
        """beta at a step: the number itself, or a scalar tensor if it changes."""
        return self.beta(step) if callable(self.beta) else self.beta

    def objective(
        self, images, beta, seed, training=False, condition=None, first_row=None
    ) -> Objective:
        """The objective on a batch.

        The gradient of its loss is that of equation 7 for the autoencoder and that of
        equation 6 for the prior. Its codes are z, `[batch, latent_size]`.

        Args:
          images: `[batch, height, width, channels]` in [0, 1].
          beta: scalar.
          seed: int tensor `[2]`, of all noise.
          training: use batch statistics.
          condition: `[batch, ...]`, or None.
          first_row: place of the first image among those that share the seed, or
            None if they are one batch: each has noise of its own.
        """
        images = scaled(images)
        posterior = self.posterior_distribution(images, training, condition)
        z, seed, divergence = self.compared(
            posterior, beta, seed, self.context(condition), first_row
        )
        outputs = self._outputs(z, training, condition)
        reconstruction = -self._log_likelihood(images, outputs)  # [B]
        loss = tf.reduce_mean(reconstruction) + tf.reduce_mean(divergence.loss)
        metrics = {"reconstruction": reconstruction, **divergence.metrics}
        for i, regularizer in enumerate(self.regularizers):
            own = fold_in(seed, _REGULARIZERS + i)
            term = tf.convert_to_tensor(regularizer.term(self, z, own, condition))
            name = f"{type(regularizer).__name__}.term"
            check_per_row(f"the shape of {name}", term.shape, or_scalar=True)
            loss += regularizer.weight * tf.reduce_mean(term)
            metrics[regularizer.name] = term
        return Objective(loss, means(metrics), z)

    def groups_on(self, batch):
        names = ("prior",) if POSTERIOR in batch else ("autoencoder", "prior")
        return [name for name in names if name in self._optimizers]

    def objective_on(self, batch, step, seed):
        if POSTERIOR in batch:
            return super().objective_on(batch, step, seed)
        with self.learning(batch, seed):
            return self.objective(
                batch["image"],
                self.beta_at(step),
                seed,
                training=True,
                condition=self.condition_of(batch),
            )

    def finish_step(self, batch, codes, seed):
        scalars = super().finish_step(batch, codes, seed)
        if POSTERIOR not in batch:
            self.prior.update_statistics(codes)
        return scalars

    def test_step(self, data):
        # A model of fixed parts has no optimizer.
        steps = map(batches_seen, self._optimizers.values())
        step = next(steps, tf.zeros([], tf.int64))
        batch, rows = self.padded_batch(data)
        seed = self.step_seed(self.seed, step)
        first = replicas.first_row(self._means.weight_of("loss"), rows)
        if POSTERIOR in batch:
            objective = self.prior_objective(
                batch[POSTERIOR], seed, self.context_of(batch), first
            )
        else:
            objective = self.objective(
                batch["image"],
                self.beta_at(step),
                seed,
                condition=self.condition_of(batch),
                first_row=first,
            )
        return self.report({"loss": objective.loss, **objective.metrics}, rows)

    # What training shows -------------------------------------------------------

    def schedules(self, step):
        return {"beta": self.beta_at(step)}

    def summary_of(self, batch):
        images, condition = batch["image"], self.condition_of(batch)
        z = self.encode(images, condition)
        scale = tf.math.reduce_std(tf.reshape(z, [-1, self.latent_size]), axis=0)
        active = tf.cast(tf.square(scale) > ACTIVE_VARIANCE, tf.float32)
        scalars = {
            "latent/scale_min": tf.reduce_min(scale),
            "latent/scale_mean": tf.reduce_mean(scale),
            "latent/scale_max": tf.reduce_max(scale),
            "latent/active_units": tf.reduce_sum(active),
        }
        scalars |= self.prior_scalars(z, self.context(condition))
        first = None if condition is None else condition[:10]
        pairs = tf.concat([images[:10], self.decode(z[:10], condition=first)], axis=0)
        # A row of draws for each condition.
        each = None if first is None else tf.repeat(first, 10, axis=0)
        draws = self.sample(100 if each is None else tf.shape(each)[0], condition=each)
        return Summary(scalars, {"reconstructions": pairs, "samples": draws})

    def diagnosis(self, batch):
        codes = self.encode(batch["image"], self.condition_of(batch))
        return describe("codes", codes.numpy())

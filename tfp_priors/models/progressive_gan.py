"""PG-GAN (Karras et al. 2018): a GAN whose images grow while it learns."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.core.gradients import gradient_norm
from tfp_priors.core.replicas import fold_in
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_within
from tfp_priors.learning.grouped_model import Objective
from tfp_priors.learning.grouped_model import Summary
from tfp_priors.learning.grouped_model import describe
from tfp_priors.learning.grouped_model import filled
from tfp_priors.models.generative_model import GenerativeModel
from tfp_priors.priors import StandardNormalPrior

# What is folded into a seed for each use.
_LATENTS, _BETWEEN = 1, 2

# Latents that are decoded at once: 32 images of 128 x 128 pixels and 128 channels, the
# largest features of the paper's networks at that size, are 268 MB.
_DECODED = 32


class Phase(NamedTuple):
    """How far the images have grown.

    Attributes:
      level: int32 scalar; images have 4 * 2^level pixels along a side.
      alpha: float32 scalar in [0, 1], the share of the level; the rest is that of the
        level below, which it replaces.
    """

    level: Any
    alpha: Any


class ProgressiveGAN(GenerativeModel):
    """A Wasserstein GAN with gradient penalty, trained from 4 x 4 pixels upwards.

        L_discriminator = E[D(fake)] - E[D(real)] + 10 E[(|grad D(between)| - 1)^2]
                          + 0.001 E[D(real)^2]
        L_generator     = -E[D(fake)]

    "between" is a random point on the line from a real image to a fake one (Gulrajani
    et al. 2017). In a step the discriminator learns first, then the generator from new
    latents. All variables exist once the constructor returns. Their groups are
    "generator" and "discriminator".

    It starts with images of level 0, for `steps_per_phase` steps. Each further level
    fades in for so many steps, linearly, and stays alone for so many; the last one
    stays to the end. So level and alpha are a function of the step. Both optimizers
    keep their moments when a level begins, unlike the authors' code: at alpha = 0 the
    networks are the old ones, and so are their gradients. Variables of later levels
    have gradients 0 until then and do not move.

    Pictures are drawn by a second generator, whose weights are a running mean of the
    first one's. There is no encoder: what needs codes of images does not exist.

    On several replicas a step is that of one device, provided that the share of each
    is a multiple of the discriminator's `group_size`.

    Args:
      generator: layer, latents to images of a level, such as `ProgressiveGenerator`.
      discriminator: layer, images of a level to numbers, such as
        `ProgressiveDiscriminator`.
      steps_per_phase: a number of steps, or one for each level.
      gradient_penalty: weight of the gradient's distance from 1.
      drift: weight of the scores' square on real images.
      averaged: how far the running mean reaches back, as a share of a phase of the
        present level: 0.02 of 50,000 steps is the authors' decay of 0.999.
      seed: of all noise. The noise of a row is a function of the seed, the step and
        the row's place in the batch.

    Raises:
      UserError: if the networks do not fit each other, or a number is out of range.
    """

    def __init__(
        self,
        generator: keras.layers.Layer,
        discriminator: keras.layers.Layer,
        steps_per_phase: int | Sequence[int] = 50_000,
        gradient_penalty: float = 10.0,
        drift: float = 0.001,
        averaged: float = 0.02,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if generator.image_shape != discriminator.image_shape:
            raise UserError(
                "Generator and discriminator must have images of one shape, received "
                f"{generator.image_shape} and {discriminator.image_shape}."
            )
        weights = {"gradient_penalty": gradient_penalty, "drift": drift}
        check_within("ProgressiveGAN", "[0, inf)", **weights)
        check_within("ProgressiveGAN", "[0, 1]", averaged=averaged)
        self.generator = generator
        self.discriminator = discriminator
        self.steps_per_phase = steps_per_phase
        self.gradient_penalty = gradient_penalty
        self.drift = drift
        self.averaged = averaged
        self.seed = seed
        self._lengths = _phase_lengths(steps_per_phase, generator.levels)
        # A level fades in, except for the first one, and stays.
        spans = [self._lengths[0], *(2 * n for n in self._lengths[1:])]
        self._starts = (0, *itertools.accumulate(spans[:-1]))
        config = generator.get_config() | {"name": "averaged_generator"}
        self.averaged_generator = type(generator).from_config(config)
        self.averaged_generator.trainable = False
        self.prior = StandardNormalPrior(generator.latent_size)
        self.build((None, generator.latent_size))

    @property
    def image_shape(self):
        return self.generator.image_shape

    def build(self, input_shape):
        self.prior.build(input_shape)
        for network in (self.generator, self.averaged_generator):
            network.build(input_shape)
        self.discriminator.build((None, *self.image_shape))
        for average, variable in self._averages():
            average.assign(variable)
        # Not an optimizer's: pictures are drawn without one, and under float16 an
        # optimizer may leave steps out.
        self.steps_done = self.add_weight(
            name="steps_done",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )
        self.track(
            ["discriminator_loss", "generator_loss", "wasserstein", "gradient_penalty"]
        )
        self.built = True

    def networks(self):
        return [self.generator, self.discriminator]

    def variable_groups(self):
        return {
            "generator": self.generator.trainable_variables,
            "discriminator": self.discriminator.trainable_variables,
        }

    def _averages(self):
        """Pairs of a running mean and what it is a mean of."""
        networks = self.averaged_generator, self.generator
        return list(zip(*(network.variables for network in networks), strict=True))

    def phase(self, step) -> Phase:
        """Level and alpha at a step, an integer or an integer tensor."""
        step = tf.cast(step, tf.int32)
        level = tf.reduce_sum(tf.cast(step >= self._starts, tf.int32)) - 1
        since = tf.cast(step - tf.gather(self._starts, level), tf.float32)
        alpha = tf.minimum(since / self._length(level), 1.0)
        return Phase(level, tf.where(level == 0, 1.0, alpha))

    def _length(self, level):
        """Steps that a level fades in for, a float32 scalar."""
        return tf.cast(tf.gather(self._lengths, level), tf.float32)

    # Inference -----------------------------------------------------------------

    def call(self, z):
        """Returns the images of codes, as `decode` does."""
        return self.decode(z)

    def decode(self, z):
        """Codes `[batch, latent_size]` to images `[batch, *image_shape]` in [0, 1].

        By the running mean of the generator, at the present level, each of whose
        pixels is repeated. The length of a code does not matter, nor does therefore
        the temperature of `sample`, unless it is 0.
        """
        phase = self.phase(self.steps_done)

        def images_at(level):
            return lambda z: self.generator.full_size(
                self.averaged_generator(z, level=level, alpha=phase.alpha)
            )

        def images(z):
            return self._at_level(phase.level, images_at, z)

        images = _in_parts(images, z, self.image_shape)
        return tf.clip_by_value(0.5 * images + 0.5, 0.0, 1.0)

    def _at_level(self, level, function_at, *args):
        """function_at(level)(*args) for a level that is a tensor."""
        branches = [
            lambda n=n: function_at(n)(*args) for n in range(self.generator.levels)
        ]
        return tf.switch_case(level, branches)

    # Training ------------------------------------------------------------------

    # The data of the next two are codes.

    def predict(self, x, *args, **kwargs):
        return keras.Model.predict(self, x, *args, **kwargs)

    def predict_on_batch(self, x):
        return self.predict(x, batch_size=len(x), verbose=0)

    def predict_step(self, data):
        z, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self(z)

    def train_step(self, data):
        batch = self.shared_batch(data)
        step = self.steps_done.value
        seed = self.step_seed(self.seed, step)
        gradients_on = self._gradients if self.accumulation == 1 else self._accumulated
        scalars = {}
        for i, group in enumerate(("discriminator", "generator")):
            turn, gradients = gradients_on(batch, [group], step, fold_in(seed, i))
            scalars |= turn.metrics
            scalars |= self.apply_gradients(group, gradients[group])
        self._update_averages(step)
        self.steps_done.assign_add(1)
        return self.report(scalars, replicas.size(batch["image"]))

    def _gradients(self, batch, groups, step, seed):
        """As the base class: of one level, which is chosen when the step is taken.

        The gradients are taken within the branches, so that only the level's own cost
        is paid; the replicas' are summed, and the optimizers called, after them.
        """
        (group,) = groups
        phase = self.phase(step)
        rows = replicas.size(batch["image"])
        self._check_rows(rows)
        z = self.prior.sample(rows, fold_in(seed, _LATENTS))
        shares = replicas.uniform(rows, [1, 1, 1], fold_in(seed, _BETWEEN))
        variables = self.variable_groups()[group]

        def turn_at(level):
            def turn():
                with tf.GradientTape() as tape:
                    if group == "generator":
                        loss, metrics = self.generator_terms(z, level, phase.alpha)
                    else:
                        loss, metrics = self.discriminator_terms(
                            batch["image"], z, shares, level, phase.alpha
                        )
                    scaled = self.scaled_loss(loss, groups)
                # Zero for those of other levels.
                gradients = filled(tape.gradient(scaled, variables), variables)
                return loss, metrics, gradients

            return turn

        loss, metrics, gradients = self._at_level(phase.level, turn_at)
        return Objective(loss, metrics), {group: gradients}

    def discriminator_terms(self, images, z, shares, level: int, alpha):
        """The discriminator's loss on a batch at a level.

        Args:
          images: `[batch, *image_shape]` in [0, 1].
          z: latents `[batch, latent_size]`.
          shares: of the fake image in the point between, `[batch, 1, 1, 1]`.
          level: int.
          alpha: float scalar.

        Returns:
          The loss, a scalar, and named scalars.
        """

        def discriminate(images):
            return self.discriminator(images, level=level, alpha=alpha)

        real = self.discriminator.at_level(2.0 * images - 1.0, level, alpha)
        fake = tf.stop_gradient(self.generator(z, level=level, alpha=alpha))
        # One kind of images at a time, for the minibatch statistic.
        of_real, of_fake = discriminate(real), discriminate(fake)
        wasserstein = tf.reduce_mean(of_real) - tf.reduce_mean(of_fake)
        between = (1.0 - shares) * real + shares * fake
        penalty = tf.reduce_mean(tf.square(gradient_norm(discriminate, between) - 1.0))
        loss = (
            -wasserstein
            + self.gradient_penalty * penalty
            + self.drift * tf.reduce_mean(tf.square(of_real))
        )
        return loss, {
            "discriminator_loss": loss,
            "wasserstein": wasserstein,
            "gradient_penalty": penalty,
        }

    def generator_terms(self, z, level: int, alpha):
        """The generator's loss on latents; see `discriminator_terms`."""
        fake = self.generator(z, level=level, alpha=alpha)
        loss = -tf.reduce_mean(self.discriminator(fake, level=level, alpha=alpha))
        return loss, {"generator_loss": loss}

    def _check_rows(self, rows):
        group = self.discriminator.group_size
        if self.replicas > 1 and isinstance(rows, int) and rows % group:
            raise UserError(
                f"The discriminator compares images in groups of {group}, and each of "
                f"the {self.replicas} replicas has {rows} at once: choose "
                f"train.batch_size = {group * self.replicas * self.accumulation}, or a "
                "multiple of it."
            )

    def _update_averages(self, step):
        """Moves the running means towards the generator's weights."""
        reach = self.averaged * self._length(self.phase(step).level)
        rate = 1.0 / tf.maximum(reach, 1.0)

        def move(average, variable):
            average.assign_sub(rate * (average - variable))

        def update(strategy):
            for average, variable in self._averages():
                strategy.extended.update(
                    average.value, move, args=(variable.value,), group=False
                )

        # Each replica moves its own copy; as Keras' optimizers do.
        tf.__internal__.distribute.interim.maybe_merge_call(
            update, self.distribute_strategy
        )

    # What training shows -------------------------------------------------------

    def schedules(self, step):
        level, alpha = self.phase(step)
        return {"level": level, "resolution": 4 * 2**level, "alpha": alpha}

    def summary_of(self, batch):
        del batch
        return Summary({}, {"samples": self.sample(100, seed=0)})

    def diagnosis(self, batch):
        del batch
        return describe("samples", self.sample(100, seed=0).numpy())


def _phase_lengths(steps, levels):
    lengths = tuple(steps) if isinstance(steps, Iterable) else (steps,) * levels
    if len(lengths) != levels:
        raise UserError(
            "ProgressiveGAN expects steps_per_phase as one number or one for each of "
            f"the {levels} levels, received {steps}."
        )
    for length in lengths:
        check_counts("ProgressiveGAN", steps_per_phase=length)
    return lengths


def _in_parts(function, z, image_shape):
    """Images of latents, so many at a time that the memory does not grow with them."""
    count = (tf.shape(z)[0] + _DECODED - 1) // _DECODED
    parts = tf.TensorArray(
        tf.float32, count, infer_shape=False, element_shape=(None, *image_shape)
    )

    def body(i, parts):
        return i + 1, parts.write(i, function(z[i * _DECODED : (i + 1) * _DECODED]))

    _, parts = tf.while_loop(
        lambda i, _: i < count, body, (0, parts), parallel_iterations=1
    )
    return tf.ensure_shape(parts.concat(), (z.shape[0], *image_shape))

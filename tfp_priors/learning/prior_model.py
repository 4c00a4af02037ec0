"""A Keras model that has a prior."""

import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.errors import check_seed
from tfp_priors.errors import raised_in_graph
from tfp_priors.learning.grouped_model import GroupedModel


class PriorModel(GroupedModel):
    """What is common to models with a prior; a subclass has it as `prior`."""

    #: Whether `decode` is there, which makes images of codes.
    has_decoder = False
    #: Whether `encode`, `reconstruct` and `posterior` are there.
    has_encoder = False

    #: What the model is conditional on; see `LatentVariableModel`.
    conditioner = None

    @property
    def latent_size(self) -> int:
        """Dimensions of z."""
        return self.prior.latent_size

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of a code: `(latent_size,)`, or that of a map."""
        return self.prior.code_shape

    @property
    def has_guidance(self) -> bool:
        """Whether draws may be guided; see `Prior.guided`."""
        return self.prior.has_guidance and self.prior.context_size > 0

    def shaped(self, z):
        """Codes in rows as users see them, `[batch, *code_shape]`."""
        return tf.reshape(z, [-1, *self.code_shape])

    def rows(self, z):
        """Codes `[batch, *code_shape]`, or rows already, as rows.

        Raises:
          UserError: if they have another shape.
        """
        return self.prior.rows(z, code_shape=self.code_shape)

    def check_data(self, image_shape, features):
        super().check_data(image_shape, features)
        if self.conditioner is None:
            return
        name = self.conditioner.feature
        shape = features[name].shape[1:] if name in features else None
        if shape is None or tuple(shape) != self.conditioner.condition_shape:
            raise UserError(
                f"The model is conditional on a feature {name!r} of shape "
                f"{self.conditioner.condition_shape}; the data has "
                f"{', '.join(features) or 'no features'}: choose data with it."
            )
        self.conditioner.check(features[name])

    def check_condition(self, condition) -> None:
        """Raises: UserError: if there is a condition, and the model takes none."""
        if condition is not None and self.conditioner is None:
            raise UserError(
                "The model is conditional on nothing, received a condition: leave it "
                "out."
            )

    def context(self, condition):
        """The prior's context, `[batch, context_size]`; None without a condition.

        Raises:
          UserError: if the model takes no condition, or others than this one.
        """
        self.check_condition(condition)
        if condition is None:
            return None
        with raised_in_graph():
            return self.conditioner(self.conditioner.given(condition))

    def condition_of(self, batch):
        """The condition of a batch of data, `[batch, ...]`, or None."""
        if self.conditioner is None:
            return None
        return self.feature(batch, self.conditioner.feature)

    def context_of(self, batch):
        """The prior's context of a batch of data, `[batch, context_size]`, or None."""
        return self.context(self.condition_of(batch))

    def sample_prior(self, n, seed=0, temperature=1.0, condition=None, guidance=1.0):
        """Draws n codes from the prior, `[n, *code_shape]`.

        Args:
          n: number of codes.
          seed: int; the same seed gives the same codes.
          temperature: factor on the standard deviation of z0; see `Prior.distribution`.
          condition: of a conditional model, one for each code, `[n, ...]`.
          guidance: see `Prior.guided`.
        """
        if not tf.is_tensor(seed):
            check_seed(seed)
        stateless_seed = tf.stack([tf.cast(seed, tf.int32), 0])
        context = self.context(condition)
        with self.prior.guided(guidance):
            return self.shaped(
                self.prior.sample(n, stateless_seed, temperature, context)
            )

    def to_base(self, z, condition=None):
        """z `[batch, *code_shape]` to z0 `[batch, latent_size]`."""
        return self.prior.to_base(self.rows(z), self.context(condition))

    def from_base(self, z0, condition=None):
        """z0 `[batch, latent_size]` to z `[batch, *code_shape]`."""
        return self.shaped(self.prior.from_base(z0, self.context(condition)))

    def log_prob(self, z, condition=None):
        """log p(z) under the prior in nats, `[batch]`."""
        return self.prior.log_prob(self.rows(z), self.context(condition))

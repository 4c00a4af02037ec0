"""A Keras model of a prior alone."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfp_priors.core.conditioner import Conditioner
from tfp_priors.divergences import usual_divergence
from tfp_priors.errors import UserError
from tfp_priors.learning.code_learner import CONTEXT
from tfp_priors.learning.code_learner import POSTERIOR
from tfp_priors.learning.code_learner import CodeLearner
from tfp_priors.learning.code_learner import build_part
from tfp_priors.learning.grouped_model import Summary
from tfp_priors.learning.grouped_model import describe
from tfp_priors.posteriors import DeterministicPosterior


class CodeModel(CodeLearner):
    """Learns a prior by a divergence from codes, and has nothing else to learn.

    The data are dicts of "posterior", codes or the parameters of distributions of
    codes, and "context" if the prior has one. `Prior.fit` is the way from arrays to a
    prior.

    Args:
      prior: p(z).
      divergence: D; None: see `divergences.usual_divergence`.
      posterior: q(z|x) of the parameters; None: codes themselves.
      code_shape: shape of a code as it is given back, see `Prior`; None: the prior's.
      seed: of all noise.
    """

    def __init__(
        self,
        prior,
        divergence=None,
        posterior=None,
        code_shape: Sequence[int] | None = None,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if divergence is None:
            divergence = usual_divergence(prior)
        if posterior is None:
            posterior = DeterministicPosterior(prior.latent_size, project=False)
        if code_shape is not None:
            prior.check_code_shape(code_shape)
            prior.code_shape = tuple(code_shape)
        self.prior = prior
        if prior.context_size:
            self.conditioner = GivenContext(prior.context_size)
        self.divergence = divergence
        self.posterior = posterior
        self.seed = seed
        for part, width in (
            (posterior, prior.latent_size),
            (prior, prior.latent_size),
            (divergence, prior.latent_size + prior.context_size),
        ):
            build_part(part, (None, width))
        divergence.check(posterior, prior, 0.0)
        self.track(["loss", *self.divergence_names()])
        self.built = True

    @property
    def image_shape(self):
        return self.prior.code_shape

    def at_rest(self, prior=None, divergence=None) -> "CodeModel":
        """A model of other parts, whose codes do not move either."""
        return CodeModel(
            prior or self.prior,
            divergence or self.divergence,
            self.posterior,
            self.code_shape,
            self.seed,
        )

    def check_data(self, image_shape, features):
        if tuple(image_shape) != tuple(self.image_shape):
            raise UserError(
                f"The data has codes of shape {tuple(image_shape)}, the prior expects "
                f"{self.image_shape}: set LATENT_SIZE and CodeModel.code_shape."
            )
        given = features.get(CONTEXT)
        width = 0 if given is None else given.shape[1]
        if width != self.prior.context_size:
            raise UserError(
                f"The prior expects a context of width {self.prior.context_size}, that "
                f"of the codes has {width}: set CONTEXT_SIZE = {width}."
            )

    def networks(self):
        return []

    # Draws -----------------------------------------------------------------------

    def sample(self, n, seed=0, temperature=1.0, condition=None, guidance=1.0):
        """Draws n codes, `[n, *code_shape]`; see `sample_prior`."""
        return self.sample_prior(n, seed, temperature, condition, guidance)

    # What training shows ---------------------------------------------------------

    def summary_of(self, batch):
        return Summary(self.prior_scalars(batch[POSTERIOR], self.context_of(batch)), {})

    def diagnosis(self, batch):
        return describe("codes", np.asarray(batch[POSTERIOR]))


class GivenContext(Conditioner):
    """The context itself as the condition of a model."""

    feature = argument = CONTEXT
    conditions_networks = False

    def __init__(self, context_size):
        super().__init__()
        self.context_size = context_size
        self.condition_shape = (context_size,)

    def call(self, context):
        return tf.cast(context, tf.float32)

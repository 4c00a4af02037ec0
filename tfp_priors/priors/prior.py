"""The base class of priors."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core import replicas
from tfp_priors.core.code_shape import LatentSize
from tfp_priors.core.configured import Configured
from tfp_priors.core.gradients import scale_gradient
from tfp_priors.core.scoped import Scoped
from tfp_priors.core.settings import check_settings
from tfp_priors.errors import UserError
from tfp_priors.errors import check_per_row
from tfp_priors.files import written_atomically
from tfp_priors.priors import fitting
from tfp_priors.priors.given_codes import GivenCodes
from tfp_priors.priors.standardization import ContextStandardization
from tfp_priors.priors.standardization import LatentStandardization

tfd = tfp.distributions

# The seed of a step, and what is known of its codes.
_STEP = Scoped("step", default=(None, None))


class Prior(GivenCodes, Configured, keras.layers.Layer):
    """p(z), fixed or learned.

    A subclass with a density defines `standard_distribution`; one without defines
    `standard_sample` and says so with `has_density = False`. Those with a base space
    define `_to_base` or `_from_base` too. "Standard" codes are codes before the
    map of `standardize`, and codes themselves without it, and so are contexts. Methods
    whose names begin with `standard_` or `_` have contexts that are standard.

    Args:
      latent_size: dimensions of z; where `takes_maps`, also `(height, width, channels)`
        of codes that are maps.
      standardize: put a `LatentStandardization`, or the one that is given, such as a
        `MixtureStandardization`, between the prior and z, and give the contexts of
        `fit` zero mean and unit variance.
      context_size: width of the context vector that conditions the prior; 0 for none.
    """

    instead_of_maps = (
        "take FlowMatchingPrior or RealNVPPrior, or set its latent_size = {}, which "
        "takes a map for a row of numbers"
    )
    #: Whether `log_prob` is there.
    has_density = True
    #: Whether it is exact, and not an unbiased estimate of it.
    has_exact_density = True
    #: Whether codes are `from_base` of draws of `sample_base`.
    has_base = False
    #: Whether `to_base` is there, the inverse of `from_base`.
    is_invertible = False
    #: Whether draws have gradients with respect to the prior's variables.
    reparameterized = True
    #: Whether `velocity_error` is there, by which `FlowMatchingDivergence` learns.
    has_velocity = False
    #: Passes of `fit` over the codes, and Adam's first rate and beta_1 there.
    usual_epochs, usual_rate, usual_beta_1 = 20, 1e-3, 0.5
    #: Share of the passes without anything better that ends a `fit`.
    usual_patience = 0.25
    #: Whether draws may be `guided`.
    has_guidance = False

    def __init__(
        self,
        latent_size: LatentSize,
        standardize: bool | LatentStandardization = False,
        context_size: int = 0,
        **kwargs,
    ):
        check_settings()
        super().__init__(**kwargs)
        name = type(self).__name__
        self.set_latent_size(latent_size)
        if not isinstance(standardize, (bool, LatentStandardization)):
            raise UserError(
                f"{name} expects standardize to be True, False or a layer such as "
                f"MixtureStandardization(), received {standardize!r}."
            )
        if getattr(standardize, "is_taken", False):
            raise UserError(
                f"{name} expects a {type(standardize).__name__} of its own, received "
                "one that another prior was given, and whose statistics both would "
                "set: make one for each."
            )
        if not (isinstance(context_size, (int, np.integer)) and context_size >= 0):
            raise UserError(
                f"{name} expects a whole context_size >= 0, received {context_size!r}."
            )
        self.code_shape = self.own_shape
        self.standardize = standardize
        self.context_size = context_size
        self._standardization = (
            standardize
            if isinstance(standardize, LatentStandardization)
            else (LatentStandardization() if standardize else None)
        )
        if self._standardization is standardize:
            standardize.is_taken = True
        self._context_standardization = (
            ContextStandardization() if standardize and context_size else None
        )

    @property
    def base_size(self) -> int:
        """Dimensions of z0."""
        return self.latent_size

    @property
    def has_nll(self) -> bool:
        """Whether `nll` is there: with a density, or with a bound on it."""
        return self.has_density

    def learning(self, seed, standard=None) -> contextlib.AbstractContextManager:
        """Within it, densities are those of a step of training: with dropout, if any.

        Args:
          seed: int tensor `[2]`, of the dropout; None: without.
          standard: what `standardization` returned for the codes of the step, or None.
        """
        return _STEP.set(self, (seed, standard))

    @property
    def _step_seed(self):
        """The seed of the step that this thread is within, or None."""
        return _STEP.of(self)[0]

    def guided(self, guidance) -> contextlib.AbstractContextManager:
        """Within it, draws are of the context as much as `guidance` says.

        Args:
          guidance: 1 for p(z | context); more for codes that are surer of it.

        Raises:
          UserError: if it is not 1, and the prior cannot.
        """
        if tf.is_tensor(guidance) or guidance != 1:
            raise UserError(
                f"{type(self).__name__} has no guidance: leave it out, or use "
                "FlowMatchingPrior."
            )
        return contextlib.nullcontext()

    def connect(self, encoder, posterior) -> None:
        """Gives a prior that is made of posteriors the model's q(z|x)."""

    def get_config(self):
        shape = self.code_shape
        is_other = shape != self.own_shape
        of_fit = {"code_shape": list(shape)} if is_other else {}
        return super().get_config() | of_fit

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        shape = config.pop("code_shape", None)
        made = super().from_config(config)
        if shape is not None:
            made.code_shape = tuple(shape)
        return made

    def get_build_config(self):
        return {"input_shape": (None, self.latent_size)} if self.built else None

    def build_from_config(self, config):
        if config and not self.built:
            self.build(config["input_shape"])

    def build(self, input_shape=None):
        for part, shape in (
            (self._standardization, self.own_shape),
            (self._context_standardization, [self.context_size]),
        ):
            if part is not None and not part.built:
                part.build((None, *shape))
        self.built = True

    def _post_build(self):
        # A layer's `build` need not call that of its base.
        Prior.build(self)
        super()._post_build()

    def call(self, z, context=None):
        """Returns `log_prob(z, context)`."""
        return self.log_prob(z, context)

    # Densities and draws ---------------------------------------------------------

    def standard_distribution(self, context=None, temperature=1.0) -> tfd.Distribution:
        """The distribution of standard codes; see `distribution`."""
        raise UserError(
            f"{type(self).__name__} has no density: its draws are the outputs of a "
            "network. Use log_prob with a prior that has one, or measure draws."
        )

    def distribution(self, context=None, temperature=1.0) -> tfd.Distribution:
        """p(z) as a TFP distribution.

        Args:
          context: float tensor `[batch, context_size]`, or None.
          temperature: factor on the standard deviation of z0, or of each component
            of a mixture.

        Returns:
          A distribution with event shape `[latent_size]`; its batch shape is
          `[batch]` if there is a context and `[]` otherwise.

        Raises:
          UserError: if the prior has no density, or the context's width is wrong.
        """
        self._build_if_new()
        context = self.standard_context(context)
        standard = self.standard_distribution(context, temperature)
        if self._standardization is None:
            return standard
        return tfd.TransformedDistribution(standard, self._standardization.bijector())

    def log_prob(self, z, context=None):
        """log p(z) in nats.

        Args:
          z: codes `[batch, latent_size]`, or `[batch, *code_shape]`.
          context: `[batch, context_size]`, or integers `[batch]`, see `fit`; or None.

        Returns:
          Float tensor `[batch]`.

        Raises:
          UserError: if there are no such codes or context, or the prior has no density.
        """
        return self._log_prob(*self._given(z, self.latent_size, context))

    def _log_prob(self, z, context):
        standard, log_det = self.standardization(z)
        log_prob = self.standard_distribution(context).log_prob(standard)
        name = f"{type(self).__name__}.standard_distribution"
        check_per_row(f"the shape of {name}().log_prob", log_prob.shape)
        return log_prob + log_det

    def nll(self, z, beta, seed=None, context=None):
        """-log p(z), or an upper bound of it, with the gradients of equations 6 and 7.

        Args:
          z: codes `[batch, latent_size]`; their gradient is multiplied by beta.
          beta: scalar.
          seed: int tensor `[2]`, for priors whose bound is an estimate.
          context: float tensor `[batch, context_size]`, or None.

        Returns:
          Nats, `[batch]`.
        """
        del seed
        return -self.log_prob(scale_gradient(z, beta), context)

    def kl(self, posterior, z, beta, context=None):
        """KL[q(z|x) || p(z)] as far as it is known in closed form, or None.

        Args:
          posterior: TFP distribution q(z|x) with batch shape `[batch]`.
          z: a draw of it, for priors whose closed form is that given a part of z.
          beta: scalar; the gradients of q's parameters and of z are multiplied by it.
          context: float tensor `[batch, context_size]`, or None.

        Returns:
          Nats, `[batch]`, or None.
        """
        del posterior, z, beta, context

    def standard_sample(self, n, seed, temperature=1.0, context=None):
        """Draws standard codes; see `sample`.

        Within a step on several replicas, those of the replica's rows.
        """

        def draw(rows):
            if context is None:
                distribution = self.standard_distribution(None, temperature)
                return distribution.sample([rows], seed=seed)
            everyones = replicas.repeated(context)
            distribution = self.standard_distribution(everyones, temperature)
            return distribution.sample(seed=seed)

        return replicas.rows(draw, n)

    def sample(self, n, seed=0, temperature=1.0, context=None):
        """Draws n codes; the same seed gives the same codes.

        Args:
          n: number of codes.
          seed: int in [0, 2^31), or an int tensor of shape `[2]`, a stateless seed.
          temperature: see `distribution`.
          context: `[n, context_size]`, or integers `[n]`, see `fit`; or None.

        Returns:
          Float tensor `[n, latent_size]`, or `[n, *code_shape]`.

        Raises:
          UserError: if there is no such number, temperature or context.
        """
        seed, context = self._given_draws(
            n, self.latent_size, seed, temperature, context
        )
        draws = self.standard_sample(n, seed, temperature, context)
        return self.unstandardized(draws)

    # The base space --------------------------------------------------------------

    def to_base(self, z, context=None):
        """z to z0 (the paper's f_theta), `[batch, latent_size]`; see `log_prob`."""
        return self._to_base(*self._given(z, self.latent_size, context))

    def _to_base(self, z, context):
        raise UserError(
            f"{type(self).__name__} has no to_base: {self._why_no_base()}. Flow "
            "priors, such as RealNVPPrior, have one."
        )

    def sample_base(self, n, seed=0, temperature=1.0, context=None):
        """Draws z0, of which `from_base` makes the codes that `sample` would draw.

        Args:
          n, seed, temperature, context: see `sample`.

        Returns:
          Float tensor `[n, base_size]`.

        Raises:
          UserError: if the prior has no z0; see `sample`.
        """
        seed, context = self._given_draws(n, self.base_size, seed, temperature, context)
        return self._sample_base(n, seed, temperature, context)

    def _sample_base(self, n, seed, temperature, context):
        raise UserError(f"{type(self).__name__} has no z0: {self._why_no_base()}.")

    def from_base(self, z0, context=None):
        """z0 to z, the inverse of `to_base` where there is one; see `log_prob`."""
        return self._from_base(*self._given(z0, self.base_size, context))

    def _from_base(self, z0, context):
        raise UserError(f"{type(self).__name__} has no z0: {self._why_no_base()}.")

    def _why_no_base(self):
        return "its codes are not the image of one base variable"

    # Standardisation and fitting -------------------------------------------------

    def standardized(self, z):
        """Codes to standard codes."""
        z = self._flat(z)
        return z if self._standardization is None else self._standardization(z)

    def unstandardized(self, z):
        """Standard codes to codes."""
        if self._standardization is not None:
            z = self._standardization.bijector().forward(z)
        return tf.reshape(z, [-1, *self.code_shape])

    def standardization(self, z):
        """Standard codes, and log |d standard code / d code|, `[]` or `[batch]`."""
        _, known = _STEP.of(self)
        if known is not None:
            return known
        z = self._flat(z)
        if self._standardization is None:
            return z, tf.zeros([])
        bijector = self._standardization.bijector()
        return bijector.inverse(z), bijector.inverse_log_det_jacobian(z, 1)

    def update_statistics(self, z) -> None:
        """Tells the prior of a batch of codes `[batch, latent_size]` in training."""
        if self._standardization is not None and self._standardization.trainable:
            self._standardization.update(z)

    def set_statistics(
        self,
        codes: np.ndarray,
        seed: int = 0,
        context: np.ndarray | None = None,
    ) -> None:
        """Tells the prior of all codes `[n, latent_size]` that it will be fitted to."""
        if self._standardization is not None:
            self._standardization.fit(codes, seed)
        if context is not None and self._context_standardization is not None:
            self._context_standardization.fit(context)

    def fit(
        self,
        codes,
        context=None,
        validation_split: float = 0.1,
        validation_data=None,
        epochs: int | None = None,
        batch_size: int = 512,
        optimizer: keras.optimizers.Optimizer | None = None,
        divergence: keras.layers.Layer | None = None,
        patience: int | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        seed: int = 0,
        verbose: int | str = 0,
    ) -> keras.callbacks.History:
        """Fits the prior to codes, and keeps what is best on those that are held out.

        The standardisation, if any, takes the moments of the codes that are not held
        out; of codes that are read from files, of a random part of 128 MB. A prior that
        has a way of its own, as EM for the Gaussian mixture, is fitted by it; others
        take gradient steps.

        Args:
          codes: finite numbers `[n, latent_size]`, or of another shape with as many
            numbers in a row, which draws then have too: an array, one of `numpy.memmap`
            or whatever is indexed as one, which is read as it is needed; or a finite
            `tf.data.Dataset` of batches, of codes or pairs (codes, context).
          context: numbers `[n, context_size]`, or integers `[n]`, which become
            one-hot vectors; for a prior with a context.
          validation_split: share of the codes that is held out; 0: none, and the last
            weights are kept.
          validation_data: in place of such a share, codes, or (codes, context).
          epochs: passes over the codes, at most; None: 20, for flow matching 80, or
            200 iterations of EM.
          batch_size: codes per step.
          optimizer: None: Adam with a rate that falls from 1e-3, for flow matching
            2e-3, to 0 by a cosine.
          divergence: None: KL, which is maximum likelihood, or MMD for a prior
            without a density. An adversarial one keeps the last weights.
          patience: epochs without anything better on held-out codes after which the
            fit ends; None: a quarter of them, for flow matching half.
          callbacks: of Keras; logs have `val_loss`.
          seed: of the split, the order and all noise.
          verbose: see `keras.Model.fit`.

        Returns:
          A Keras `History`, with `loss` and `val_loss` for each epoch.

        Raises:
          UserError: if the codes or the context cannot be learned from.
        """
        return fitting.fit(
            self,
            fitting.FitData(codes, context, validation_split, validation_data, seed),
            fitting.FitSettings(
                epochs, batch_size, optimizer, divergence, patience, callbacks, verbose
            ),
        )

    def evaluate(
        self, codes, context=None, learned=None, seed: int = 0
    ) -> dict[str, float]:
        """How well the prior is the distribution of codes that it has not learned.

        Args:
          codes: as in `fit`.
          context: as in `fit`.
          learned: the codes that it learned from, or (codes, context), or None.
          seed: of draws and of the classifier.

        Returns:
          `nll`, the mean of -log p(z) in nats, if there is a density;
          `two_sample_accuracy` of a classifier that tells codes from draws, both with
          their context, 0.5 for a perfect match; `sliced_wasserstein`, in units of the
          code; and, given what was learned, `overfitting`, nats by which the NLL
          exceeds that of it.
        """
        return fitting.evaluate(self, codes, context, learned, seed)

    def save(self, filepath) -> None:
        """Writes the prior to a .keras file, for `keras.saving.load_model`."""
        if not str(filepath).endswith(".keras") or Path(filepath).is_dir():
            raise UserError(
                "Expected the path of a file that ends in .keras, received "
                f"{filepath}{', a folder' if Path(filepath).is_dir() else ''}."
            )
        self._build_if_new()
        with written_atomically(filepath) as temporary:
            keras.saving.save_model(self, temporary)

    @property
    def learns_by_steps(self) -> bool:
        """Whether the prior learns by gradient steps, rather than in `fit_directly`."""
        return bool(self.trainable_variables)

    def fit_directly(self, codes: np.ndarray, iterations: int, seed: int) -> None:
        """Fits a prior that needs no gradient steps to codes `[n, latent_size]`."""

    def diagnostics(self, z, context=None) -> dict[str, Any]:
        """Named scalars that tell how the prior fares on the codes z."""
        return {}

    def standard_context(self, context):
        """The context `[batch, context_size]` as the prior's networks see it.

        Raises:
          UserError: if its width is not `context_size`.
        """
        self.check_context(context)
        if context is None or self._context_standardization is None:
            return context
        return self._context_standardization(context)

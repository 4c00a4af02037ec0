"""The implicit prior: codes are the outputs of a network fed with noise."""

from collections.abc import Sequence

from tfp_priors.core import replicas
from tfp_priors.core.code_shape import LatentSize
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_widths
from tfp_priors.networks import MLP
from tfp_priors.networks.conditional import beside
from tfp_priors.priors.prior import Prior
from tfp_priors.priors.standardization import LatentStandardization

_NOISES = ("normal", "uniform")


class GeneratorPrior(Prior):
    """z = G(z0): the prior of Prior-AAE (the paper's section 3) and of GMMN+AE.

    It has neither a density nor an inverse, so the KL divergence cannot train it;
    `AdversarialDivergence` and `MMDDivergence` can.

    Args:
      latent_size: dimensions of the code.
      base_size: dimensions of z0; None: `latent_size`.
      hidden_sizes: hidden units of G.
      noise: distribution of each dimension of z0: "normal", N(0, 1), or "uniform" on
        [-1, 1].
      standardize: see `Prior`.
      context_size: see `Prior`; the context also is an input of G.
    """

    has_density = False
    has_base = True

    def __init__(
        self,
        latent_size: LatentSize,
        base_size: int | None = None,
        hidden_sizes: Sequence[int] = (256, 256, 256),
        noise: str = "normal",
        standardize: bool | LatentStandardization = False,
        context_size: int = 0,
        **kwargs,
    ):
        super().__init__(latent_size, standardize, context_size, **kwargs)
        if noise not in _NOISES:
            raise UserError(
                f"GeneratorPrior expects a noise of {_NOISES}, received {noise!r}."
            )
        self._base_size = self.latent_size if base_size is None else base_size
        check_counts(type(self).__name__, base_size=self._base_size)
        self.hidden_sizes = check_widths(type(self).__name__, hidden_sizes)
        self.noise = noise
        self._generator = MLP(self.hidden_sizes, self.latent_size)

    @property
    def base_size(self):
        return self._base_size

    def build(self, input_shape=None):
        self._generator.build((None, self.base_size + self.context_size))
        super().build(input_shape)

    def _sample_base(self, n, seed, temperature, context):
        del context
        if self.noise == "normal":
            return temperature * replicas.noise(n, self.base_size, seed)
        return temperature * (2.0 * replicas.uniform(n, [self.base_size], seed) - 1.0)

    def standard_sample(self, n, seed, temperature=1.0, context=None):
        z0 = self._sample_base(n, seed, temperature, context)
        return self._generator(beside(z0, context))

    def _from_base(self, z0, context):
        return self.unstandardized(self._generator(beside(z0, context)))

    def _why_no_base(self):
        return "the generator is a network without an inverse"

"""The sizes of the priors that are compared."""

from typing import NamedTuple


class Sizes(NamedTuple):
    """Sizes of a prior on vectors, in all libraries.

    Attributes:
      latent_size: of the vectors.
      hidden_sizes: units of the conditioners.
      couplings: affine couplings of a RealNVP.
      flows: maps of an autoregressive flow.
      spline_couplings: couplings of a spline flow.
      bins: of a spline.
      bound: splines are the identity beyond.
    """

    latent_size: int
    hidden_sizes: tuple[int, ...]
    couplings: int = 8
    flows: int = 4
    spline_couplings: int = 4
    bins: int = 8
    bound: float = 5.0


#: What is timed.
TIMED = Sizes(64, (256, 256))
BATCH_SIZE = 4096
COMPONENTS = 10

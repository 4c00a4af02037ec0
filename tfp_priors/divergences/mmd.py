"""The maximum mean discrepancy of WAE-MMD and GMMN+AE."""

from collections.abc import Callable

import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.core.asserted import asserted
from tfp_priors.divergences.divergence import Divergence
from tfp_priors.divergences.divergence import DivergenceTerms
from tfp_priors.divergences.draws import check_reparameterized
from tfp_priors.divergences.draws import codes_and_draws
from tfp_priors.divergences.kernels import GaussianKernel
from tfp_priors.errors import UserError


class MMDDivergence(Divergence):
    """The squared MMD between a batch of codes and as many draws of the prior.

        mean_i!=j k(z_i, z_j) + mean_i!=j k(p_i, p_j) - 2 mean_ij k(z_i, p_j)

    It is unbiased (Gretton et al. 2012), so it may be negative. Time and memory are
    of the order batch^2. Codes are compared after the prior's standardisation, if it
    has one. Several replicas compare the codes of all of them.

    Metrics: `mmd`.

    Args:
      kernel: such as `GaussianKernel()` or `InverseMultiquadricKernel()`.

    >>> MMDDivergence(GaussianKernel([0.5, 1.0]))
    MMDDivergence(kernel=GaussianKernel(bandwidths=(0.5, 1.0)))
    """

    def __init__(self, kernel: Callable | None = None, **kwargs):
        super().__init__(**kwargs)
        self.kernel = GaussianKernel() if kernel is None else kernel

    def metric_names(self, posterior, prior, beta):
        return ("mmd",)

    def check(self, posterior, prior, beta):
        check_reparameterized(prior, "MMDDivergence")

    def terms(self, posterior, z, prior, beta, seed, context=None):
        pair = codes_and_draws(z, prior, beta, seed, context)
        codes, draws = (replicas.gather(x) for x in pair)
        mmd = squared_mmd(codes, draws, self.kernel)
        return DivergenceTerms(mmd, {"mmd": mmd})


def squared_mmd(x, y, kernel):
    """The unbiased estimate of the squared MMD.

    Args:
      x: float tensor `[n, size]`, n at least 2.
      y: float tensor `[m, size]`, m at least 2.
      kernel: see `tfp_priors.divergences.kernels`.

    Returns:
      A scalar.
    """
    error = UserError(
        "The unbiased MMD needs at least 2 codes, received 1: choose a larger "
        "train.batch_size, or one that leaves no batch of a single image."
    )
    if x.shape[0] == 1 or y.shape[0] == 1:
        raise error
    if x.shape[0] is None or y.shape[0] is None:
        least = tf.minimum(tf.shape(x)[0], tf.shape(y)[0])
        x, y = asserted((x, y), least > 1, error)
    size = x.shape[-1]

    def k(a, b):
        squares = tf.reduce_sum(tf.square(a), -1)[:, None], tf.reduce_sum(b * b, -1)
        distance = squares[0] + squares[1] - 2.0 * tf.matmul(a, b, transpose_b=True)
        # Rounding may leave it below 0.
        return kernel(tf.maximum(distance, 0.0), size)

    def mean_of_others(a):
        n = tf.cast(tf.shape(a)[0], a.dtype)
        values = k(a, a)
        others = tf.reduce_sum(values) - tf.reduce_sum(tf.linalg.diag_part(values))
        return others / (n * (n - 1.0))

    return mean_of_others(x) + mean_of_others(y) - 2.0 * tf.reduce_mean(k(x, y))

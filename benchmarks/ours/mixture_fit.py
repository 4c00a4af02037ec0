"""The fit of a mixture by EM, ours and scikit-learn's."""

import functools

import numpy as np
import sklearn
from sklearn.mixture import GaussianMixture

from tfp_priors.priors.expectation_maximization import fit_mixture

_DIMENSIONS, _TRAINING, _TEST = 64, 50_000, 10_000
# Of the world, so that no fit finds it.
_CLUSTERS = 100


def versions():
    return {"scikit-learn": sklearn.__version__}


def build(variant, case):
    components = int(case)
    codes, test = _codes()

    def ours():
        weights, means, covariances = fit_mixture(codes, components)
        mixture = GaussianMixture(components)
        mixture.weights_, mixture.means_ = weights, means
        mixture.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(covariances))
        return mixture

    def theirs():
        return GaussianMixture(components, random_state=0).fit(codes)

    fit, facts = {"ours": ours, "sklearn": theirs}[variant], {}

    def call():
        facts["nats"] = -float(fit().score(test))
        return facts["nats"]

    return call, facts


@functools.cache
def _codes():
    """Codes of clusters that are long in some directions, in units of their spread."""
    random = np.random.RandomState(0)
    n = _TRAINING + _TEST
    centres = random.randn(_CLUSTERS, _DIMENSIONS)
    lengths = np.exp(random.randn(_CLUSTERS, _DIMENSIONS))
    axes, _ = np.linalg.qr(random.randn(_CLUSTERS, _DIMENSIONS, _DIMENSIONS))
    which = random.randint(_CLUSTERS, size=n)
    codes = np.empty([n, _DIMENSIONS], np.float32)
    for k in range(_CLUSTERS):
        mine = which == k
        noise = lengths[k] * random.randn(mine.sum(), _DIMENSIONS)
        codes[mine] = centres[k] + noise @ axes[k].T
    codes = (codes - codes.mean(0)) / codes.std(0)
    return codes[:_TRAINING], codes[_TRAINING:]

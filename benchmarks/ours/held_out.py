"""Our priors as `Prior.fit` and gin/priors have them."""

import numpy as np

from benchmarks.likelihoods import report
from tfp_priors import priors


def fit(name, codes, seed):
    size = codes.shape[1]
    mixture = priors.MixtureStandardization
    prior = {
        "flow": lambda: priors.RealNVPPrior(size, standardize=mixture()),
        "maf": lambda: priors.MaskedAutoregressivePrior(size, standardize=mixture()),
        "flow_matching": lambda: priors.FlowMatchingPrior(size, standardize=True),
        "mixture10": lambda: priors.GaussianMixturePrior(size, 10, standardize=True),
        "mixture40": lambda: priors.GaussianMixturePrior(size, 40, standardize=True),
    }[name.split(".")[1]]()
    prior.fit(codes, seed=seed)
    return lambda z: np.asarray(prior.log_prob(z))


if __name__ == "__main__":
    report(fit)

"""The deterministic posterior: a code, not a distribution of codes."""

import tensorflow_probability as tfp

from tfp_priors.posteriors.posterior import Posterior

tfd = tfp.distributions


class DeterministicPosterior(Posterior):
    """q(z|x) is a point: the encoder of a plain autoencoder (equation 8).

    It has no density, so a KL divergence takes it at beta = 0 only.
    """

    has_density = False
    takes_maps = True

    def distribution(self, parameters):
        return tfd.VectorDeterministic(loc=parameters)

"""The Bernoulli likelihood, from logits."""

import tensorflow as tf

from tfp_priors.likelihoods.likelihood import Likelihood


class BernoulliLikelihood(Likelihood):
    """p(x|z) = Bernoulli(sigmoid(outputs)); the outputs are logits.

    Grey values in [0, 1] count as probabilities of a white pixel, so that
    -log_prob is the cross-entropy of Kingma & Welling (2014). It is then not a
    normalised density of x.
    """

    squashes = True

    def log_prob(self, images, outputs):
        cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(images, outputs)
        return -tf.reduce_sum(cross_entropy, axis=[1, 2, 3])

    def mean(self, outputs):
        return tf.sigmoid(outputs)

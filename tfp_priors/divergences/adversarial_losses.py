"""Losses of adversarial training, as functions of a critic's output t.

A critic should be high on the prior's draws and low on codes. `critic(t)` is its loss
on draws, and with -t its loss on codes. `follower(t)` is the loss of codes that want
to be taken for draws, and with -t that of draws that want to be taken for codes.
"""

import tensorflow as tf

from tfp_priors.core.configured import Configured


class NonSaturatingLoss(Configured):
    """Cross-entropy with swapped labels for the followers (Goodfellow et al. 2014)."""

    def critic(self, t):
        """-log sigmoid(t)."""
        return tf.nn.softplus(-t)

    def follower(self, t):
        """-log sigmoid(t)."""
        return tf.nn.softplus(-t)


class WassersteinLoss(Configured):
    """Differences of means (Arjovsky et al. 2017).

    The critic needs a Lipschitz bound: a gradient penalty or spectral normalisation.
    """

    def critic(self, t):
        """-t."""
        return -t

    def follower(self, t):
        """-t."""
        return -t


class HingeLoss(Configured):
    """The critic stops at a margin of 1 (Lim & Ye 2017; Miyato et al. 2018)."""

    def critic(self, t):
        """max(0, 1 - t)."""
        return tf.nn.relu(1.0 - t)

    def follower(self, t):
        """-t."""
        return -t

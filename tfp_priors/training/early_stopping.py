"""When the autoencoder has learned enough, by held-out images."""

from tfp_priors.errors import check_counts
from tfp_priors.errors import check_within


class EarlyStopping:
    """Ends the training once held-out images have become no more likely for a while.

    The weights are kept whenever the evidence lower bound of the held-out images is the
    best so far, at beta = 1 and by one draw each, and the best ones are the run's. So
    prior, posterior and likelihood must have densities.

    Args:
      every: steps between two looks.
      patience: steps without a better bound that end the training.
      start: step from which on these count, such as the end of an annealing.
    """

    def __init__(self, every: int, patience: int, start: int = 0):
        check_counts("EarlyStopping", every=every, patience=patience)
        check_within("EarlyStopping", "[0, inf)", start=start)
        self.every = every
        self.patience = patience
        self.start = start

"""Whether samples crowd around the training set."""

from typing import NamedTuple

import numpy as np

from tfp_priors.latent_space import nearest_neighbours
from tfp_priors.latent_space.rows import comparable_rows


class Memorization(NamedTuple):
    """Whether samples lie closer to the training set than to the test set.

    Attributes:
      share: of the samples, those nearer to the test set than to the training set.
      standard_error: of the share, if train and test are exchangeable.
      z: (share - 0.5) / standard_error.
      samples: number of samples.
      points: number of training points, and of test points, that were compared.
    """

    share: float
    standard_error: float
    z: float
    samples: int
    points: int


def memorization(
    samples: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int = 0
) -> Memorization:
    """The share of samples that are nearer to the test set than to the training set.

    0.5 is expected of a model that does not memorise, less of one whose samples lie
    too close to its training images; like the test of Meehan et al. 2020 it takes the
    test set as the measure of how close fresh data lies. Training and test images
    must come from one distribution and in equal numbers: the larger set is cut to a
    random subset. Ties count half.

    The standard error is exact over all ways to choose which N of the 2N points are
    the test set. With c_j the number of samples whose nearest neighbour is point j,
    the share is the sum of c_j over the test points, over n; the variance of a sum
    drawn without replacement (Cochran 1977, theorem 2.2) makes it

        sqrt(N * (1 - N / 2N) * S^2) / n,   S^2 = sum_j (c_j - mean c)^2 / (2N - 1)

    so points that are near to many samples raise it.

    Args:
      samples: `[n, ...]`; images of any shape are flattened.
      train: what the model was trained on, `[m, ...]`, in the samples' units.
      test: held-out data, `[l, ...]`.
      seed: of the subset.

    Raises:
      UserError: if shapes differ or values are not finite.
    """
    samples, train, test = comparable_rows(
        np.float32, samples=samples, train=train, test=test
    )
    random = np.random.RandomState(seed)
    count = min(len(train), len(test))
    to_train, in_train, to_test, in_test = (
        values[:, 0]
        for points in (train, test)
        for values in nearest_neighbours(
            samples, points[random.permutation(len(points))[:count]]
        )
    )
    wins = 0.5 + 0.5 * np.sign(to_train - to_test)  # [n], of the test set
    chosen = np.concatenate(
        [
            np.bincount(in_train, 1.0 - wins, count),
            np.bincount(in_test, wins, count),
        ]
    )
    share = wins.mean()
    error = np.sqrt(count * chosen.var(ddof=1) / 2) / len(wins)
    # No variance: every point is chosen equally often, and the share is 0.5.
    z = (share - 0.5) / error if error > 0 else 0.0
    return Memorization(float(share), float(error), float(z), len(wins), count)

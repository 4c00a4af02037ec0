"""How well a prior matches the codes: two-sample tests and distances.

What a prior with a density has learned by heart needs no function here: it is the
mean log p(z) of training codes less that of held-out codes, in nats.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from tfp_priors.core.estimate import Estimate
from tfp_priors.errors import UserError
from tfp_priors.latent_space.rows import comparable_rows

_BLOCK_MIB = 16  # of distances at once

# Numbers that the quadratic classifier may make of all codes.
_MOST_MONOMIALS = 2**27

#: Codes that a classifier needs: two halves, and one that stops early sets a tenth of
#: its half aside, with both kinds in it.
_LEAST = {"quadratic": 2, "mlp": 12}


def two_sample_accuracy(
    codes: np.ndarray, prior_codes: np.ndarray, classifier: str = "mlp", seed: int = 0
) -> float:
    """Accuracy of a classifier that separates two samples (Lopez-Paz & Oquab 2017).

    The larger sample is cut to the size of the smaller one, at random, a random half of
    both trains the classifier and the other half tests it. Rows of samples of one size
    are pairs, which fall into one half: a condition in both, beside a code and a draw,
    tells nothing.

    Args:
      codes: codes of images, `[n, latent_size]`; held-out ones, since a prior may
        fit the training codes alone.
      prior_codes: draws from the prior, `[m, latent_size]`.
      classifier: "quadratic": logistic regression on all monomials up to degree 2;
        "mlp": two hidden layers of 64.
      seed: of the halves and the classifier's initial weights.

    Returns:
      Test accuracy: 0.5 for samples of one distribution, 1 for disjoint ones. Its
      standard error is at most 0.5 / sqrt(min(n, m)).

    Raises:
      UserError: if there are too few of one kind, values are not finite, or the
        quadratic classifier would take too much memory.
    """
    codes, prior_codes = comparable_rows(
        np.float32, codes=codes, prior_codes=prior_codes
    )
    model = _new_classifier(classifier, seed)
    n = min(len(codes), len(prior_codes))
    if n < _LEAST[classifier]:
        raise UserError(
            f"The {classifier} classifier needs at least {_LEAST[classifier]} codes, "
            f"and as many draws of the prior, received {n}: give more codes."
        )
    size = codes.shape[1]
    monomials = size * (size + 3) // 2
    if classifier == "quadratic" and 2 * n * monomials > _MOST_MONOMIALS:
        raise UserError(
            f"The quadratic classifier would take {monomials} monomials of each of "
            f"{2 * n} rows: take the mlp one."
        )
    first, second = (_some(z, n, seed) for z in (codes, prior_codes))
    half = n // 2
    train = np.concatenate([first[:half], second[:half]])
    test = np.concatenate([first[half:], second[half:]])
    # Products as small as the MLP's gain nothing from threads, which on a busy machine
    # wait for each other most of the time.
    with threadpool_limits(1 if classifier == "mlp" else None, "blas"):
        model.fit(train, np.repeat([0, 1], half))
        return float(model.score(test, np.repeat([0, 1], n - half)))


def _new_classifier(name, seed):
    if name == "quadratic":
        return make_pipeline(
            StandardScaler(),
            PolynomialFeatures(2, include_bias=False),
            StandardScaler(),
            LogisticRegression(max_iter=1000),
        )
    if name == "mlp":
        return make_pipeline(
            StandardScaler(),
            MLPClassifier((64, 64), early_stopping=True, random_state=seed),
        )
    raise ValueError(f"classifier must be 'quadratic' or 'mlp', received {name!r}.")


def _some(rows, n, seed):
    """n rows drawn at random, the same ones of samples of one size."""
    return np.random.RandomState(seed).permutation(rows)[:n]


def sliced_wasserstein(
    codes: np.ndarray, prior_codes: np.ndarray, directions: int = 64, seed: int = 0
) -> float:
    """The 1-Wasserstein distance averaged over directions (Bonneel et al. 2015).

    The larger sample is cut to the size of the smaller one, at random.

    Args:
      codes: codes of images, `[n, latent_size]`.
      prior_codes: draws from the prior, `[m, latent_size]`.
      directions: random directions.
      seed: of the directions and of the cut.

    Returns:
      The distance, in units of the code.
    """
    codes, prior_codes = comparable_rows(
        np.float32, codes=codes, prior_codes=prior_codes
    )
    axes = np.random.RandomState(seed).randn(codes.shape[1], directions)
    axes /= np.linalg.norm(axes, axis=0)
    n = min(len(codes), len(prior_codes))
    first, second = (
        np.sort(_some(z, n, seed) @ axes, axis=0) for z in (codes, prior_codes)
    )
    return float(np.mean(np.abs(first - second)))


def mmd(codes: np.ndarray, prior_codes: np.ndarray) -> Estimate:
    """The squared maximum mean discrepancy (Gretton et al. 2012).

        mean_i!=j k(z_i, z_j) + mean_i!=j k(p_i, p_j) - 2 mean_ij k(z_i, p_j)

    It is unbiased, so it may be negative. The kernel has no scale of its own:

        k(x, y) = sum_s exp(-|x - y|^2 / (2 (s * median)^2)),  s = 1/4, 1/2, 1, 2, 4

    with the median distance of up to 1,000 codes, evenly spaced, pooled with as many
    draws. Time grows with the square of the numbers of codes, memory does not.

    Args:
      codes: codes of images, `[n, latent_size]`, n at least 2.
      prior_codes: draws from the prior, `[m, latent_size]`, m at least 2.

    Returns:
      The squared MMD, at most 10, and its standard error by the variance over codes
      and over draws of their share in it. That is the error to first order; for equal
      distributions, where this order vanishes, it is sqrt(2) times too large.

    Raises:
      UserError: if sizes differ, values are not finite, there are fewer than 2
        codes or draws, or most of them are one point.
    """
    x, y = comparable_rows(codes=codes, prior_codes=prior_codes)
    if min(len(x), len(y)) < 2:
        raise UserError(
            "The MMD needs at least 2 codes and 2 draws of the prior, received "
            f"{len(x)} and {len(y)}: give more."
        )
    median = _median_distance(x, y)
    within_x, _ = _kernel_sums(x, x, median)
    within_y, _ = _kernel_sums(y, y, median)
    from_x, from_y = _kernel_sums(x, y, median)
    # What a code, or a draw, has more in common with its own kind; k(x, x) = 5.
    x_share = (within_x - 5) / (len(x) - 1) - from_x / len(y)  # [n]
    y_share = (within_y - 5) / (len(y) - 1) - from_y / len(x)  # [m]
    variance = 4 * (x_share.var(ddof=1) / len(x) + y_share.var(ddof=1) / len(y))
    return Estimate(float(x_share.mean() + y_share.mean()), float(np.sqrt(variance)))


def _kernel_sums(x, y, median):
    """Sums of the kernel over y for each x, and over x for each y."""
    rows, columns = [], 0.0
    for distances in pairwise_distances_chunked(x, y, working_memory=_BLOCK_MIB):
        term = np.exp(-0.5 * np.square(distances / (4.0 * median)))
        kernel = term.copy()
        for _ in range(4):
            # At half the bandwidth it is the fourth power.
            term = np.square(np.square(term))
            kernel += term
        rows.append(kernel.sum(axis=1))
        columns += kernel.sum(axis=0)
    return np.concatenate(rows), columns


def _median_distance(x, y):
    count = min(len(x), len(y), 1000)
    pool = np.concatenate(
        [z[np.linspace(0, len(z) - 1, count).astype(int)] for z in (x, y)]
    )
    distances = pairwise_distances(pool)[np.triu_indices(len(pool), 1)]
    median = np.median(distances)
    # Less is the rounding of codes in single precision.
    if median <= 1e-6 * np.abs(pool).max():
        raise UserError(
            "The MMD's kernel needs codes that differ, received a median distance of "
            f"{median:.1g}: look for a collapsed encoder and prior."
        )
    return median

"""Mixtures of normals fitted to codes by expectation maximisation."""

import math
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from tfp_priors.errors import UserError

# Codes whose responsibilities are computed at a time, by components and dimensions.
_NUMBERS_AT_ONCE = 2**24

# More than these are not seen at once.
_CODES_PER_ITERATION = 20_000

# The share by which iteration i moves what is known is (i + 2)^-this, until it is the
# part of all codes that an iteration sees: the sums then are those of about all codes.
_FORGETTING = 0.6

# Nats per code by which a pass over the codes must be better than the last, or EM ends.
_TOLERANCE = 1e-3

# What a component does not answer for by more than this does not move it.
_SMALLEST_SHARE = 1e-4


class Mixture(NamedTuple):
    """sum_k weights[k] N(means[k], covariances[k]).

    Attributes:
      weights: `[components]`.
      means: `[components, dimensions]`.
      covariances: `[components, dimensions, dimensions]`, or of diagonal ones the
        diagonals, `[components, dimensions]`.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


def fit_mixture(
    codes: np.ndarray,
    components: int,
    iterations: int = 100,
    seed: int = 0,
    floor: float = 1e-6,
    shrinkage: float = 0.0,
    diagonal: bool = False,
) -> Mixture:
    """The mixture of highest likelihood near one that k-means finds.

    In float32, with one matrix product for the responsibilities of all components.

    Of more than 20,000 codes an iteration sees as many at most, in random order, and
    moves the sums of before by a falling share (Cappe & Moulines 2009).

    Args:
      codes: `[n, dimensions]`, of about unit scale.
      components: number of normals.
      iterations: at most; it ends once the likelihood does not rise any more from one
        pass over the codes to the next.
      seed: of k-means and of the order.
      floor: added to all variances.
      shrinkage: codes by which each covariance is drawn to the mean of all.
      diagonal: let covariances be diagonal.

    Raises:
      UserError: if there are fewer codes than components, or fewer than 2.
    """
    codes = np.ascontiguousarray(codes, np.float32)
    size = len(codes)
    if size < max(2, components):
        raise UserError(
            f"Expected at least {max(2, components)} codes for a mixture of "
            f"{components}, received {size}: take more codes, or fewer components."
        )
    # It loads threads of its own, which are to be limited too.
    import sklearn.cluster  # noqa: F401

    # Threads gain a fifth at most, and wait for each other most of the time where
    # other processes keep the cores busy.
    with threadpool_limits(1):
        return _fitted(codes, components, iterations, seed, floor, shrinkage, diagonal)


def _fitted(codes, components, iterations, seed, floor, shrinkage, diagonal):
    size, dimensions = codes.shape
    random = np.random.RandomState(seed)
    parts = math.ceil(size / _CODES_PER_ITERATION)
    part = size // parts
    order = random.permutation(size)
    moments = _clusters(codes[order[:part]], components, seed, diagonal)
    shrinkage /= size
    # The first covariances may be of few codes.
    mixture = moments.mixture(floor, max(shrinkage, dimensions / part))
    before, likelihood = -math.inf, 0.0
    for i in range(iterations):
        number = i % parts
        some = codes[order[number * part : (number + 1) * part]]
        likelihood += moments.see(some, mixture) / parts
        moments.move(max(1.0 / parts, (i + 2) ** -_FORGETTING))
        mixture = moments.mixture(floor, shrinkage)
        if number == parts - 1:
            if likelihood - before < _TOLERANCE:
                break
            before, likelihood = likelihood, 0.0
            order = random.permutation(size)
    return mixture


def _clusters(codes, components, seed, diagonal):
    """The moments of what k-means finds."""
    from sklearn.cluster import MiniBatchKMeans

    clusters = MiniBatchKMeans(
        components, random_state=seed, n_init=1, batch_size=4096, max_iter=20
    ).fit(codes)
    moments = _Moments(clusters.cluster_centers_.astype(np.float64), diagonal)
    moments.add(codes, np.eye(components, dtype=np.float32)[clusters.labels_])
    moments.move(1.0)
    return moments


def whitening(mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """The inverse Cholesky factors `[k, d, d]`, and log weights with their log-dets."""
    inverses = np.linalg.inv(np.linalg.cholesky(mixture.covariances))
    log_dets = np.log(np.diagonal(inverses, axis1=1, axis2=2)).sum(1)
    return inverses, np.log(mixture.weights) + log_dets


def _log_joint_of(mixture):
    """A function of codes: log weights[k] N(code; k), `[n, components]`."""
    if mixture.covariances.ndim == 2:
        return _log_joint_of_diagonal(mixture)
    inverses, constants = whitening(mixture)
    components, dimensions = mixture.means.shape
    stacked = np.ascontiguousarray(
        inverses.transpose(2, 0, 1).reshape(dimensions, -1), np.float32
    )
    shifts = np.einsum("kij,kj->ki", inverses, mixture.means).astype(np.float32)
    constants = constants - 0.5 * dimensions * math.log(2.0 * math.pi)
    constants = constants.astype(np.float32)

    def log_joint(codes):
        white = (codes @ stacked).reshape(-1, components, dimensions) - shifts
        return constants - 0.5 * np.einsum("nkd,nkd->nk", white, white)

    return log_joint


def _log_joint_of_diagonal(mixture):
    # In float64, as the terms of the squares cancel.
    precisions = 1.0 / mixture.covariances
    pulls = precisions * mixture.means
    log_dets = np.log(2.0 * math.pi * mixture.covariances).sum(1)
    constants = np.log(mixture.weights) - 0.5 * log_dets
    constants -= 0.5 * (pulls * mixture.means).sum(1)

    def log_joint(codes):
        codes = codes.astype(np.float64)
        squares = np.square(codes) @ precisions.T - 2.0 * codes @ pulls.T
        return (constants - 0.5 * squares).astype(np.float32)

    return log_joint


class _Moments:
    """Shares, means and scatter of components, about the means of before."""

    def __init__(self, means, diagonal):
        components, dimensions = means.shape
        self._diagonal = diagonal
        self._means = means
        self._weights = np.zeros(components)
        self._scatter = np.zeros((components, *[dimensions] * (1 if diagonal else 2)))
        self._clear()

    def _clear(self):
        self._size = 0
        self._counts = np.zeros_like(self._weights)
        self._first = np.zeros_like(self._means)
        self._second = np.zeros_like(self._scatter)

    def see(self, codes, mixture):
        """Adds codes, by their responsibilities; returns the mean log-likelihood."""
        log_joint, total = _log_joint_of(mixture), 0.0
        rows = max(1, _NUMBERS_AT_ONCE // self._means.size)
        for start in range(0, len(codes), rows):
            some = codes[start : start + rows]
            joint = log_joint(some)
            largest = joint.max(axis=1, keepdims=True)
            np.exp(joint - largest, out=joint)
            evidence = joint.sum(axis=1, keepdims=True)
            total += float((largest + np.log(evidence)).sum(dtype=np.float64))
            self.add(some, joint / evidence)
        return total / len(codes)

    def add(self, codes, shares):
        """Args: codes `[n, d]`, and the components' shares of each, `[n, k]`."""
        self._size += len(codes)
        for k, centre in enumerate(self._means):
            mine = shares[:, k] > _SMALLEST_SHARE
            share = shares[mine, k]
            self._counts[k] += share.sum(dtype=np.float64)
            moved = codes[mine] - centre.astype(np.float32)
            self._first[k] += share @ moved
            moved *= np.sqrt(share)[:, None]
            if self._diagonal:
                self._second[k] += np.square(moved).sum(axis=0)
            else:
                self._second[k] += moved.T @ moved

    def move(self, rate):
        """Moves the moments by a share towards those of what was added."""
        new = rate / self._size
        # An empty component keeps its place, with next to no weight.
        weights = (1.0 - rate) * self._weights + new * np.maximum(self._counts, 1e-6)
        first = new * self._first
        second = (1.0 - rate) * self._scatter + new * self._second
        steps = first / weights[:, None]
        # What float32 loses of the sums of codes far away must not be negative.
        if self._diagonal:
            lost = 1e-6 * second.max(axis=1)
            self._scatter = second - first * steps + lost[:, None]
        else:
            lost = 1e-6 * np.einsum("kii->ki", second).max(axis=1)
            self._scatter = second - first[:, :, None] * steps[:, None, :]
            self._scatter += lost[:, None, None] * np.eye(self._means.shape[1])
        self._means = self._means + steps
        self._weights = weights
        self._clear()

    def mixture(self, floor, shrinkage):
        """The mixture of these moments; `shrinkage` as a share of all codes."""
        weights, scatter = self._weights, self._scatter
        pooled = scatter.sum(axis=0) / weights.sum()
        shares = (weights + shrinkage).reshape(-1, *[1] * pooled.ndim)
        covariances = (scatter + shrinkage * pooled) / shares
        covariances += floor if self._diagonal else floor * np.eye(scatter.shape[1])
        return Mixture(weights / weights.sum(), self._means, covariances)

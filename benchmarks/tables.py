"""Sets of points for density estimation: scikit-learn's toys and small tables.

Digits are their first 16 principal components.
"""

import numpy as np
import sklearn.datasets
import sklearn.decomposition

_POINTS = 10_000


def _toy(make, **kwargs):
    def points(seed):
        seeds = 2 * seed, 2 * seed + 1
        return [make(_POINTS, random_state=s, **kwargs)[0] for s in seeds]

    return points


def _digits():
    images = sklearn.datasets.load_digits().data
    return sklearn.decomposition.PCA(16, random_state=0).fit_transform(images)


def _diabetes():
    # Without the sex, which is one of two numbers.
    return np.delete(sklearn.datasets.load_diabetes().data, 1, axis=1)


def _table(load):
    def points(seed):
        rows = np.asarray(load(), np.float64)
        order = np.random.RandomState(seed).permutation(len(rows))
        test = len(rows) // 5
        return rows[order[test:]], rows[order[:test]]

    return points


_SETS = {
    "moons": _toy(sklearn.datasets.make_moons, noise=0.05),
    "swiss_roll": _toy(sklearn.datasets.make_swiss_roll, noise=0.5),
    "breast_cancer": _table(lambda: sklearn.datasets.load_breast_cancer().data),
    "digits": _table(_digits),
    "diabetes": _table(_diabetes),
    "wine": _table(lambda: sklearn.datasets.load_wine().data),
}
NAMES = tuple(_SETS)


def points(name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Training and test points, standardised by the moments of the former.

    Toys have 10,000 of each; of a table a fifth is the test set.

    Args:
      name: one of `NAMES`.
      seed: of toys, and of a table's order.

    Returns:
      Two arrays `[n, d]`, float32. Densities are those of the standardised points.
    """
    train, test = _SETS[name](seed)
    mean, scale = train.mean(0), train.std(0) + 1e-6
    return tuple(((part - mean) / scale).astype(np.float32) for part in (train, test))

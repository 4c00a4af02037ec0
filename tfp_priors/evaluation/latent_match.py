"""How well a prior matches the codes: two-sample tests and distances."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.preprocessing import StandardScaler


def two_sample_accuracy(
    codes: np.ndarray, prior_codes: np.ndarray, classifier: str = "mlp", seed: int = 0
) -> float:
    """Accuracy of a classifier that separates two samples (Lopez-Paz & Oquab 2017).

    The larger sample is cut to the size of the smaller one, a random half of both
    trains the classifier and the other half tests it.

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
    """
    if classifier == "quadratic":
        model = make_pipeline(
            StandardScaler(),
            PolynomialFeatures(2, include_bias=False),
            StandardScaler(),
            LogisticRegression(max_iter=1000),
        )
    elif classifier == "mlp":
        model = make_pipeline(
            StandardScaler(),
            MLPClassifier((64, 64), early_stopping=True, random_state=seed),
        )
    else:
        raise ValueError(
            f"classifier must be 'quadratic' or 'mlp', received {classifier!r}."
        )
    random = np.random.RandomState(seed)
    n = min(len(codes), len(prior_codes))
    first = random.permutation(codes)[:n]
    second = random.permutation(prior_codes)[:n]
    half = n // 2
    train = np.concatenate([first[:half], second[:half]])
    test = np.concatenate([first[half:], second[half:]])
    model.fit(train, np.repeat([0, 1], half))
    return float(model.score(test, np.repeat([0, 1], n - half)))


def sliced_wasserstein(
    codes: np.ndarray, prior_codes: np.ndarray, directions: int = 64, seed: int = 0
) -> float:
    """The 1-Wasserstein distance averaged over directions (Bonneel et al. 2015).

    The larger sample is cut to the size of the smaller one.

    Args:
      codes: codes of images, `[n, latent_size]`.
      prior_codes: draws from the prior, `[m, latent_size]`.
      directions: random directions.
      seed: of the directions.

    Returns:
      The distance, in units of the code.
    """
    axes = np.random.RandomState(seed).randn(codes.shape[1], directions)
    axes /= np.linalg.norm(axes, axis=0)
    n = min(len(codes), len(prior_codes))
    first, second = (np.sort(z[:n] @ axes, axis=0) for z in (codes, prior_codes))
    return float(np.mean(np.abs(first - second)))

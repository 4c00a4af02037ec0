"""How well a hyperplane in code space separates attributes of the images."""

import warnings
from typing import NamedTuple

import numpy as np
import scipy.stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from tfp_priors.errors import UserError
from tfp_priors.latent_space.rows import finite_rows

_MAX_ITERATIONS = 10_000


class Separability(NamedTuple):
    """Linear separability of codes.

    Attributes:
      score: exp of the sum of the conditional entropies; 1 if a hyperplane separates
        every attribute.
      conditional_entropies: H(Y|X) in nats, `[attributes]`; X is the side of the
        hyperplane, Y whether the image has the attribute.
      degenerate: indices of the attributes that all kept images have, or none; they
        count as separated, which makes the score look better than it is.
      unconverged: indices of the attributes whose hyperplane is not the best one.
    """

    score: float
    conditional_entropies: np.ndarray
    degenerate: tuple[int, ...]
    unconverged: tuple[int, ...]


def separability(
    codes: np.ndarray, logits: np.ndarray, keep: int | None = None
) -> Separability:
    """The linear separability of Karras et al. 2019, section 4.2.

    For every attribute the samples whose classifier is most confident are kept, a
    linear support vector machine learns to tell from their codes what the classifier
    decided, and H(Y|X) is what its answers X leave open about the decisions Y. The
    answers are those on the codes it has learned from.

    The machine is scikit-learn's `LinearSVC` with C = 1 on the codes as they are. It
    penalises the intercept, so codes whose mean is many deviations from 0 score
    worse. With more samples than dimensions it solves the primal problem, else the
    dual one: the optimum is the same, and the primal solver reaches it much sooner.

    Args:
      codes: `[n, latent_size]`, of sampled images.
      logits: of binary classifiers of those images, `[n, attributes]`; a positive one
        says that the image has the attribute. For a classifier of exclusive classes
        see `one_vs_rest_logits`.
      keep: samples kept per attribute; half of them by default. The paper keeps
        100,000 of 200,000.

    Raises:
      UserError: if codes and logits differ in number, values are not finite, or `keep`
        is out of range.
    """
    codes, logits = finite_rows("codes", codes), finite_rows("logits", logits)
    if len(codes) != len(logits):
        raise UserError(
            "codes and logits must have one row per sample, received "
            f"{len(codes)} and {len(logits)} rows: give those of the same images."
        )
    keep = len(codes) // 2 if keep is None else keep
    if not 1 <= keep <= len(codes):
        raise UserError(
            f"keep must be at least 1 and at most the number of samples, {len(codes)}, "
            f"received {keep}: choose another keep or give more samples."
        )
    entropies = np.zeros(logits.shape[1])
    degenerate, unconverged = [], []
    for i, logit in enumerate(logits.T):
        # max(p, 1 - p) grows with |logit|, and would round to 1 for many samples.
        kept = np.argsort(-np.abs(logit), kind="stable")[:keep]
        labels = logit[kept] > 0
        if labels.all() or not labels.any():
            degenerate.append(i)
            continue
        predictions, converged = _svm_predictions(codes[kept], labels)
        entropies[i] = conditional_entropy(labels, predictions)
        if not converged:
            unconverged.append(i)
    return Separability(
        score=float(np.exp(entropies.sum())),
        conditional_entropies=entropies,
        degenerate=tuple(degenerate),
        unconverged=tuple(unconverged),
    )


def conditional_entropy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """H(labels | predictions) of two binary variables, in nats.

    Args:
      labels: booleans `[n]`.
      predictions: booleans `[n]`.
    """
    cells = 2 * predictions.astype(int) + labels
    joint = np.bincount(cells, minlength=4).reshape(2, 2) / len(cells)
    entropy = scipy.stats.entropy
    return float(entropy(joint, axis=None) - entropy(joint.sum(axis=1)))


def one_vs_rest_logits(logits: np.ndarray) -> np.ndarray:
    """log p_c - log(1 - p_c) of every class c of a softmax.

    That is l_c - logsumexp of the other logits, which stays exact where p_c rounds
    to 1.

    Args:
      logits: `[n, classes]`, at least 2 classes.

    Returns:
      `[n, classes]`, float64: one binary classifier per class.

    Raises:
      UserError: if there are fewer classes or values are not finite.
    """
    logits = finite_rows("logits", logits)
    classes = logits.shape[1]
    if classes < 2:
        raise UserError(
            f"logits must have at least 2 classes, received shape {logits.shape}: "
            "those of a binary classifier need no conversion."
        )
    others = [
        np.logaddexp.reduce(np.delete(logits, c, axis=1), axis=1)
        for c in range(classes)
    ]
    return logits - np.stack(others, axis=1)


def _svm_predictions(codes, labels):
    svm = LinearSVC(dual="auto", max_iter=_MAX_ITERATIONS, random_state=0)
    with warnings.catch_warnings():
        # The result says it, by attribute.
        warnings.simplefilter("ignore", ConvergenceWarning)
        svm.fit(codes, labels)
    return svm.predict(codes), svm.n_iter_ < _MAX_ITERATIONS

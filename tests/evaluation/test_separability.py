import itertools

import numpy as np
import pytest
import scipy.special
import scipy.stats
from sklearn.svm import LinearSVC

from tfp_priors.data.builders.procedural_faces import ATTRIBUTES
from tfp_priors.data.builders.procedural_faces import attributes_of
from tfp_priors.errors import UserError
from tfp_priors.evaluation import separability as module
from tfp_priors.evaluation.separability import conditional_entropy
from tfp_priors.evaluation.separability import one_vs_rest_logits
from tfp_priors.evaluation.separability import separability


def signs(labels):
    return 2.0 * np.asarray(labels) - 1.0


def gapped_codes(random, n):
    # Two slabs 2 apart: small errors of the hyperplane change no prediction.
    side = np.arange(n) % 2
    first = signs(side) * random.uniform(1, 2, n)
    return np.c_[first, random.uniform(-1, 1, (n, 2))], side


def test_separable_attributes_score_one():
    random = np.random.RandomState(0)
    codes, side = gapped_codes(random, 400)
    result = separability(codes, np.c_[signs(side), -signs(side)])
    assert result.score == 1.0
    np.testing.assert_array_equal(result.conditional_entropies, [0.0, 0.0])
    assert result.degenerate == () and result.unconverged == ()


@pytest.mark.parametrize("flipped", [0.05, 0.2])
def test_a_rule_with_flipped_labels_costs_the_entropy_of_the_flips(flipped):
    random = np.random.RandomState(0)
    n = 4000
    codes, side = gapped_codes(random, n)
    flips = np.zeros(n, bool)
    for value in (0, 1):  # exactly that share on both sides
        members = random.permutation(np.flatnonzero(side == value))
        flips[members[: int(flipped * n / 2)]] = True
    result = separability(codes, signs(side ^ flips)[:, None], keep=n)
    expected = scipy.stats.entropy([flipped, 1 - flipped])
    np.testing.assert_allclose(result.conditional_entropies, [expected], rtol=1e-12)
    np.testing.assert_allclose(result.score, np.exp(expected), rtol=1e-12)


def test_codes_that_say_nothing_leave_the_whole_entropy():
    random = np.random.RandomState(0)
    n, size = 8000, 4
    codes = random.randn(n, size)
    labels = random.rand(n, 3) < [0.5, 0.4, 0.1]
    result = separability(codes, signs(labels), keep=n)
    shares = labels.mean(0)
    entropies = scipy.stats.entropy([shares, 1 - shares])
    # What is fitted to noise gains about size / 2n nats per attribute, here 2.5e-4.
    assert np.all(result.conditional_entropies <= entropies + 1e-12)
    np.testing.assert_allclose(result.conditional_entropies, entropies, atol=2e-3)
    np.testing.assert_allclose(result.score, np.exp(entropies.sum()), rtol=6e-3)


@pytest.mark.parametrize("n", [1, 50])
def test_conditional_entropy_against_loops(n):
    random = np.random.RandomState(n)
    labels, predictions = random.rand(2, n) < 0.4
    expected = 0.0
    for x, y in itertools.product([False, True], repeat=2):
        both = np.mean((predictions == x) & (labels == y))
        if both > 0:
            expected -= both * np.log(both / np.mean(predictions == x))
    received = conditional_entropy(labels, predictions)
    np.testing.assert_allclose(received, expected, atol=1e-12)


def test_only_the_confident_samples_count():
    random = np.random.RandomState(0)
    codes, side = gapped_codes(random, 600)
    confident = random.permutation(600) < 300
    logits = signs(side) * np.where(confident, 5.0, 1.0)
    # The classifier errs where it is unsure, and its logits saturate a float's p.
    logits[~confident] *= signs(random.rand(300) < 0.5)
    assert separability(codes, logits[:, None]).score == 1.0
    assert separability(codes, 100 * logits[:, None], keep=300).score == 1.0
    assert separability(codes, logits[:, None], keep=600).score > 1.3


def test_against_the_procedure_written_out():
    random = np.random.RandomState(0)
    codes, logits = random.randn(500, 3), random.randn(500, 2)
    logits += codes[:, :2]
    total = 0.0
    for logit in logits.T:
        p = scipy.special.expit(logit)
        kept = sorted(range(500), key=lambda i: -max(p[i], 1 - p[i]))[:200]
        labels = p[kept] > 0.5
        # The dual problem, which the paper's code solved, has the same optimum.
        svm = LinearSVC(dual=True, tol=1e-8, max_iter=100_000, random_state=0)
        answers = svm.fit(codes[kept], labels).predict(codes[kept])
        table = np.histogram2d(answers, labels, bins=2)[0]
        shares = table.sum(1) / 200
        total += shares @ scipy.stats.entropy(table, base=2, axis=1)
    received = separability(codes, logits, keep=200).score
    assert received > 1.05
    np.testing.assert_allclose(received, 2**total, rtol=1e-9)


def test_invariance():
    random = np.random.RandomState(0)
    codes, logits = random.randn(2000, 4), random.randn(2000, 3)
    logits += 2 * codes[:, :3]
    entropies = separability(codes, logits).conditional_entropies
    assert np.all(entropies > 0.1)
    rotation = scipy.stats.ortho_group.rvs(4, random_state=0)
    order = random.permutation(2000)
    for other_codes, other_logits in (
        (codes, -logits),
        (codes, 3.0 * logits),
        (codes[order], logits[order]),
        (codes @ rotation, logits),
        (1000.0 * codes, logits),
    ):
        received = separability(other_codes, other_logits)
        assert not received.unconverged
        # One of 1,000 predictions may change with the solver's last digits.
        np.testing.assert_allclose(received.conditional_entropies, entropies, atol=5e-3)
    swapped = separability(codes, logits[:, ::-1]).conditional_entropies
    np.testing.assert_array_equal(swapped, entropies[::-1])


def test_attributes_without_contrast_are_reported():
    random = np.random.RandomState(0)
    codes, side = gapped_codes(random, 200)
    noise = signs(random.rand(200) < 0.5)
    # Of the last, only unsure samples are negative.
    unsure = np.where(np.arange(200) < 50, -1.0, 2.0)
    logits = np.c_[np.ones(200), noise, -np.ones(200), signs(side), unsure]
    result = separability(codes, logits)
    assert result.degenerate == (0, 2, 4)
    np.testing.assert_array_equal(result.conditional_entropies[[0, 2, 3, 4]], 0.0)
    alone = separability(codes, noise[:, None]).score
    np.testing.assert_allclose(result.score, alone, rtol=1e-12)


def test_hyperplanes_that_did_not_converge_are_reported(monkeypatch):
    monkeypatch.setattr(module, "_MAX_ITERATIONS", 1)
    codes, side = gapped_codes(np.random.RandomState(0), 200)
    result = separability(codes, np.c_[np.ones(200), signs(side)])
    assert result.unconverged == (1,)


def test_fewer_samples_than_dimensions():
    codes = np.random.RandomState(0).randn(20, 50)
    logits = signs(np.arange(20) % 2)[:, None]
    assert separability(codes, logits, keep=20).score == 1.0


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_one_vs_rest_against_softmax(scale):
    logits = scale * np.random.RandomState(0).randn(200, 5)
    p = scipy.special.softmax(logits, axis=1)
    received = one_vs_rest_logits(logits)
    np.testing.assert_allclose(scipy.special.expit(received), p, rtol=1e-10)
    # The log-odds from rounded probabilities, where 1 - p keeps its digits.
    exact = (p > 1e-4) & (p < 1 - 1e-4)
    np.testing.assert_allclose(
        received[exact], scipy.special.logit(p[exact]), rtol=1e-8
    )


def test_one_vs_rest_of_sure_classifiers():
    received = one_vs_rest_logits(np.float32([[800.0, 0.0, -800.0]]))
    assert received.dtype == np.float64
    np.testing.assert_allclose(received, [[800.0, -800.0, -1600.0]], rtol=1e-12)
    # Two classes: the difference of the logits.
    np.testing.assert_allclose(one_vs_rest_logits([[3.0, 1.0]]), [[2.0, -2.0]])


def test_bad_input():
    codes, logits = np.random.RandomState(0).randn(2, 10, 3)
    with pytest.raises(UserError, match="received 10 and 9 rows"):
        separability(codes, logits[:9])
    for keep in (0, 11):
        with pytest.raises(UserError, match=f"number of samples, 10, received {keep}"):
            separability(codes, logits, keep)
    with pytest.raises(UserError, match="received 0"):
        separability(codes[:1], logits[:1])
    with pytest.raises(UserError, match="codes must be finite, received 1 NaN"):
        separability(np.where(codes == codes[0, 0], np.nan, codes), logits)
    with pytest.raises(UserError, match="logits must be finite"):
        separability(codes, np.where(logits == logits[0, 0], np.inf, logits))
    with pytest.raises(UserError, match="codes must be an array .* shape \\(0, 3\\)"):
        separability(codes[:0], logits)
    with pytest.raises(UserError, match="at least 2 classes"):
        one_vs_rest_logits(logits[:, :1])


def test_known_factors_of_the_procedural_faces():
    """Codes that hold the attributes separate them; a lost coin flip costs log 2."""
    random = np.random.RandomState(0)
    n = 4000
    drawn = [attributes_of(random) for _ in range(n)]
    labels = np.array([[d[name] for name in ATTRIBUTES] for d in drawn])
    rotation = scipy.stats.ortho_group.rvs(len(ATTRIBUTES), random_state=0)
    noise = random.uniform(-0.3, 0.3, labels.shape)
    factors = signs(labels) + noise
    assert separability(factors @ rotation, signs(labels), keep=n).score == 1.0
    smile = ATTRIBUTES.index("smile")
    factors[:, smile] = noise[:, smile]
    result = separability(factors @ rotation, signs(labels), keep=n)
    # Fitting the noise gains about 8 / 2n nats, here 1e-3; the bound is 5 times that.
    expected = np.where(np.arange(len(ATTRIBUTES)) == smile, np.log(2), 0)
    np.testing.assert_allclose(result.conditional_entropies, expected, atol=5e-3)

import numpy as np
import pytest
import scipy.stats

from tfp_priors.evaluation import diversity

FACTORS = {"a": slice(0, 4), "b": slice(4, 6)}


def one_hot(a, b):
    """Logits that say which value each factor has."""
    return 5.0 * np.concatenate([np.eye(4)[a], np.eye(2)[b]], axis=-1) - 2.0


def test_entropy_of_known_counts():
    values = np.array([[0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 2, 3]])
    half, quarter = np.log(2) + 1 / 8, np.log(4) + 3 / 8
    np.testing.assert_allclose(
        diversity.factor_entropies(values, 4), [0.0, half, quarter]
    )


@pytest.mark.parametrize(("levels", "m"), [(2, 20), (8, 50)])
def test_entropy_of_uniform_draws_is_nearly_unbiased(levels, m):
    """10,000 conditions: the error is the correction's own, of order 1 / m^2."""
    values = np.random.RandomState(0).randint(levels, size=(10_000, m))
    mean = diversity.factor_entropies(values, levels).mean()
    assert abs(mean - np.log(levels)) < levels / m**2


def test_covered_entropy():
    random = np.random.RandomState(0)
    a, b = random.randint(4, size=(100, 400)), random.randint(2, size=(100, 400))
    share, each = diversity.covered_entropy(one_hot(a, b), FACTORS)
    assert share.value == pytest.approx(1.0, abs=0.01)
    # A model that ignores one factor covers the other alone.
    share, each = diversity.covered_entropy(one_hot(a, 0 * b), FACTORS)
    assert each["b"] == 0.0 and each["a"] == pytest.approx(1.0, abs=0.01)
    assert share.value == pytest.approx(np.log(4) / np.log(8), abs=0.01)
    # One sample for each condition, however the conditions differ.
    share, _ = diversity.covered_entropy(one_hot(a[:, :1] + 0 * a, 0 * b), FACTORS)
    assert share == (0.0, 0.0)
    # Of one condition nothing is known of others.
    share, _ = diversity.covered_entropy(one_hot(a, b)[:1], FACTORS)
    assert share.value == pytest.approx(1.0, abs=0.01)
    assert np.isnan(share.standard_error)


def test_factor_scores():
    a, b = np.tile(np.arange(4), 100), np.zeros(400, int)
    sure = diversity.factor_scores(20 * one_hot(a, b), FACTORS)
    # All levels of one factor, a single one of the other.
    assert sure["a"] == pytest.approx(4) and sure["b"] == pytest.approx(1)
    # Probabilities 0.9 and 0.3 of the levels of two halves: 3 : 1 and 1 : 3.
    odds = np.array([[9, 3 / 7], [3 / 7, 9]])[np.arange(400) % 2]
    logits = np.concatenate([one_hot(a, b)[:, :4], np.log(odds)], axis=1)
    share = np.array([0.75, 0.25])
    divergence = (share * np.log(share / 0.5)).sum()
    received = diversity.factor_scores(logits, FACTORS)["b"]
    assert received == pytest.approx(np.exp(divergence))


def test_pair_distances():
    features = np.zeros((2, 4, 3))
    features[0, 2] = (3, 4, 0)  # With sample 0.
    features[1, 1] = features[1, 3] = (7, 7, 7)  # A pair of equal ones.
    expected = [[5.0, 0.0], [0.0, 0.0]]
    np.testing.assert_allclose(diversity.pair_distances(features), expected)


def test_pair_distances_of_images_by_another_distance():
    images = np.zeros((2, 4, 2, 2, 1), np.uint8)
    images[1, :2] = 255

    def distance(first, second):
        return np.abs(first - second.astype(float)).mean(axis=(1, 2, 3))

    received = diversity.pair_distances(images, distance, batch_size=3)
    np.testing.assert_array_equal(received, [[0.0, 0.0], [255.0, 255.0]])


def test_the_mean_of_several_conditions_is_as_sure_as_their_means():
    # Within each condition nothing varies.
    values = np.repeat([[0.0], [0.3], [0.6], [0.1]], 3, axis=1)
    estimate = diversity.mean_over_conditions(values)
    assert estimate.value == pytest.approx(0.25)
    error = scipy.stats.sem([0.0, 0.3, 0.6, 0.1])
    assert estimate.standard_error == pytest.approx(error)


def test_the_mean_of_one_condition_is_as_sure_as_its_values():
    values = np.random.RandomState(0).uniform(size=(1, 500))
    estimate = diversity.mean_over_conditions(values)
    assert abs(estimate.value - 0.5) < 4 * estimate.standard_error
    # A uniform variable has the variance 1 / 12.
    assert estimate.standard_error == pytest.approx((12 * 500) ** -0.5, rel=0.1)
    alone = diversity.mean_over_conditions(values[:, :1])
    assert alone.value == values[0, 0] and np.isnan(alone.standard_error)

"""The order of examples and their split, against what permutations are."""

import numpy as np
import pytest

from tfp_priors.core.order import held_out_rows
from tfp_priors.core.order import shuffled_indices
from tfp_priors.errors import UserError

SIZE = 12


def stream(n, batch_size=5, **kwargs):
    """The first n batches, end to end."""
    batches = shuffled_indices(SIZE, batch_size, **{"seed": 3} | kwargs).take(n)
    return np.concatenate([batch.numpy() for batch in batches])


def test_every_epoch_is_a_permutation_of_its_own():
    # Batches of 5 cross the borders of epochs of 12.
    epochs = stream(12).reshape(5, SIZE)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), [range(SIZE)] * 5)
    assert len({tuple(epoch) for epoch in epochs}) == 5
    assert tuple(stream(12, seed=4)) != tuple(stream(12))


@pytest.mark.slow
def test_orders_do_not_come_again():
    """By the lowest byte of seed and epoch alone they would, after 256."""
    batches = shuffled_indices(SIZE, 600 * SIZE, seed=0).take(1)
    epochs = next(iter(batches)).numpy().reshape(600, SIZE)
    assert len({tuple(epoch) for epoch in epochs}) == 600
    assert len({tuple(stream(5, seed=seed)) for seed in (0, 256, 2**31, 2**32)}) == 4


def test_the_order_does_not_depend_on_batches_or_the_start():
    np.testing.assert_array_equal(stream(12, batch_size=4), stream(6, batch_size=8))
    np.testing.assert_array_equal(stream(9, start_step=3), stream(12)[15:])


def test_workers_share_each_batch():
    shares = [stream(6, batch_size=6, worker=w, workers=3) for w in range(3)]
    joined = np.concatenate([share.reshape(6, 2) for share in shares], axis=1)
    np.testing.assert_array_equal(joined.ravel(), stream(6, batch_size=6))


@pytest.mark.slow
def test_an_example_comes_at_all_places_as_often():
    """Over 1,200 permutations of 12, by a chi-squared statistic."""
    batches = shuffled_indices(SIZE, 1200 * SIZE, seed=0).take(1)
    epochs = next(iter(batches)).numpy().reshape(1200, SIZE)
    counts = np.stack([np.bincount(place, minlength=SIZE) for place in epochs.T])
    # Of 11 * 11 degrees of freedom: mean 121, deviation 15.6.
    assert np.sum((counts - 100) ** 2 / 100) < 121 + 4 * 15.6


@pytest.mark.parametrize(
    "given, message",
    [
        ({"batch_size": 0}, "batch_size must be at least 1, received 0"),
        ({"worker": 2, "workers": 2}, "less than workers = 2, received 2"),
        ({"workers": 2}, "batch_size = 5 does not divide by the 2 workers"),
    ],
)
def test_shares_that_are_none(given, message):
    with pytest.raises(UserError, match=message):
        stream(1, **given)


@pytest.mark.parametrize("share, held", [(0.1, 2), (0.5, 10), (0.001, 1), (0.999, 19)])
def test_held_out_rows_are_a_share(share, held):
    learned, held_out = held_out_rows(20, share, seed=1)
    assert len(held_out) == held
    np.testing.assert_array_equal(np.sort([*learned, *held_out]), np.arange(20))
    assert (np.diff(learned) > 0).all() and (np.diff(held_out) > 0).all()

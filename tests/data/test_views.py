import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.data import Views
from tfp_priors.data.views import PERIOD
from tfp_priors.errors import UserError


def images(n=6, size=7):
    return np.random.RandomState(0).rand(n, size, size, 2).astype(np.float32)


def test_mirrored_copies():
    views = Views(copies=2, mirrored=True)
    x = images()
    np.testing.assert_array_equal(views(x, 0), x[:, :, ::-1])
    np.testing.assert_array_equal(views(x, 1), x)


def test_shifts_reflect_at_the_border():
    """Each view is one of the 25 windows of the padded image."""
    x = images(n=400)
    view = Views(shift=2, seed=1)(tf.constant(x), 0).numpy()
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="symmetric")
    found = set()
    for image, wide in zip(view, padded, strict=True):
        windows = {
            (i, j): wide[i : i + 7, j : j + 7] for i in range(5) for j in range(5)
        }
        (place,) = [p for p, w in windows.items() if np.array_equal(w, image)]
        found.add(place)
    assert len(found) == 25


def test_views_are_functions_of_seed_and_copy():
    x = images()
    first = Views(2, shift=2)(x, 0)
    np.testing.assert_array_equal(first, Views(2, shift=2)(x, 0))
    assert np.abs(first - Views(2, shift=2)(x, 1)).max() > 0
    assert np.abs(first - Views(2, shift=2, seed=5)(x, 0)).max() > 0


def test_views_do_not_depend_on_how_many_devices_share_a_batch():
    x = images(n=2 * PERIOD + 3)
    views = Views(shift=2)
    parts = [views(x[i : i + PERIOD], 0) for i in range(0, len(x), PERIOD)]
    np.testing.assert_array_equal(views(x, 0), np.concatenate(parts))


@pytest.mark.parametrize("kwargs", [{"copies": 0, "shift": 1}, {"shift": -1}, {}])
def test_bad_views(kwargs):
    with pytest.raises(UserError, match="Views expects copies >= 1"):
        Views(**kwargs)

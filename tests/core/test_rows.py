"""Rows that are read when they are asked for."""

import warnings

import h5py
import numpy as np
import pytest

from tfp_priors.core.rows import Rows
from tfp_priors.core.rows import checked_context
from tfp_priors.core.rows import checked_rows
from tfp_priors.core.rows import some_rows
from tfp_priors.core.rows import warn_of_few
from tfp_priors.core.rows import warn_of_idle
from tfp_priors.errors import UserError

WHOLE = np.arange(24.0).reshape(6, 2, 2)


def test_rows_are_vectors_of_what_they_are_rows_of():
    rows = Rows(WHOLE, np.array([5, 0, 3]))
    assert rows.shape == (3, 4) and len(rows) == 3
    np.testing.assert_array_equal(rows[:], WHOLE.reshape(6, 4)[[5, 0, 3]])
    np.testing.assert_array_equal(rows[np.array([2])], WHOLE.reshape(6, 4)[[3]])
    assert rows[:].dtype == np.float32


def test_rows_of_rows():
    part = some_rows(Rows(WHOLE, np.array([5, 0, 3])), np.array([1, 2]))
    np.testing.assert_array_equal(part[:], WHOLE.reshape(6, 4)[[0, 3]])


def test_the_row_that_is_not_finite_is_named(monkeypatch):
    monkeypatch.setattr("tfp_priors.core.rows._AT_ONCE", 2 * 4)
    values = WHOLE.copy()
    values[4, 1, 0] = np.inf
    with pytest.raises(UserError, match="received inf in row 4"):
        checked_rows("codes", values)
    values[4, 1, 0] = -1e300  # Infinite in float32, which `Rows` have.
    with pytest.raises(UserError, match="received -1e.300 in row 4"):
        checked_rows("codes", values)
    values[4, 1, 0] = 9e17
    assert checked_rows("codes", values)[1] == (2, 2)


def test_fewer_codes_than_numbers_are_told():
    with pytest.warns(UserWarning, match="5 codes of 6 dimensions tell"):
        warn_of_few(5, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_few(6, 6)


def test_labels_become_one_hot_vectors():
    labels = np.array([2, 0, 2])
    np.testing.assert_array_equal(checked_context(labels, None, 3), np.eye(3)[labels])
    np.testing.assert_array_equal(checked_context(labels, 4, 3), np.eye(4)[labels])
    column = checked_context(labels[:, None], 4, 3)
    np.testing.assert_array_equal(column, np.eye(4)[labels])
    with pytest.raises(UserError, match="labels below 65,536, .* received 1,000,000"):
        checked_context(np.array([0, 10**6]), None, 2)


def test_labels_that_are_years_are_told():
    years = checked_context(np.arange(1990, 2020), None, 30)
    with pytest.warns(
        UserWarning, match="1990 of the 2020 numbers of a context are al"
    ):
        warn_of_idle(years)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_idle(checked_context(np.array([0, 2]), None, 2))


def test_a_file_is_read_in_its_order(tmp_path):
    """As h5py demands."""
    with h5py.File(tmp_path / "codes.h5", "w") as file:
        rows = Rows(file.create_dataset("codes", data=WHOLE))
        chosen = np.array([5, 0, 3, 5])
        np.testing.assert_array_equal(rows[chosen], WHOLE.reshape(6, 4)[chosen])
        part = some_rows(rows, np.array([4, 1]))
        np.testing.assert_array_equal(part[:], WHOLE.reshape(6, 4)[[4, 1]])


def test_numbers_that_float32_rounds_away_are_told():
    seconds = 1.7e9 + 10.0 * np.random.RandomState(0).randn(50, 2)
    with pytest.warns(UserWarning, match="in column 0, .* Subtract the mean"):
        checked_rows("codes", seconds)
    # So are neither constants nor moderate means.
    fine = np.hstack([np.full([50, 1], 0.1), seconds - 1.7e9, np.full([50, 1], 1e9)])
    checked_rows("codes", fine)


def test_a_context_of_no_rows():
    assert checked_context(np.zeros(0, int), 3, 0).shape == (0, 3)

import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.training import LinearAnnealing


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 0.0), (25, 1.0), (50, 2.0), (10**9, 2.0)]
)
def test_linear_annealing(step, expected):
    assert LinearAnnealing(2.0, 50)(tf.constant(step, tf.int64)) == expected


@pytest.mark.parametrize("kwargs", [{"steps": 0}, {"value": -1}, {"value": 1e999}])
def test_bad_arguments(kwargs):
    with pytest.raises(UserError, match="LinearAnnealing expects"):
        LinearAnnealing(**kwargs)

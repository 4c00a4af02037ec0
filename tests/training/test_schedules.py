import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.training import CyclicalAnnealing
from tfp_priors.training import LinearAnnealing
from tfp_priors.training import share

LINEAR = LinearAnnealing(2.0, 50)
LATE = LinearAnnealing(1.0, 100, start=100, initial=0.1)
CYCLES = CyclicalAnnealing(2.0, period=100, rise=0.4, cycles=2)


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (LINEAR, {0: 0.0, 25: 1.0, 50: 2.0, 10**9: 2.0}),
        (LATE, {0: 0.1, 100: 0.1, 150: 0.55, 200: 1.0, 999: 1.0}),
        (CYCLES, {0: 0.0, 20: 1.0, 40: 2.0, 99: 2.0, 100: 0.0, 120: 1.0, 200: 2.0}),
    ],
    ids=["linear", "late", "cycles"],
)
def test_annealing(schedule, values):
    received = {step: float(schedule(tf.constant(step, tf.int64))) for step in values}
    assert received == pytest.approx(values, rel=1e-6)


@pytest.mark.parametrize(
    "kwargs",
    [{"steps": 0}, {"value": -1}, {"value": 1e999}, {"start": -1}, {"initial": 2.0}],
)
def test_bad_arguments(kwargs):
    (name,) = kwargs
    with pytest.raises(UserError, match=rf"LinearAnnealing\.{name} must be"):
        LinearAnnealing(**kwargs)


@pytest.mark.parametrize(
    "kwargs", [{"period": 0}, {"period": 2.5}, {"rise": 0.0}, {"cycles": 0}]
)
def test_bad_cycles(kwargs):
    (name,) = kwargs
    with pytest.raises(UserError, match=rf"CyclicalAnnealing\.{name} must be"):
        CyclicalAnnealing(**kwargs)


@pytest.mark.parametrize(
    "part, of, steps", [(0.5, 100, 50), (1.0, 7, 7), (0.25, 10, 2), (1e-3, 10, 1)]
)
def test_share(part, of, steps):
    assert share(part, of) == steps
    assert share(part, of, most=steps + 1) == steps
    assert share(part, of, most=1) == 1
    assert share(part, of, least=9) == max(9, steps)


@pytest.mark.parametrize("part", [0.0, -0.5, 1.1, float("nan")])
def test_a_share_is_above_0_and_at_most_1(part):
    with pytest.raises(UserError, match="share.most must be at least 1, received 0"):
        share(0.5, 10, most=0)
    with pytest.raises(UserError, match="share.least must be at least 1, received 0"):
        share(0.5, 10, least=0)
    with pytest.raises(UserError, match=r"share.part must be a number in \(0, 1\]"):
        share(part, 10)

"""Runs a test for many random inputs."""

import contextlib
import signal

import hypothesis
import pytest

#: Of all fuzz tests, so that a case that fails can be run again.
SEED = 1

_SECONDS = 60


def few_or_many(few, many):
    """Runs a test with so many cases by default, and with so many if slow."""
    return pytest.mark.parametrize(
        "cases", [few, pytest.param(many, marks=pytest.mark.slow)]
    )


def run(case, inputs, cases):
    """Runs a case for so many inputs of a strategy.

    Returns:
      The number of inputs: there may not be so many.

    Raises:
      AssertionError: or whatever else a case raises; hypothesis tells the input.
    """
    count = 0

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=cases,
        # `_in_time` has the limit: machines that run tests are busy at times.
        deadline=None,
        database=None,
        # Shrinking a case would run it for minutes.
        phases=[hypothesis.Phase.generate],
        print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(inputs)
    def each(value):
        nonlocal count
        count += 1
        with _in_time():
            case(value)

    print(f"hypothesis, seed {SEED}, {cases} cases")
    each()
    return count


class Hang(Exception):
    """A case has not come to an end."""


@contextlib.contextmanager
def _in_time():
    def hang(*_):
        raise Hang(f"no end after {_SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)

import pytest

from tfp_priors.training import callbacks


@pytest.fixture
def lines(monkeypatch, capsys):
    """A function of the times and numbers of steps that gives the lines they make."""

    def of(*seconds_of_steps, steps=1000):
        clock = iter(seconds for seconds, _ in seconds_of_steps)
        monkeypatch.setattr(callbacks.time, "monotonic", lambda: next(clock))
        progress = callbacks.Progress(steps, batch_size=10, print_every=10)
        for _, step in seconds_of_steps:
            progress.on_step(step, {"loss": 1.5, "loss_gradient_norm": 3.0})
        return capsys.readouterr().err.splitlines()

    return of


def test_a_line_has_rate_time_left_and_terms(lines):
    # 9 steps in 18 seconds, and 990 more at 2 seconds each; no rate before.
    assert lines((5.0, 1), (23.0, 10)) == [
        "step 10/1000  5.0 images/s  0:33:00 left  loss 1.5"
    ]
    assert lines((5.0, 10)) == ["step 10/1000  loss 1.5"]


def test_a_pause_is_forgotten_after_a_minute(lines):
    slept = [(0.0, 1), (19.0, 20), (3619.0, 30), (3649.0, 60), (3679.0, 90)]
    assert "  0.2 images/s" in lines(*slept)[-1]
    # 70 steps in the 70 seconds since the pause.
    assert "10 images/s  0:15:00 left" in lines(*slept, (3689.0, 100))[-1]


def test_lines_that_are_farther_apart_than_a_minute_have_a_rate(lines):
    far = [(0.0, 1), (100.0, 10), (200.0, 20), (400.0, 30)]
    assert "step 20/1000  1.0 images/s  2:43:20 left" in lines(*far)[1]
    assert "step 30/1000  0.5 images/s  5:23:20 left" in lines(*far)[-1]

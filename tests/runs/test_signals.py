import os
import signal

import pytest

from tfp_priors.runs.signals import stop_handled


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_calls_the_handler_within_the_block_only(number):
    before, calls = signal.getsignal(number), []
    with pytest.raises(RuntimeError), stop_handled(lambda: calls.append(number)):
        os.kill(os.getpid(), number)
        assert calls == [number]
        raise RuntimeError
    assert signal.getsignal(number) is before

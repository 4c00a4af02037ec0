"""What a process does when it is told to stop."""

import contextlib
import signal
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def stop_handled(handler: Callable[[], None]) -> Iterator[None]:
    """Within it, SIGTERM and SIGINT call the handler instead of ending the process."""
    signals = (signal.SIGTERM, signal.SIGINT)
    previous = {
        number: signal.signal(number, lambda *_: handler()) for number in signals
    }
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)

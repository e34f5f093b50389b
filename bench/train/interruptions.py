"""What ends a training before its last epoch: somebody's request, or a limit of its time."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(BaseException):
    """Somebody asked the process to end: SIGTERM, or a time limit of the machine."""


@contextmanager
def stop_requests() -> Iterator[list]:
    """Within: SIGTERM fills the list, which training looks at after each batch."""
    stop: list = []
    before = signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Within: what takes longer than `seconds` ends with a TimeoutError."""

    def on_alarm(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

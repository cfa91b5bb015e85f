"""Stops programs cleanly by a signal."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

STOPS: Final = (signal.SIGINT, signal.SIGTERM)
_LOOK_S: Final = 0.05


class Stop:
    """A flag that a signal handler may set while the main thread waits for it.

    `threading.Event` is not that: its `set` takes the lock that the interrupted `wait` may be holding, and then the
    main thread waits for itself. Here nothing is locked, and `wait` looks again every 50 ms.
    """

    def __init__(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        """Return True if a signal asked to stop."""
        return self._is_set

    def set(self) -> None:
        """Ask to stop; safe in a signal handler."""
        self._is_set = True

    def wait(self, seconds: float = float("inf")) -> bool:
        """Wait so many seconds, or less if asked to stop; return True if asked to stop."""
        until = time.monotonic() + seconds
        while not self._is_set and (left_s := until - time.monotonic()) > 0:
            time.sleep(min(left_s, _LOOK_S))
        return self._is_set


@contextmanager
def stopping(signals: Sequence[signal.Signals] = STOPS, *, insist: bool = False) -> Iterator[Stop]:
    """Yield a Stop that the first of these signals sets, from the start of the context.

    Args:
        signals: what to listen to.
        insist: a second signal raises KeyboardInterrupt; otherwise it changes nothing.
    """
    stop = Stop()

    def end(_number: int, _frame: FrameType | None) -> None:
        if insist and stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, end) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Time as an argument, and the deadline of one call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

OVERSLEEP_S: Final = 0.25  # how much longer than requested a wait may take on a busy machine


class Clock(Protocol):
    """A clock, passed as an argument."""

    def now(self) -> float:
        """Return epoch seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never jump; they may stop while the machine is suspended."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The system clock; see `Clock`."""

    def now(self) -> float:
        """Return epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        if seconds > 0:
            time.sleep(seconds)


class Deadline:
    """The deadline of one call, and the time that Freshdesk took.

    It goes by both clocks, and the one that is further on counts: the monotonic clock of a suspended machine may stand
    still, and a wall clock that is set back must not lengthen a call.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._began_at = clock.monotonic()
        self._began_at_wall = clock.now()
        self._seconds = seconds
        self.freshdesk_s = 0.0

    @property
    def left_s(self) -> float:
        """Seconds left; negative when the time is over."""
        return self._seconds - self.spent_s

    @property
    def spent_s(self) -> float:
        """Seconds gone."""
        return max(self._clock.monotonic() - self._began_at, self._clock.now() - self._began_at_wall)

    def pause(self, seconds: float, *, keep: float) -> bool:
        """Wait if keep seconds are left afterwards; return whether they are, as the machine may have been suspended."""
        if self.left_s - seconds < keep:
            return False
        self._clock.sleep(seconds)
        return self.left_s > keep - OVERSLEEP_S

    @contextmanager
    def at_freshdesk(self) -> Iterator[None]:
        """Count the time inside as Freshdesk's."""
        began_at = self._clock.monotonic()
        try:
            yield
        finally:
            self.freshdesk_s += self._clock.monotonic() - began_at

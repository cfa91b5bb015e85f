"""Virtual time: many calls overlap on one clock, and only the seed decides in which order they go on."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from greenlet import getcurrent, greenlet

EPOCH: Final = 1_767_225_600.0  # 2026-01-01, so that dates look like dates


class Killed(BaseException):
    """The process died here: no `except Exception` may see it."""


class Scheduler:
    """A `deadline.Clock` whose `sleep` lets the other calls run. Nothing here waits for real."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self._waiting: list[tuple[float, int, Callable[[], Any]]] = []
        self._order = count()
        self._hub = getcurrent()

    def now(self) -> float:
        """Return epoch seconds."""
        return EPOCH + self.elapsed_s

    def monotonic(self) -> float:
        """Return the seconds since the history began."""
        return self.elapsed_s

    def sleep(self, seconds: float) -> None:
        """Let the others run for that long."""
        if seconds > 0:
            self.after(seconds, getcurrent().switch)
            self._hub.switch()

    def after(self, seconds: float, call: Callable[[], Any]) -> None:
        """Run call in so many seconds; it must not sleep."""
        heapq.heappush(self._waiting, (self.elapsed_s + seconds, next(self._order), call))

    def start(self, call: Callable[[], Any], *, after: float = 0.0) -> None:
        """Begin a call that may sleep."""
        self.after(after, greenlet(call).switch)

    def run(self, until: float) -> None:
        """Run what there is, up to that many seconds after the beginning."""
        while self._waiting and self._waiting[0][0] <= until:
            self.elapsed_s, _, call = heapq.heappop(self._waiting)
            call()
        self.elapsed_s = max(self.elapsed_s, until)


class ProcessClock:
    """The clock of one process. In a pause its machine may be suspended: then only the wall clock goes on.

    `suspended_s` is asked at each pause for how long; `on_suspended` is called in each call that this holds up.
    """

    def __init__(self, clock: Scheduler, suspended_s: Callable[[], float], on_suspended: Callable[[], None]) -> None:
        self._clock = clock
        self._suspended_s = suspended_s
        self._on_suspended = on_suspended
        self._missed_s = 0.0
        self._stood_at = 0.0
        self._until = 0.0

    @property
    def is_suspended(self) -> bool:
        """Return True if the machine is suspended now."""
        return self._clock.elapsed_s < self._until

    def now(self) -> float:
        """Return epoch seconds."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Return the seconds for which the machine ran."""
        return self._stood_at if self.is_suspended else self._clock.elapsed_s - self._missed_s

    def sleep(self, seconds: float) -> None:
        """Wait, and until the machine runs again."""
        suspended_s = self._suspended_s()
        if suspended_s > 0 and not self.is_suspended:
            self._stood_at = self.monotonic()
            self._until = self._clock.elapsed_s + suspended_s
            self._missed_s += suspended_s
        if self._clock.elapsed_s + seconds < self._until:
            self._on_suspended()
        self._clock.sleep(max(seconds, self._until - self._clock.elapsed_s))

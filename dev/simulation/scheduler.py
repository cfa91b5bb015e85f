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
    """A `desk.Clock` whose `sleep` lets the other calls run. Nothing here waits for real."""

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

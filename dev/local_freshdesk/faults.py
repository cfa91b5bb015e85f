"""The fault that the next API requests meet; the pages call it the weather. Deterministic, safe from many threads."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any, Final

from dev.local_freshdesk.limits import too_many_requests
from dev.local_freshdesk.wire import Answer, ApiRequest, problem

NAMES: Final = ("healthy", "slow", "rate-limited", "broken", "html-502", "down", "answer-lost", "late-write")
ONLY: Final = ("create", "note", "all")
_USUAL_S: Final = {"slow": 3.0, "rate-limited": 5.0, "late-write": 8.0}
_MAX_S: Final = 3600.0
_BAD_GATEWAY: Final = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


class UnknownFaultError(ValueError):
    """There is no such fault, or one of its numbers is out of range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How the API behaves.

    `seconds` is the delay of slow, answer-lost and the error answers, the Retry-After of rate-limited, and how much
    later late-write writes. `times` is how many requests meet it (None: until it is changed), `only` which: those
    that create tickets, those that add notes, or all.
    """

    name: str = "healthy"
    seconds: float = 0.0
    times: int | None = None
    only: str = "all"

    @classmethod
    def read(cls, name: Any, *, seconds: Any = None, times: Any = None, only: Any = "all") -> Fault:
        """Return the fault these values describe; raises UnknownFaultError."""
        if name not in NAMES:
            raise UnknownFaultError(f"weather must be one of {', '.join(NAMES)}")
        if only not in ONLY:
            raise UnknownFaultError(f"only must be one of {', '.join(ONLY)}")
        if seconds is None:
            seconds = _USUAL_S.get(name, 0.0)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _MAX_S:
            raise UnknownFaultError(f"seconds must be a number between 0 and {_MAX_S:.0f}")
        if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
            raise UnknownFaultError("times must be a whole number of at least 1, or null")
        return cls(name=name, seconds=float(seconds), times=times, only=only)

    def answer(self) -> Answer | None:
        """Return what is answered in place of the API, or None where the API answers itself."""
        if self.name == "rate-limited":
            return too_many_requests(self.seconds)
        if self.name == "broken":
            # As arjunkomath/node-freshdesk-api issue 147 quotes it.
            return problem(500, "internal_error", "We're sorry, but something went wrong.")
        if self.name == "html-502":
            return Answer(502, _BAD_GATEWAY, (("Content-Type", "text/html; charset=UTF-8"),))
        return None


class Faults:
    """Holds the fault of one stand-in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fault = Fault()

    @property
    def now(self) -> Fault:
        """The fault as it is, nothing used up."""
        return self._fault

    def change(self, fault: Fault) -> Fault:
        """Begin with this fault now, and return it."""
        with self._lock:
            self._fault = fault
        return fault

    def meet(self, request: ApiRequest) -> Fault:
        """Return the fault that one API request meets; uses up one of `times`."""
        with self._lock:
            fault = self._fault
            if not {"create": request.creates, "note": request.adds_note}.get(fault.only, True):
                return Fault()
            if fault.times is not None:
                self._fault = replace(fault, times=fault.times - 1) if fault.times > 1 else Fault()
            return fault

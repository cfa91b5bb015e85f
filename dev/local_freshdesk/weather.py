"""The weather: which fault the next API requests meet. Deterministic, safe to use from many threads."""

from __future__ import annotations

import math
import threading
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, get_args

Name = Literal["healthy", "slow", "rate-limited", "broken", "html-502", "down", "answer-lost", "late-write"]
Only = Literal["create", "all"]
Body = Literal["empty", "json"]

NAMES: Final[tuple[str, ...]] = get_args(Name)
USUAL_SECONDS: Final = {"slow": 3.0, "rate-limited": 5.0, "late-write": 8.0}
MAX_SECONDS: Final = 3600.0


class UnknownWeatherError(ValueError):
    """The weather asked for does not exist, or one of its numbers makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """One weather.

    `seconds` is the delay of slow, answer-lost and the plain faults, the Retry-After of rate-limited, and how
    late late-write writes. `times` is how many requests meet it (None: until it is changed). `only` says
    which: new tickets, or every API request. `body` is that of a 429.
    """

    name: str = "healthy"
    seconds: float = 0.0
    times: int | None = None
    only: str = "all"
    body: str = "json"

    @classmethod
    def of(
        cls,
        name: Any,
        *,
        times: Any = None,
        seconds: Any = None,
        only: Any = "all",
        body: Any = "json",
    ) -> Weather:
        """A checked weather; raises UnknownWeatherError."""
        _one_of("weather", name, NAMES)
        _one_of("only", only, get_args(Only))
        _one_of("body", body, get_args(Body))
        wait = USUAL_SECONDS.get(name, 0.0) if seconds is None else seconds
        return cls(name=name, seconds=_seconds(wait), times=_times(times), only=only, body=body)

    def as_dict(self) -> dict[str, Any]:
        """The weather as `GET /weather` tells it."""
        told = asdict(self)
        return {"weather": told.pop("name"), **told}


class Sky:
    """Holds the weather of one stand-in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._weather = Weather()

    def change(self, weather: Weather) -> Weather:
        """Let this weather begin now."""
        with self._lock:
            self._weather = weather
        return weather

    def now(self) -> Weather:
        """The weather at this moment."""
        with self._lock:
            return self._weather

    def meet(self, *, creates: bool) -> Weather:
        """The weather that one API request meets; uses up one of `times`."""
        with self._lock:
            weather = self._weather
            if weather.only == "create" and not creates:
                return Weather()
            if weather.times is not None:
                left = weather.times - 1
                self._weather = replace(weather, times=left) if left > 0 else Weather()
            return weather


def _one_of(field: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UnknownWeatherError(f"{field} must be one of {', '.join(allowed)}")


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UnknownWeatherError("seconds must be a number")
    if not 0 <= value <= MAX_SECONDS:
        raise UnknownWeatherError(f"seconds must be between 0 and {MAX_SECONDS:.0f}")
    return float(value)


def _times(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UnknownWeatherError("times must be a whole number of at least 1, or null")
    return value

"""Pure: spans of time as people write and read them."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

UNITS_S: Final = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86_400})
_SPAN: Final = re.compile(r"([0-9]{1,7})([smhd])")
_SHOWN: Final = (("d", "h", 86_400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1))


def read_span(text: str) -> float:
    """Return the seconds in text.

    Raises:
        argparse.ArgumentTypeError: it names none.

    >>> read_span("30m"), read_span("2d")
    (1800.0, 172800.0)
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no span of time: write 45s, 30m, 12h or 3d")
    return float(int(found[1]) * UNITS_S[found[2]])


def span(seconds: float) -> str:
    """Return seconds in their two largest units.

    >>> span(7.4), span(125), span(7500), span(100_000)
    ('7 s', '2 min 5 s', '2 h 5 min', '1 d 3 h')
    """
    whole = max(round(seconds), 0)
    for large, small, large_s, small_s in _SHOWN:
        if whole >= large_s:
            rest = whole % large_s // small_s
            return f"{whole // large_s} {large}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def moment(epoch_s: float | None) -> str | None:
    """Return an epoch second as ISO 8601 in UTC; None stays None.

    >>> moment(0.0)
    '1970-01-01T00:00:00Z'
    """
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

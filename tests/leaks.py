"""Looks for canaries (see `tests/factories.py`) in log lines, answers and tracebacks."""

from __future__ import annotations

import json
import logging
from urllib.parse import quote, quote_plus

from handoff.log import JSONLines
from tests.factories import CANARIES


def canaries_in(text: str) -> list[str]:
    """Return the canaries that text holds, as they are or as JSON or an address writes them."""
    return [canary for canary in CANARIES if any(form in text for form in _forms(canary))]


def _forms(canary: str) -> tuple[str, ...]:
    return canary, json.dumps(canary)[1:-1], quote(canary), quote_plus(canary)


class LeakDetector(logging.Handler):
    """Notes every record that, formatted with its traceback, holds a canary. Counts them all."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Look through one record."""
        self.lines += 1
        traceback = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        told = JSONLines().format(record) + traceback
        self.found += [f"{canary!r} in {record.name}: {record.msg}" for canary in canaries_in(told)]


LEAKS = LeakDetector()  # listens through the whole session; see `tests/conftest.py`

"""Find canaries (see `tests/factories.py`) in log lines, answers and tracebacks."""

from __future__ import annotations

import json
import logging
from urllib.parse import quote, quote_plus

from handoff.log import JSONLines
from tests.factories import CANARIES


def canaries_in(text: str) -> list[str]:
    """Return the canaries in text, either plain or as JSON or a URL encodes them."""
    return [canary for canary in CANARIES if any(form in text for form in _forms(canary))]


def _forms(canary: str) -> tuple[str, ...]:
    return canary, json.dumps(canary)[1:-1], quote(canary), quote_plus(canary)


class LeakDetector(logging.Handler):
    """Records every log record that, formatted with its traceback, contains a canary; counts all records."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Check one record."""
        self.lines += 1
        traceback = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        line = JSONLines().format(record) + traceback
        self.found += [f"{canary!r} in {record.name}: {record.msg}" for canary in canaries_in(line)]


LEAKS = LeakDetector()  # checks the whole session; see `tests/conftest.py`

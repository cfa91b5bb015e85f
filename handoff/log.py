"""The log: one JSON object in each line."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from handoff.deadline import Deadline
from handoff.ledger import Entry

logger: Final = logging.getLogger("handoff.delivery")

# The attributes of every record; any other came by extra=.
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}

_ROOT: Final = f"{Path(__file__).parent.parent}/"
_OURS: Final = tuple(f"{_ROOT}{name}" for name in ("handoff/", "operate/", "main.py", "freshdesk_client.py"))
_ENCODE: Final = json.JSONEncoder(ensure_ascii=True, default=str).encode


class JSONLines(logging.Formatter):
    """Formats a record as one line of JSON: time, level, logger, event, and the fields given by `extra=`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; control characters in a value cannot break it."""
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _OWN},
        }
        return _ENCODE(line)


def log_as_json(*, platform_formats: bool) -> None:
    """Send the records of the `handoff` loggers to standard error as JSON lines; urllib3 logs nothing.

    Args:
        platform_formats: AWS Lambda with `logFormat: JSON` does it itself; then the records only go up to its handler.
    """
    # A header that urllib3 cannot read is a warning that contains the URL of the call, and so a person's address.
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    logger = logging.getLogger("handoff")
    logger.setLevel(logging.INFO)
    if platform_formats or logger.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONLines())
    logger.addHandler(handler)
    logger.propagate = False


def log_entry(entry: Entry, outcome: str, deadline: Deadline) -> None:
    """Log the result of a handoff, without any text or address of the person."""
    level = logging.WARNING if entry.dropped else logging.INFO
    logger.log(
        level,
        "handoff",
        extra={
            "reference": entry.reference,
            "bot": entry.bot,
            "category": entry.category or "sin-categoria",
            "group": entry.group,
            "outcome": str(outcome),
            "state": str(entry.state),
            "attempts": entry.attempts,
            "cause": str(entry.cause),
            "error": entry.error,
            "freshdesk_ms": round(deadline.freshdesk_s * 1000, 1),
            "total_ms": round(deadline.spent_s * 1000, 1),
        },
    )


def place_of(error: BaseException) -> str:
    """Return the place of an error in this project: file, line and function of the innermost frame of ours.

    "" where no frame is ours. It never holds a value, so it may stand in the log, where a traceback may not.
    """
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if file.startswith(_OURS):
            place = f"{file.removeprefix(_ROOT)}:{line} {frame.f_code.co_name}"
    return place

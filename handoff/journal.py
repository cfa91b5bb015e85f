"""The line a handoff leaves in the log."""

from __future__ import annotations

import logging
from typing import Final

from handoff.deadline import Turn
from handoff.ledger import Entry

logger: Final = logging.getLogger("handoff.delivery")


def log_entry(entry: Entry, outcome: str, turn: Turn) -> None:
    """Write what became of a handoff: nothing the person wrote, nothing that names them."""
    level = logging.WARNING if entry.error.startswith("without: ") else logging.INFO
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
            "error": entry.error,
            "freshdesk_ms": round(turn.freshdesk_s * 1000, 1),
            "total_ms": round(turn.spent_s * 1000, 1),
        },
    )

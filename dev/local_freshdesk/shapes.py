"""How the API tells what the store holds: tickets, list rows, contacts, notes, replies. Pure.

Key order as on an account of August 2026 (recorded create, list and get calls of NangoHQ/integration-templates).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from dev.local_freshdesk.store import Row

# due_by is null in the 201 and filled about a second later, which moves updated_at too.
SLA_DELAY_S: Final = 1.0
_RESOLVE_HOURS: Final = {1: 72, 2: 48, 3: 24, 4: 4}
_RESPOND_HOURS: Final = {1: 24, 2: 12, 3: 4, 4: 1}
FORM_ID: Final = 1070000000501
TICKET_KEYS: Final = (
    *("cc_emails", "fwd_emails", "reply_cc_emails", "ticket_cc_emails", "ticket_bcc_emails", "fr_escalated", "spam"),
    *("email_config_id", "group_id", "priority", "requester_id", "responder_id", "source", "company_id", "status"),
    *("subject", "support_email", "to_emails", "product_id", "id", "type", "due_by", "fr_due_by", "is_escalated"),
    *("description", "description_text", "custom_fields", "created_at", "updated_at", "tags", "attachments"),
    *("source_info", "structured_description", "form_id", "nr_due_by", "nr_escalated"),
)
# What a desk without these features tells of every ticket.
_UNUSED: Final = {
    "fwd_emails": [],
    "ticket_bcc_emails": [],
    "fr_escalated": False,
    "support_email": None,
    "to_emails": None,
    "is_escalated": False,
    "source_info": None,
    "structured_description": None,
    "form_id": FORM_ID,
    "nr_due_by": None,
    "nr_escalated": False,
}

# updated_at as the clock of `?` (now) sees it, in SQL: one place for the list's filter and its order.
UPDATED_AT_SQL: Final = (
    f"CASE WHEN due_by IS NULL AND created_at + {SLA_DELAY_S} <= ? "
    f"THEN max(updated_at, created_at + {SLA_DELAY_S}) ELSE updated_at END"
)


def timestamp(epoch_s: float) -> str:
    """Seconds since 1970 as the API writes them.

    >>> timestamp(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(int(epoch_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _due(row: Row, now: float) -> tuple[str | None, str | None, float]:
    """When the ticket is due, its first answer is due, and when it was last updated."""
    if row["due_by"] is not None:
        return row["due_by"], row["fr_due_by"], row["updated_at"]
    filled_at = row["created_at"] + SLA_DELAY_S
    if now < filled_at:
        return None, row["fr_due_by"], row["updated_at"]
    born = datetime.fromtimestamp(int(row["created_at"]), UTC)
    due_by = born + timedelta(hours=_RESOLVE_HOURS[row["priority"]])
    fr_due_by = born + timedelta(hours=_RESPOND_HOURS[row["priority"]])
    shown = row["fr_due_by"] or timestamp(fr_due_by.timestamp())
    return timestamp(due_by.timestamp()), shown, max(row["updated_at"], filled_at)


def ticket(row: Row, now: float, attachments: list[Row]) -> dict[str, Any]:
    """The keys of a created ticket, in their order."""
    due_by, fr_due_by, updated_at = _due(row, now)
    cc_emails = row["cc_emails"]
    values = {
        **_UNUSED,
        **row,
        "spam": bool(row["spam"]),
        "reply_cc_emails": cc_emails,
        "ticket_cc_emails": cc_emails,
        "due_by": due_by,
        "fr_due_by": fr_due_by,
        "created_at": timestamp(row["created_at"]),
        "updated_at": timestamp(updated_at),
        "attachments": [attachment(item) for item in attachments],
    }
    told = {name: values[name] for name in TICKET_KEYS}
    return {**told, "deleted": True} if row["deleted"] else told


def ticket_in_full(row: Row, now: float, attachments: list[Row]) -> dict[str, Any]:
    """A ticket as GET one tells it: what the created one had, and four keys more."""
    extra = {"association_type": None, "source_additional_info": None}
    moods = {"sentiment_score": None, "initial_sentiment_score": None}
    return {**ticket(row, now, attachments), **extra, **moods}


def list_row(row: Row, now: float) -> dict[str, Any]:
    """A ticket as the list and the search tell it: no description, no attachments."""
    told = ticket(row, now, [])
    for name in ("description", "description_text", "attachments"):
        del told[name]
    extra = {"association_type": None, "associated_tickets_count": None}
    return {**told, **extra, "sentiment_score": None, "initial_sentiment_score": None}


def stats(row: Row, now: float) -> dict[str, Any]:
    """What `include=stats` adds."""
    _, _, updated_at = _due(row, now)
    resolved = timestamp(row["updated_at"]) if row["status"] in {4, 5} else None
    return {
        "agent_responded_at": None,
        "requester_responded_at": None,
        "first_responded_at": None,
        "status_updated_at": timestamp(updated_at),
        "reopened_at": None,
        "resolved_at": resolved,
        "closed_at": timestamp(row["updated_at"]) if row["status"] == 5 else None,  # noqa: PLR2004 - 5 is Closed
        "pending_since": None,
    }


def requester(row: Row) -> dict[str, Any]:
    """What `include=requester` adds."""
    return {name: row[name] for name in ("id", "name", "email", "mobile", "phone")}


def contact(row: Row) -> dict[str, Any]:
    """A contact as /contacts tells it."""
    return {
        "active": False,
        "address": None,
        "company_id": None,
        "view_all_tickets": False,
        "deleted": False,
        "description": None,
        "email": row["email"],
        "id": row["id"],
        "job_title": None,
        "language": "es-LA",
        "mobile": row["mobile"],
        "name": row["name"],
        "phone": row["phone"],
        "time_zone": "Buenos Aires",
        "twitter_id": row["twitter_id"],
        "custom_fields": {},
        "tags": [],
        "other_emails": [],
        "facebook_id": row["facebook_id"],
        "created_at": timestamp(row["created_at"]),
        "updated_at": timestamp(row["updated_at"]),
        "csat_rating": None,
        "preferred_source": "email",
        "unique_external_id": row["unique_external_id"],
    }


def conversation(row: Row, attachments: list[Row]) -> dict[str, Any]:
    """A note or a reply as its own call tells it."""
    return _reply(row, attachments) if row["kind"] == "reply" else _note(row, attachments)


def _note(row: Row, attachments: list[Row]) -> dict[str, Any]:
    return {
        "body": row["body"],
        "body_text": row["body_text"],
        "structured_body": None,
        "id": row["id"],
        "incoming": bool(row["incoming"]),
        "private": bool(row["private"]),
        "user_id": row["user_id"],
        "support_email": None,
        "ticket_id": row["ticket_id"],
        "to_emails": (row["emails"] or {}).get("to", []),
        "created_at": timestamp(row["created_at"]),
        "updated_at": timestamp(row["updated_at"]),
        "attachments": [attachment(item) for item in attachments],
    }


def _reply(row: Row, attachments: list[Row]) -> dict[str, Any]:
    emails = row["emails"] or {}
    return {
        "id": row["id"],
        "user_id": row["user_id"],
        "from_email": emails.get("from"),
        "cc_emails": emails.get("cc", []),
        "bcc_emails": emails.get("bcc", []),
        "body": row["body"],
        "body_text": row["body_text"],
        "ticket_id": row["ticket_id"],
        "to_emails": emails.get("to", []),
        "attachments": [attachment(item) for item in attachments],
        "source_additional_info": None,
        "created_at": timestamp(row["created_at"]),
        "updated_at": timestamp(row["updated_at"]),
    }


def conversation_entry(row: Row, attachments: list[Row]) -> dict[str, Any]:
    """A note or a reply as /conversations tells it: one shape for both."""
    emails = row["emails"] or {}
    return {
        "body": row["body"],
        "body_text": row["body_text"],
        "id": row["id"],
        "incoming": bool(row["incoming"]),
        "private": bool(row["private"]),
        "user_id": row["user_id"],
        "support_email": None,
        "source": 0 if row["kind"] == "reply" else 2,
        "category": 1 if row["incoming"] else 2,
        "to_emails": emails.get("to", []),
        "from_email": emails.get("from"),
        "cc_emails": emails.get("cc", []),
        "bcc_emails": emails.get("bcc", []),
        "ticket_id": row["ticket_id"],
        "created_at": timestamp(row["created_at"]),
        "updated_at": timestamp(row["updated_at"]),
        "attachments": [attachment(item) for item in attachments],
    }


def attachment(row: Row) -> dict[str, Any]:
    """An attachment; its content is not kept."""
    return {
        "id": row["id"],
        "content_type": row["content_type"],
        "size": row["size"],
        "name": row["name"],
        "attachment_url": f"https://attachments.example/{row['id']}",
        "created_at": timestamp(row["created_at"]),
        "updated_at": timestamp(row["created_at"]),
    }

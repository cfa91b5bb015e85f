"""How the API shows what is stored: tickets, list rows, notes and conversations. Pure.

Key order as on an account of August 2026 (recorded create, list and get calls of NangoHQ/integration-templates).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from dev.local_freshdesk.store import Row

RESOLVED: Final = 4
CLOSED: Final = 5
TICKET_KEYS: Final = (
    *("cc_emails", "fwd_emails", "reply_cc_emails", "ticket_cc_emails", "ticket_bcc_emails", "fr_escalated", "spam"),
    *("email_config_id", "group_id", "priority", "requester_id", "responder_id", "source", "company_id", "status"),
    *("subject", "support_email", "to_emails", "product_id", "id", "type", "due_by", "fr_due_by", "is_escalated"),
    *("description", "description_text", "custom_fields", "created_at", "updated_at", "tags", "attachments"),
    *("source_info", "structured_description", "form_id", "nr_due_by", "nr_escalated"),
)
# What every ticket has in an account without the features behind these keys; all others are null.
_UNUSED: Final = {
    **{key: [] for key in TICKET_KEYS if key.endswith(("cc_emails", "fwd_emails"))},
    **{key: False for key in TICKET_KEYS if key.endswith("escalated")},
    "form_id": 1070000000501,
}


def timestamp(epoch_s: float) -> str:
    """Return seconds since 1970 as the API writes them.

    >>> timestamp(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(int(epoch_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ticket(row: Row) -> dict[str, Any]:
    """Return a ticket as its creation answers it."""
    values = {
        **_UNUSED,
        **row,
        "spam": bool(row["spam"]),
        "created_at": timestamp(row["created_at"]),
        "updated_at": timestamp(row["updated_at"]),
        "attachments": [],
    }
    return {**{name: values.get(name) for name in TICKET_KEYS}, **({"deleted": True} if row["deleted"] else {})}


def ticket_in_full(row: Row) -> dict[str, Any]:
    """Return a ticket as GET one answers it: four keys more."""
    extra = ("association_type", "source_additional_info", "sentiment_score", "initial_sentiment_score")
    return {**ticket(row), **dict.fromkeys(extra)}


def list_row(row: Row) -> dict[str, Any]:
    """Return a ticket as the list answers it: without description and attachments."""
    left_out = ("description", "description_text", "attachments")
    extra = ("association_type", "associated_tickets_count", "sentiment_score", "initial_sentiment_score")
    kept = {name: value for name, value in ticket(row).items() if name not in left_out}
    return {**kept, **dict.fromkeys(extra)}


def stats(row: Row) -> dict[str, Any]:
    """Return what `include=stats` adds; a status's date is that of the last change."""
    changed_at = timestamp(row["updated_at"])
    unknown = ("agent_responded_at", "requester_responded_at", "first_responded_at", "reopened_at", "pending_since")
    return {
        **dict.fromkeys(unknown),
        "status_updated_at": changed_at,
        "resolved_at": changed_at if row["status"] in {RESOLVED, CLOSED} else None,
        "closed_at": changed_at if row["status"] == CLOSED else None,
    }


def requester(row: Row) -> dict[str, Any]:
    """Return what `include=requester` adds."""
    return {"id": row["id"], "name": row["name"], "email": row["email"], "mobile": None, "phone": row["phone"]}


def note(row: Row, attachments: list[Row], base_url: str) -> dict[str, Any]:
    """Return a note as its creation answers it."""
    return {
        "body": row["body"],
        "body_text": row["body_text"],
        "structured_body": None,
        "id": row["id"],
        "incoming": False,
        "private": bool(row["private"]),
        "user_id": row["user_id"],
        "support_email": None,
        "ticket_id": row["ticket_id"],
        "to_emails": [],
        "created_at": timestamp(row["created_at"]),
        "updated_at": timestamp(row["created_at"]),
        "attachments": [attachment(item, base_url) for item in attachments],
    }


def conversation(row: Row, attachments: list[Row], base_url: str) -> dict[str, Any]:
    """Return a note or a reply as /conversations answers it: one shape for both."""
    kind = {"source": 0 if row["kind"] == "reply" else 2, "category": 2}
    entry = {**note(row, attachments, base_url), **kind, "from_email": None, "cc_emails": [], "bcc_emails": []}
    del entry["structured_body"]
    return entry


def attachment(row: Row, base_url: str) -> dict[str, Any]:
    """Return an attachment; its content is at its address."""
    return {
        "id": row["id"],
        "content_type": row["content_type"],
        "size": row["size"],
        "name": row["name"],
        "attachment_url": f"{base_url}/attachments/{row['id']}",
        "created_at": timestamp(row["created_at"]),
        "updated_at": timestamp(row["created_at"]),
    }

"""One help desk account in memory: what it stores, and what creating and changing tickets does to it."""

from __future__ import annotations

import time
from collections import deque
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from dev.local_freshdesk import answers
from dev.local_freshdesk.account import Account
from dev.local_freshdesk.faults import Faults
from dev.local_freshdesk.limits import CREATE_PER_MINUTE, TOTAL_PER_MINUTE, RateLimiter
from dev.local_freshdesk.store import Store
from dev.local_freshdesk.validation import NOTE_FORM, check, check_size, missing, ticket_form
from dev.local_freshdesk.wire import refused
from operate.plain import plain_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dev.local_freshdesk.store import Row
    from dev.local_freshdesk.validation import Upload

DEFAULT_KEY: Final = "local-freshdesk-key"
# Two more keys, to see what a key with fewer rights meets.
AGENT_KEY: Final = "local-agent-key"
READONLY_KEY: Final = "local-readonly-key"
REQUESTER_KEYS: Final = ("email", "phone", "unique_external_id")
_USUAL: Final = {"status": 2, "priority": 1, "source": 2, "tags": []}


class HelpDesk:
    """What the API and the pages share; `calls` has (method, path with query) of every API request.

    `clock` is in seconds since 1970; where `path` is None everything is in memory.
    """

    def __init__(
        self, path: Path | None = None, *, api_key: str = DEFAULT_KEY, clock: Callable[[], float] = time.time
    ) -> None:
        self.account = Account()
        self.ticket_form = ticket_form(self.account)
        self.store = Store(path)
        self.limiter = RateLimiter(clock, TOTAL_PER_MINUTE, CREATE_PER_MINUTE)
        self.faults = Faults()
        self.keys = (api_key, AGENT_KEY, READONLY_KEY)
        self.clock = clock
        self.calls: deque[tuple[str, str]] = deque(maxlen=200_000)

    def attachments_of(self, conversation_id: int) -> list[Row]:
        """Return the files of a note."""
        return self.store.select("attachments", "conversation_id = ?", (conversation_id,))

    def files_of(self, ticket_id: int) -> list[Row]:
        """Return the files of all notes of a ticket."""
        notes = "conversation_id IN (SELECT id FROM conversations WHERE ticket_id = ?)"
        return self.store.select("attachments", notes, (ticket_id,))

    def content_of(self, file_id: int) -> Row:
        """Return the content of a file, and its SHA-256."""
        return self._row("contents", file_id)

    def conversations(self, ticket_id: int) -> list[Row]:
        """Return notes and replies of a ticket, oldest first."""
        return self.store.select("conversations", "ticket_id = ?", (ticket_id,))

    def create_ticket(self, fields: Mapping[str, Any]) -> Row:
        """Create a ticket and return it; raises RefusedError (400) for what Freshdesk would not take."""
        check(fields, self.ticket_form, required=("subject", "description"))
        now = self.clock()
        with self.store.transaction():
            values = {
                **_USUAL,
                **{name: value for name, value in fields.items() if name in answers.TICKET_KEYS},
                "description": _as_stored(fields["description"]),
                "description_text": plain_text(fields["description"]),
                "requester_id": self._requester(fields),
                "custom_fields": {**dict.fromkeys(self.account.custom_fields), **fields.get("custom_fields", {})},
                "created_at": now,
                "updated_at": now,
            }
            ticket_id = self.store.add("tickets", values)
        return self._row("tickets", ticket_id)

    def change_ticket(self, ticket_id: int, fields: Mapping[str, Any]) -> None:
        """Change columns of a ticket; an agent of None unassigns it. Raises RefusedError (400)."""
        checked = {name: value for name, value in fields.items() if value is not None or name != "responder_id"}
        check(checked, self.ticket_form)
        self.store.change("tickets", ticket_id, {**fields, "updated_at": self.clock()})

    def move(self, ticket_id: int, box: str) -> None:
        """Put a ticket into the box "spam" or "deleted", or with "" back into the inbox."""
        flags = {"spam": box == "spam", "deleted": box == "deleted"}
        self.store.change("tickets", ticket_id, {**flags, "updated_at": self.clock()})

    def add_note(self, ticket_id: int, fields: Mapping[str, Any], kind: str = "note") -> Row:
        """Add a note (private unless it says otherwise) or a "reply", and return it; raises RefusedError (400)."""
        check(fields, NOTE_FORM, required=("body",))
        now = self.clock()
        with self.store.transaction():
            values = {
                "ticket_id": ticket_id,
                "kind": kind,
                "private": kind == "note" and fields.get("private", True),
                "body": _as_stored(fields["body"]),
                "body_text": plain_text(fields["body"]),
                "user_id": self.account.key_owner["id"],
                "created_at": now,
            }
            conversation_id = self.store.add("conversations", values)
            for upload in fields.get("attachments", ()):
                self._add_file(conversation_id, upload)
            check_size(sum(row["size"] for row in self.files_of(ticket_id)))
            self.store.change("tickets", ticket_id, {"updated_at": now})
        return self._row("conversations", conversation_id)

    def _add_file(self, conversation_id: int, upload: Upload) -> None:
        values = {"name": upload.name, "content_type": upload.content_type, "size": len(upload.content)}
        row = {"conversation_id": conversation_id, "created_at": self.clock(), **values}
        digest = sha256(upload.content).hexdigest()
        file_id = self.store.add("attachments", row)
        self.store.add("contents", {"id": file_id, "sha256": digest, "content": upload.content})

    def _requester(self, fields: Mapping[str, Any]) -> int:
        """Return the requester's id; an unknown address makes a contact, as the vendor documents."""
        given = {key: fields[key] for key in REQUESTER_KEYS if fields.get(key)}
        if not given:
            keys = "requester_id, phone, email, twitter_id, facebook_id, unique_external_id"
            raise refused(missing("requester_id", f"Please fill at least 1 of {keys} fields."))
        for key, value in given.items():
            if found := self.store.one("contacts", value, key):
                return int(found["id"])
        if not fields.get("name") and "phone" in given and "email" not in given:
            raise refused(missing("name"))
        name = fields.get("name") or given.get("email", "").partition("@")[0] or next(iter(given.values()))
        if "email" in given:
            given["email"] = given["email"].lower()
        return self.store.add("contacts", {"name": name, **given})

    def _row(self, table: str, row_id: int) -> Row:
        return self.store.select(table, "id = ?", (row_id,))[0]


def _as_stored(markup: str) -> str:
    """Return a description or a body as Freshdesk keeps it: inside one div.

    >>> _as_stored("hola")
    '<div>hola</div>'
    """
    return markup if markup.startswith("<div") else f"<div>{markup}</div>"

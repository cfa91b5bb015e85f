"""Pure: a ticket's notes on Freshdesk's API: adding one with a file, and reading them all.

https://developers.freshdesk.com/api/#add_note_to_a_ticket
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Final, NamedTuple

from freshdesk_client import PER_PAGE, Answer, OutcomeUnknown, Request, decipher_json, has_next

_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,80}/[A-Za-z0-9!#$&^_.+-]{1,80}")
_QUOTED_IN_MULTIPART: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class File(NamedTuple):
    """A file to add: its name as an agent sees it, its bytes and their media type."""

    name: str
    content: bytes
    media_type: str


class Note(NamedTuple):
    """A note or reply of a ticket: its text, and the size of each of its files in bytes."""

    note_id: int
    text: str
    sizes: tuple[int, ...] = ()


class NotePage(NamedTuple):
    """One page of a ticket's notes and replies, and whether another follows."""

    notes: list[Note]
    more: bool


def build_note_with_file(ticket_id: int, html: str, file: File) -> Request:
    """Return the request that adds a private note with a file.

    Files go as multipart/form-data only, in parts called `attachments[]`, written as browsers do: a name is UTF-8, its
    quotes and line ends percent-encoded. The boundary is a hash of the file, so that nobody can put it into the file.
    """
    boundary = sha256(html.encode() + sha256(file.content).digest()).hexdigest()
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in (("body", html), ("private", "true"))
    )
    name = file.name.translate(_QUOTED_IN_MULTIPART)
    media_type = file.media_type if _MEDIA_TYPE.fullmatch(file.media_type) else "application/octet-stream"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="attachments[]"; filename="{name}"\r\n'
    return Request(
        "POST",
        f"/api/v2/tickets/{ticket_id:d}/notes",
        f"{fields}{head}Content-Type: {media_type}\r\n\r\n".encode(),
        f"multipart/form-data; boundary={boundary}",
        (file.content, f"\r\n--{boundary}--\r\n".encode()),
    )


def build_conversations(ticket_id: int, page: int = 1, size: int = PER_PAGE) -> Request:
    """Return the request for one page of a ticket's notes and replies, oldest first.

    https://developers.freshdesk.com/api/#list_all_ticket_notes
    """
    return Request("GET", f"/api/v2/tickets/{ticket_id:d}/conversations?per_page={size:d}&page={page:d}")


def decipher_conversations(answer: Answer, size: int = PER_PAGE) -> NotePage:
    """Return a page that was asked for with this size. A row that cannot be read may be the very note looked for.

    Raises:
        FreshdeskBusy, FreshdeskRefused: the list was not given.
        OutcomeUnknown: the answer is not a list of notes.
    """
    rows = decipher_json(answer)
    if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("id"), int) for row in rows):
        raise OutcomeUnknown("the answer is not a list of notes")
    return NotePage([_note(row) for row in rows], has_next(answer, len(rows), size))


def _note(row: dict[str, Any]) -> Note:
    files = row.get("attachments")
    given = [file for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    sizes = [file.get("size", file.get("file_size")) for file in given]  # the documentation shows either name
    text = f"{row.get('body_text') or ''}\n{row.get('body') or ''}"
    return Note(row["id"], text, tuple(size for size in sizes if isinstance(size, int)))

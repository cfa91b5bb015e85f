"""Brings a file of the person onto their ticket: fetched, and added as a private note, exactly once."""

from __future__ import annotations

import logging
from dataclasses import replace
from http import HTTPStatus
from typing import Final, cast

from freshdesk_client import FreshdeskError, FreshdeskRefused, OutcomeUnknown
from handoff import transitions
from handoff.deadline import Deadline
from handoff.fetching import CannotFetch
from handoff.inbound import Handoff
from handoff.ledger import Cause, Entry, State
from handoff.notes import File
from handoff.parts import Attachment
from handoff.ticket import WHY_NOT, to_file_note
from handoff.transitions import Created, InDoubt
from handoff.writer import TicketWriter

logger = logging.getLogger("handoff.files")

FILE_DEADLINE_S: Final = 60.0
FILE_LEASE_S: Final = 120.0
TRIED_S: Final = 86_400.0  # a server that has not given a file for so long will not
TICKET_FILES_MAX: Final = 20_000_000  # bytes of all files of a ticket: https://developers.freshdesk.com/api/#tickets
_REFUSES_FILE: Final = frozenset({400, 409, 413, 415, 422})
_TICKET_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


def bring_file(writer: TicketWriter, entry: Entry, within_s: float) -> Entry | None:
    """Bring the file of a row, or add a note that names it and says why not; return the row, or None if it is taken.

    Before anything is added, the ticket's notes are read: one with the file's mark is from an earlier try. A doubt is
    waited for as with a ticket, because a note may still be written late.

    Raises:
        LedgerUnavailable: the ledger did not answer.
    """
    deadline, looked_at = Deadline(writer.clock, min(within_s, FILE_DEADLINE_S)), writer.clock.now()
    taken = writer.take(entry, State.CREATING, lease_s=FILE_LEASE_S, doubt_since=transitions.doubt_of(entry))
    if taken is None:
        return None
    try:
        after = _brought(writer, taken, looked_at, deadline)
    except CannotFetch as error:
        after = _waiting(writer, taken, f"file: {error.reason}", Cause.WAITING)
    except OutcomeUnknown as error:
        after = writer.after(taken, InDoubt(f"note: {error}"))
    except FreshdeskError as error:
        gone = isinstance(error, FreshdeskRefused) and error.status in _TICKET_GONE
        done = Created(cast("int", taken.on_ticket))
        after = writer.after(taken, done) if gone else _waiting(writer, taken, f"note: {error}", Cause.UNAVAILABLE)
    return writer.settle(taken, after, deadline)


def _brought(writer: TicketWriter, row: Entry, looked_at: float, deadline: Deadline) -> Entry:
    """Return the row after the file or its name was added, or was found to be there.

    Raises:
        CannotFetch: the file may be had later.
        FreshdeskError: nothing was added, or perhaps.
    """
    helpdesk, ticket_id = writer.helpdesk(row), cast("int", row.on_ticket)
    mark = f"{row.reference} {row.entry.rpartition(':')[2][:8]}"
    notes = helpdesk.notes_of(ticket_id, deadline)
    if not any(mark in note.text for note in notes):
        settled_at = (row.doubt_since or 0.0) + writer.policy.in_doubt_wait_s
        if row.doubt_since is not None and looked_at < settled_at:
            return transitions.postponed(row, until=settled_at, cause=Cause.WAITING, error="waiting")
        room = TICKET_FILES_MAX - sum(size for note in notes for size in note.sizes)
        attachment = Handoff.from_json(row.handoff).attachments[0]
        why_not = _add_file(writer, row, attachment, mark, room, deadline)
        if why_not:
            logger.warning("file not added", extra={"reference": row.reference, "error": why_not})
            helpdesk.add_note(ticket_id, to_file_note(attachment, mark, why_not), deadline)
    return writer.after(row, Created(ticket_id))


def _add_file(
    writer: TicketWriter, row: Entry, attachment: Attachment, mark: str, room: int, deadline: Deadline
) -> str:
    """Fetch the file and add it; return "", or why it cannot be had for good, a key of `ticket.WHY_NOT`."""
    if attachment.size > room or room <= 0:
        return "too-large"
    try:
        fetched = writer.fetch(attachment.url, max_bytes=room, timeout_s=deadline.left_s / 2)
    except CannotFetch as error:
        if error.for_good or writer.clock.now() >= row.created_at + TRIED_S:
            return error.reason if error.reason in WHY_NOT else "not-had"
        raise
    if writer.clock.now() >= cast("float", row.due_at):
        raise CannotFetch("lease-over")  # the process was suspended: another may have added it
    html, media_type = to_file_note(attachment, mark), attachment.type or fetched.media_type
    try:
        file = File(attachment.shown_as, fetched.content, media_type)
        writer.helpdesk(row).add_note_with_file(cast("int", row.on_ticket), html, file, deadline)
    except FreshdeskRefused as error:
        if error.status in _REFUSES_FILE:
            return "refused"
        raise
    return ""


def _waiting(writer: TicketWriter, row: Entry, error: str, cause: Cause) -> Entry:
    state = State.IN_DOUBT if row.doubt_since is not None else State.NOT_CREATED
    return replace(transitions.unmade(row, until=writer.retry_at(row), cause=cause, error=error), state=state)

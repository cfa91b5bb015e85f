"""One pass over what is due: brings each row on, within a time budget and the rate limit."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

from freshdesk_client import FreshdeskError, Listed
from handoff.deadline import Deadline
from handoff.helpdesk import HelpDesk, is_ticket_of
from handoff.ledger import Entry, LedgerUnavailable, State
from handoff.recovery import Found, Look, LookByAddress, Recovery
from handoff.transitions import BACKOFF_MAX_S
from handoff.writer import TicketWriter

logger = logging.getLogger("handoff.sweep")

BUDGET_S: Final = 55.0  # of the minute until the next pass; none begins a row that it could not end within
BATCH: Final = 100
READ_MAX: Final = 1000  # so many are counted
SNAPSHOT_WORTH: Final = 3  # from this many rows in doubt on, one list for all costs less than a look each
ACCOUNT_FAILURES: Final = 3  # in a row: the account is down, and the rest of its rows wait for the next pass


@dataclass(slots=True)
class SweepReport:
    """What one pass did: rows by the state they are in now, and how long the oldest has been waiting, in seconds."""

    states: Counter[str] = field(default_factory=Counter)
    taken_by_others: int = 0
    stopped: str = ""  # why rows were left for the next pass: "budget", "rate-limit", "desk-down", "told to stop" or ""
    waiting: int = 0
    oldest_waiting_s: float = 0.0

    def count(self, after: Entry | None) -> None:
        """Count a row by how it stands now."""
        if after is None:
            self.taken_by_others += 1
        else:
            self.states[str(after.state)] += 1

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            **{str(state): self.states[state] for state in State},
            "taken_by_others": self.taken_by_others,
            "stopped": self.stopped,
            "waiting": self.waiting,
            "oldest_waiting_s": round(self.oldest_waiting_s, 1),
        }


@dataclass(slots=True)
class LookInSnapshot:
    """Looks through one list of a desk's tickets, taken once a pass for every row in doubt; else by address.

    An old list does no harm: it tells when it was taken, and that decides whether a ticket may be made again.
    """

    by_address: LookByAddress
    worth: bool
    since: float
    _taken: dict[str, tuple[float, list[Listed] | None]] = field(default_factory=dict)

    def __call__(self, entry: Entry, deadline: Deadline) -> Found:
        """Look for entry's ticket; see `recovery.Look`."""
        if not self.worth or entry.look_from < self.since:
            return self.by_address(entry, deadline)
        looked_at, rows = self._snapshot(entry)
        if rows is None:
            return self.by_address(entry, deadline)
        return Found(
            next((row.ticket_id for row in rows if is_ticket_of(row, entry.reference, entry.look_from)), None),
            looked_at,
        )

    def _snapshot(self, entry: Entry) -> tuple[float, list[Listed] | None]:
        writer = self.by_address.writer
        helpdesk = writer.helpdesk(entry)
        if helpdesk.url not in self._taken:
            looked_at = writer.clock.now()
            try:
                self._taken[helpdesk.url] = (looked_at, helpdesk.snapshot(writer.deadline(), since=self.since))
            except FreshdeskError:  # many pages, and one was not to be had: an address needs only a few
                self._taken[helpdesk.url] = (looked_at, None)
        return self._taken[helpdesk.url]


def sweep(writer: TicketWriter, *, budget_s: float, told_to_stop: Callable[[], bool] = lambda: False) -> SweepReport:
    """Bring on every row that is due; stop when budget_s is used up or the rate limit must be left to live requests.

    Args:
        writer: what brings rows on.
        budget_s: seconds for the pass.
        told_to_stop: asked before each row.

    Raises:
        LedgerUnavailable: the ledger did not answer.
    """
    report, deadline = SweepReport(), Deadline(writer.clock, budget_s)
    recovery, failures, closed = Recovery(writer), Counter[str](), set[str]()
    for entry, look in _due(writer, report):
        if told_to_stop() or deadline.left_s < writer.policy.deadline_s:
            report.stopped = "budget" if deadline.left_s < writer.policy.deadline_s else "told to stop"
            break
        helpdesk = writer.helpdesk(entry)
        if failures[helpdesk.url] >= ACCOUNT_FAILURES or not _has_room(helpdesk, deadline, writer.policy.deadline_s):
            report.stopped = "desk-down" if failures[helpdesk.url] >= ACCOUNT_FAILURES else "rate-limit"
            closed.add(helpdesk.url)
            if len(closed) == len(writer.helpdesks):
                break  # else rows behind these may be another desk's
            continue
        after = _advanced(recovery, entry, look)
        report.count(after)
        failures[helpdesk.url] = failures[helpdesk.url] + 1 if after and after.waits_for_account else 0
    writer.ledger.tidy(writer.clock.now())
    _measure_waiting(writer, report)
    told = report.as_dict()
    rows = {str(state): told.pop(str(state)) for state in State}
    logger.info("swept", extra={"rows": rows, **told})  # a record has a field `created` of its own
    return report


def _advanced(recovery: Recovery, entry: Entry, look: Look) -> Entry | None:
    try:
        return recovery.advance(entry, look)
    except LedgerUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 -- one row that breaks the code must not hold up all the others
        logger.error("row failed", extra={"reference": entry.reference, "error": type(error).__name__})
        return recovery.give_up(entry)


def _has_room(helpdesk: HelpDesk, deadline: Deadline, keep_s: float) -> bool:
    """Tell whether the desk's rate limit allows a call that can wait, if need be after waiting for it to open."""
    return helpdesk.has_headroom and deadline.pause(helpdesk.closed_for_s, keep=keep_s)


def _due(writer: TicketWriter, report: SweepReport) -> Iterator[tuple[Entry, Look]]:
    """Yield each due row once, batch by batch; once something succeeded, also what only waits for its desk."""
    seen: set[tuple[str, str]] = set()
    look: LookInSnapshot | None = None
    after: Entry | None = None
    found = True
    while found:
        found, now = False, writer.clock.now()
        until = now + (BACKOFF_MAX_S if report.states[State.CREATED] else 0.0)
        ripe = (one for one in _read(writer, until, after) if _ripe(one, writer, now) and _is_new(one, seen))
        while batch := list(islice(ripe, BATCH)):
            found = True
            look = look if look and look.worth else _look_for(batch, writer)
            for entry in batch:
                yield entry, look
                after = entry if _is_due(entry, now) else after  # up to here, nothing is left to come


def _read(writer: TicketWriter, until: float, after: Entry | None = None) -> Iterator[Entry]:
    """Yield what is due by until, a batch in memory at a time, to the end: rows of a desk that is down hide nobody."""
    while found := writer.with_retries(partial(writer.ledger.due, until, BATCH, after), writer.deadline()):
        yield from found
        if len(found) < BATCH:
            return
        after = found[-1]


def _is_new(entry: Entry, seen: set[tuple[str, str]]) -> bool:
    """Tell whether the row has not come yet; from now on it has."""
    before = len(seen)
    seen.add((entry.reference, entry.entry))
    return len(seen) > before


def _is_due(entry: Entry, now: float) -> bool:
    return entry.due_at is not None and entry.due_at <= now


def _ripe(entry: Entry, writer: TicketWriter, now: float) -> bool:
    if _is_due(entry, now):
        return True
    if entry.doubt_since is not None and now < entry.doubt_since + writer.policy.in_doubt_wait_s:
        return False
    return entry.waits_for_account and not entry.is_note and not entry.over_limit


def _look_for(ripe: list[Entry], writer: TicketWriter) -> LookInSnapshot:
    doubtful = [one for one in ripe if one.state in {State.CREATING, State.IN_DOUBT} and not one.is_note]
    since = min((one.look_from for one in doubtful), default=0.0)
    return LookInSnapshot(LookByAddress(writer), worth=len(doubtful) >= SNAPSHOT_WORTH, since=since)


def _measure_waiting(writer: TicketWriter, report: SweepReport) -> None:
    now = writer.clock.now()
    rows = islice(_read(writer, now + writer.policy.give_up_s), READ_MAX)
    waits = [now - one.created_at for one in rows]
    report.waiting, report.oldest_waiting_s = len(waits), max(waits, default=0.0)

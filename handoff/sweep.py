"""One pass over what is due: brings each row on, within a time budget and the rate limit."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

from freshdesk_client import FreshdeskError, Listed
from handoff.deadline import Deadline
from handoff.helpdesk import is_ticket_of
from handoff.ledger import Cause, Entry, LedgerUnavailable, State
from handoff.log import place_of
from handoff.marks import reference_of
from handoff.recovery import Found, LookByAddress, Recovery
from handoff.transitions import BACKOFF_MAX_S, RATE_LIMIT_SPREAD_S
from handoff.writer import TicketWriter

logger = logging.getLogger("handoff.sweep")

BUDGET_S: Final = 55.0  # of the minute until the next pass; none begins a row that it could not end within
BATCH: Final = 100
READ_MAX: Final = 1000  # so many are counted
SCARCE_PAUSE_S: Final = 10.0  # between two rows where the rate limit is nearly used up: live requests need the rest
SNAPSHOT_S: Final = 30.0
SNAPSHOT_WORTH: Final = 3  # from this many rows in doubt on, one list for all costs less than a look each
LEDGER_FAILURES: Final = 3  # in a row: the ledger is down, not one lost answer
ACCOUNT_FAILURES: Final = 3  # in a row: the account is down, and the rest of its rows wait for the next pass


@dataclass(slots=True)
class SweepReport:
    """What one pass did: rows by the state they are in now, and how long the oldest has been waiting, in seconds."""

    states: Counter[str] = field(default_factory=Counter)
    taken_by_others: int = 0
    failed_rows: int = 0
    stopped: str = ""  # why rows were left: "budget", "rate-limit", "account-down", "ledger-down", "asked to stop", ""
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
            "failed_rows": self.failed_rows,
            "stopped": self.stopped,
            "waiting": self.waiting,
            "oldest_waiting_s": round(self.oldest_waiting_s, 1),
        }


@dataclass(slots=True)
class LookInSnapshot:
    """Looks through one list of an account's tickets, read once a pass for every row in doubt; else by address.

    An old list does no harm: it says when it was read, and that decides whether a ticket may be posted again.
    """

    by_address: LookByAddress
    worth: bool
    since: float
    _snapshots: dict[str, tuple[float, dict[str, list[Listed]] | None]] = field(default_factory=dict)

    def prepare(self, entry: Entry, deadline: Deadline) -> None:
        """Read the list of entry's account unless it is there: a long list must not use up the row's own deadline.

        It has SNAPSHOT_S of the pass: what it costs once, each row in doubt would cost by itself.
        """
        writer = self.by_address.writer
        helpdesk = writer.helpdesk(entry)
        is_doubtful = entry.state in {State.CREATING, State.IN_DOUBT} and not entry.is_note
        if not (self.worth and is_doubtful) or entry.look_from < self.since or helpdesk.url in self._snapshots:
            return
        looked_at, left_s = writer.clock.now(), deadline.left_s - writer.policy.deadline_s
        try:
            rows = helpdesk.snapshot(Deadline(writer.clock, min(left_s, SNAPSHOT_S)), since=self.since)
        except FreshdeskError:  # many pages, and one could not be read: an address needs only a few
            rows = None
        self._snapshots[helpdesk.url] = (looked_at, None if rows is None else _by_reference(rows))

    def __call__(self, entry: Entry, deadline: Deadline) -> Found:
        """Look for entry's ticket; see `recovery.Look`."""
        url = self.by_address.writer.helpdesk(entry).url
        looked_at, rows = self._snapshots.get(url, (0.0, None))
        if rows is None or entry.look_from < self.since:
            return self.by_address(entry, deadline)
        others = self.by_address.writer.tickets_of_others(entry)
        named = rows.get(entry.reference, ())
        ours = (row.ticket_id for row in named if is_ticket_of(row, entry.reference, entry.look_from))
        return Found(next((ticket_id for ticket_id in ours if ticket_id not in others), None), looked_at)


def _by_reference(rows: list[Listed]) -> dict[str, list[Listed]]:
    """Return the tickets by the reference they carry: reading it out of a list once for each row takes too long."""
    found: dict[str, list[Listed]] = {}
    for row in rows:
        found.setdefault(reference_of(row), []).append(row)
    return found


def sweep(writer: TicketWriter, *, budget_s: float, should_stop: Callable[[], bool] = lambda: False) -> SweepReport:
    """Bring on every row that is due; stop when budget_s is used up or the rate limit must be left to live requests.

    Args:
        writer: what brings rows on.
        budget_s: seconds for the pass.
        should_stop: asked before each row.

    Raises:
        LedgerUnavailable: the ledger did not answer when it was asked for the first row.
    """
    report, deadline = SweepReport(), Deadline(writer.clock, budget_s)
    recovery, failures, closed = Recovery(writer), Counter[str](), set[str]()
    flakes = 0
    for entry, look in _due(writer, report):
        if should_stop() or deadline.left_s < writer.policy.deadline_s:
            report.stopped = "budget" if deadline.left_s < writer.policy.deadline_s else "asked to stop"
            break
        helpdesk = writer.helpdesk(entry)
        is_down = failures[helpdesk.url] >= ACCOUNT_FAILURES
        # The rate limit may have to open first; of its last part most is left to live requests.
        wait_s = max(helpdesk.closed_for_s, 0.0 if helpdesk.has_headroom else SCARCE_PAUSE_S)
        if is_down or not deadline.pause(wait_s, keep=writer.policy.deadline_s):
            report.stopped = "account-down" if is_down else "rate-limit"
            closed.add(helpdesk.url)
            if len(closed) == len(writer.helpdesks):
                break  # else rows behind these may be another account's
            continue
        try:
            look.prepare(entry, deadline)
            after = recovery.advance(entry, look, within_s=deadline.left_s)
        except Exception as error:  # noqa: BLE001 -- one row that breaks the code must not hold up all the others
            report.failed_rows += 1
            flakes = flakes + 1 if isinstance(error, LedgerUnavailable) else 0
            _back_off(recovery, entry, error)
            if flakes == LEDGER_FAILURES:
                report.stopped = "ledger-down"
                break
            continue
        flakes = 0
        report.count(after)
        failures[helpdesk.url] = failures[helpdesk.url] + 1 if after and after.waits_for_account else 0
    _finish(writer, report)
    return report


def _back_off(recovery: Recovery, entry: Entry, error: Exception) -> None:
    """Let a row that failed wait like any other, so that it does not come first in the next pass."""
    fields = {"reference": entry.reference, "error": type(error).__name__, "place": place_of(error)}
    logger.error("row failed", extra=fields)
    with suppress(LedgerUnavailable):  # the row stays due: the next pass takes it up
        recovery.back_off(entry)


def _finish(writer: TicketWriter, report: SweepReport) -> None:
    """Tidy the ledger, measure what waits and log the pass; none of it may hide what the pass did."""
    try:
        writer.ledger.tidy(writer.clock.now())
        _measure_waiting(writer, report)
    except LedgerUnavailable:
        report.stopped = report.stopped or "ledger-down"
    fields = report.as_dict()
    rows = {str(state): fields.pop(str(state)) for state in State}  # a record has a field `created` of its own
    if report.stopped == "ledger-down":
        logger.error("sweep ended early", extra={"rows": rows, **fields})
    else:
        logger.info("swept", extra={"rows": rows, **fields})


def _due(writer: TicketWriter, report: SweepReport) -> Iterator[tuple[Entry, LookInSnapshot]]:
    """Yield each due row once, batch by batch; once something succeeded, also what only waits for its account."""
    seen: set[tuple[str, str]] = set()
    files: list[Entry] = []  # a slow file must not hold up anybody's ticket
    look: LookInSnapshot | None = None
    after: Entry | None = None
    found = True
    while found:
        found, now = False, writer.clock.now()
        answers = report.states[State.CREATED] > 0
        until = now + (BACKOFF_MAX_S if answers else RATE_LIMIT_SPREAD_S)
        rows = _read(writer, until, after)
        ripe = (
            one
            for one in rows
            if _is_ripe(one, writer, now, answers=answers) and (one.reference, one.entry) not in seen
        )
        while batch := list(islice(ripe, BATCH)):
            found = True
            look = look if look and look.worth else _look_for(batch, writer)
            for entry in batch:
                seen.add((entry.reference, entry.entry))
                if not entry.is_file:
                    yield entry, look
                elif len(files) < BATCH:
                    files.append(entry)
                after = entry if _is_due(entry, now) else after  # up to here, nothing is left to come
    by_address = _look_for([], writer)  # a file has no ticket to look for
    yield from ((entry, by_address) for entry in files)


def _read(writer: TicketWriter, until: float, after: Entry | None = None) -> Iterator[Entry]:
    """Yield what is due by until, a batch in memory at a time; rows of an account that is down hide nobody's."""
    while found := writer.with_retries(partial(writer.ledger.due, until, BATCH, after), writer.deadline()):
        yield from found
        if len(found) < BATCH:
            return
        after = found[-1]


def _is_due(entry: Entry, now: float) -> bool:
    return entry.due_at is not None and entry.due_at <= now


def _is_ripe(entry: Entry, writer: TicketWriter, now: float, *, answers: bool) -> bool:
    """Return True if the row is due, or would be if its account, which answers now, had answered before.

    The spread that keeps live callers apart would cost rows of a full minute the whole pass that begins with the next.
    """
    if _is_due(entry, now + (RATE_LIMIT_SPREAD_S if entry.cause == Cause.RATE_LIMIT else 0.0)):
        return True
    if not answers:
        return False
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
    waits = [now - one.created_at for one in rows if not one.is_parked]
    report.waiting, report.oldest_waiting_s = len(waits), max(waits, default=0.0)

"""What a process remembers while its store is down: the tickets it made meanwhile, and that there was an outage.

SQLite has a file beside it for this, the spool, which outlives the process; elsewhere the memory of the process has to
do. Neither holds a person's words: hashes and the ticket's number.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from handoff.ledger import OUTAGE_WINDOW_S, Claim, Entry, LedgerUnavailable, State

logger = logging.getLogger("handoff.ledger")

RECOVERY_WAIT_S: Final = 1.0
TRIES: Final = 3
_OUTAGE: Final = "outage_at"


class Spool:
    """JSON lines in a file: rows with tickets, and times of outages. Processes take turns by a lock on the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def holds_something(self) -> bool:
        """Return True if there is something to be brought in."""
        try:
            return self._path.stat().st_size > 0
        except OSError:
            return False

    def append(self, record: dict[str, Any]) -> None:
        """Write a line through to the disk. Raises OSError."""
        is_new = not self._path.exists()
        with self._locked() as file:
            os.lseek(file, 0, os.SEEK_END)
            line = json.dumps(record, ensure_ascii=False)
            os.write(file, f"\n{line}\n".encode())  # what a killed process left half written spoils its own line only
            os.fsync(file)
        if is_new:
            _sync_directory(self._path.parent)

    @contextmanager
    def taken(self) -> Iterator[list[dict[str, Any]]]:
        """Give every record; the file is empty once the block has ended well. Raises OSError."""
        with self._locked() as file:
            yield list(_records(os.pread(file, os.fstat(file).st_size, 0)))
            os.ftruncate(file, 0)  # not unlinked: another process may be waiting for the lock of this very file
            os.fsync(file)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _records(text: bytes) -> Iterator[dict[str, Any]]:
    for line in filter(None, text.split(b"\n")):
        try:
            yield dict(json.loads(line))
        except (ValueError, TypeError):
            logger.error("unreadable row in the spool")


def _sync_directory(path: Path) -> None:
    """Make a new file's name as durable as its content."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class Remembering(ABC):
    """The part of a store that remembers outages; see `Ledger.remember`."""

    def __init__(self, spool: Spool | None = None) -> None:
        self._spool = spool
        self._memory: list[Entry] = []
        self._outage_at: float | None = None
        self._outage_is_stored = True
        self._recovery = threading.RLock()
        self._recovering = False

    @abstractmethod
    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """See `Ledger.claim`."""

    @abstractmethod
    def replace(self, old: Entry, new: Entry) -> bool:
        """See `Ledger.replace`."""

    @abstractmethod
    def _store_outage(self, at: float) -> None:
        """Store the time of an outage; a later one that is stored already stays."""

    @abstractmethod
    def _stored_outage(self) -> float | None:
        """Return the time of the last outage that is stored."""

    def remember(self, entry: Entry, *, now: float) -> None:
        """Keep what a call did while the store was down; see `Ledger.remember`."""
        has_ticket = entry.ticket_id is not None
        row = replace(entry, handoff="", error="")
        # As its own owner, a row in doubt would be written over the one in the store, which has the words.
        row = replace(row, due_at=None, doubt_since=None) if has_ticket else replace(row, owner=f"{row.owner}?")
        is_kept = has_ticket or entry.state is State.IN_DOUBT
        if self._spool is not None:
            try:
                if is_kept:
                    self._spool.append(row.to_dict())
                if not has_ticket:
                    self._spool.append({_OUTAGE: now})
            except OSError as error:
                logger.error("spool not written", extra={"error": type(error).__name__})
            else:
                if not has_ticket:
                    self._outage_at = now
                return
        with self._recovery:
            if is_kept:
                self._memory.append(row)
            self._mark(now)

    def recover(self) -> int:
        """Bring into the store what was remembered; see `Ledger.recover`."""
        if not self._remembers():
            return 0
        if not self._recovery.acquire(timeout=RECOVERY_WAIT_S):  # the store is slow; not every thread has to learn it
            raise LedgerUnavailable("what was remembered is still being brought in")
        try:
            return 0 if self._recovering else self._recovered()
        finally:
            self._recovery.release()

    def had_outage(self, now: float) -> bool:
        """Return True if there was an outage within OUTAGE_WINDOW_S; see `Ledger.had_outage`."""
        self.recover()
        at = max(self._outage_at or 0.0, self._stored_outage() or 0.0)
        return now - at < OUTAGE_WINDOW_S

    def _mark(self, now: float) -> None:
        """Remember that there was an outage, and store it as soon as that is possible."""
        self._outage_at, self._outage_is_stored = now, False

    def _remembers(self) -> bool:
        spooled = self._spool is not None and self._spool.holds_something
        return spooled or bool(self._memory) or not self._outage_is_stored

    def _recovered(self) -> int:
        self._recovering = True
        count = 0
        try:
            if self._outage_at is not None and not self._outage_is_stored:
                self._store_outage(self._outage_at)
                self._outage_is_stored = True
            while self._memory:
                self._bring_in(self._memory[0])
                del self._memory[0]
                count += 1
            if self._spool is not None and self._spool.holds_something:
                count += self._unspooled(self._spool)
        except OSError as error:
            raise LedgerUnavailable(f"spool: {type(error).__name__}") from error
        finally:
            self._recovering = False
        if count:
            logger.warning("rows of an outage stored", extra={"rows": count})
        return count

    def _unspooled(self, spool: Spool) -> int:
        count = 0
        with spool.taken() as records:
            for record in records:
                if _OUTAGE in record:
                    self._store_outage(float(record[_OUTAGE]))
                    continue
                try:
                    row = Entry.from_dict(record)
                except (ValueError, KeyError, TypeError):
                    logger.error("unreadable row in the spool")
                    continue
                self._bring_in(row)
                count += 1
        return count

    def _bring_in(self, row: Entry) -> None:
        """Store a row with a ticket, or in doubt, over a row of its key that has no ticket."""
        for _ in range(TRIES):
            claim = self.claim(row, now=row.created_at, tickets_an_hour=0)
            standing = claim.entry
            if claim.mine or standing.ticket_id is not None or claim.same_words:
                return
            if row.ticket_id is None:
                after = _doubted(standing, row)
            else:
                after = replace(row, state=State.CREATED, version=standing.version + 1)
                if standing.handoff and standing.fingerprint != row.fingerprint:  # words that the ticket does not have
                    self.claim(_note_of(standing), now=row.created_at, tickets_an_hour=0)
            if self.replace(standing, after):
                return
        raise LedgerUnavailable("the row of a ticket made meanwhile changes over and over")


def _doubted(standing: Entry, row: Entry) -> Entry:
    """Return a standing row, with its words, in doubt since the last call that may have written."""
    known = standing.due_at if standing.state is State.CREATING else standing.doubt_since
    doubt = {"doubt_since": max(known or 0.0, row.doubt_since or 0.0), "due_at": row.due_at}
    return replace(standing, state=State.IN_DOUBT, version=standing.version + 1, **doubt)  # type: ignore[arg-type]  # two times


def _note_of(standing: Entry) -> Entry:
    """Return a row with the words of another, for the ticket that was made without them; see `transitions.noted`."""
    waiting = {"state": State.NOT_CREATED, "version": 1, "doubt_since": None}
    names = {"entry": f"{standing.entry}#{standing.fingerprint}", "owner": f"{standing.owner}#"}
    hashes = dict.fromkeys(("person", "identity", "mailbox", "conversation", "matter", "named", "words"), "")
    return replace(standing, **waiting, **names, **hashes)  # type: ignore[arg-type]  # each as its field is

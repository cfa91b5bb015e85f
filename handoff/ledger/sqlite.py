"""The ledger in one SQLite file: many threads and processes, durable across `kill -9` and power loss."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

from handoff.ledger import PERSON_WINDOW_S, Claim, Entry, LedgerUnavailable, read_row, read_rows

BUSY_TIMEOUT_S: Final = 1.0
TIDY_EVERY_S: Final = 3600.0
CHECKPOINT_PAGES: Final = 2000  # 8 MB: once in 200 handoffs a commit does some milliseconds of work for all
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    reference TEXT NOT NULL, entry TEXT NOT NULL, version INTEGER NOT NULL, owner TEXT NOT NULL,
    due_at REAL, created_at REAL NOT NULL, expires_at REAL NOT NULL,
    conversation TEXT NOT NULL, row TEXT NOT NULL,
    PRIMARY KEY (reference, entry)
) STRICT;
CREATE INDEX IF NOT EXISTS due ON entries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS conversation ON entries (conversation, created_at) WHERE conversation <> '';
CREATE TABLE IF NOT EXISTS places (person TEXT NOT NULL, taken_at REAL NOT NULL, owner TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS person ON places (person, taken_at);
"""
_CLAIM: Final = """
INSERT INTO entries (reference, entry, version, owner, due_at, created_at, expires_at, conversation, row)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (reference, entry) DO UPDATE SET
    version = excluded.version, owner = excluded.owner, due_at = excluded.due_at, created_at = excluded.created_at,
    expires_at = excluded.expires_at, conversation = excluded.conversation, row = excluded.row
WHERE entries.expires_at <= ? OR entries.owner = excluded.owner
"""
_OVERWRITE: Final = """
UPDATE entries SET version = ?, owner = ?, due_at = ?, created_at = ?, expires_at = ?, conversation = ?, row = ?
WHERE reference = ? AND entry = ? AND version = ? AND owner = ?
"""
_DUE: Final = """
SELECT row FROM entries WHERE due_at <= ? AND (due_at, reference, entry) > (?, ?, ?) ORDER BY due_at, reference, entry
"""
_HAS_PLACE: Final = """
SELECT 1 FROM places WHERE person = :person AND taken_at > :since AND owner = :owner AND owner <> ''
"""
_TAKE_PLACE: Final = f"""
INSERT INTO places (person, taken_at, owner) SELECT :person, :now, :owner
WHERE (SELECT count(*) FROM places WHERE person = :person AND taken_at > :since) < :bound AND NOT EXISTS ({_HAS_PLACE})
"""  # noqa: S608 -- both are written here

# A process must not even close a connection from before its fork (https://sqlite.org/howtocorrupt.html,
# "Carrying an open database connection across a fork"): what it inherited is kept, untouched, until it ends.
_INHERITED: Final[list[sqlite3.Connection]] = []


T = TypeVar("T")


@dataclass(slots=True)
class _Job(Generic[T]):
    """One caller's work inside a transaction. Its result counts only once `failed` is None: after the commit."""

    work: Callable[[sqlite3.Connection], T]
    result: T | None = None
    done: bool = False
    failed: str | None = "not committed"


class SQLiteLedger:
    """One file. A process writes through one connection at a time: SQLite lets only one writer in anyway.

    Threads that wait for their turn are served by the one whose turn it is, in its transaction: a commit waits for the
    disk, and one wait does for all of them. Nobody reads a row in there: one that cannot be read is its caller's alone.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self._lock = threading.Lock()
        self._jobs: deque[_Job[Any]] = deque()
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        self._tidied_at = 0.0

    def __repr__(self) -> str:
        return f"SQLiteLedger({self._path})"

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """Insert entry unless there is a row; see `Ledger.claim`."""
        standing, over_limit = self._write(lambda db: _claim(db, entry, now, tickets_an_hour))
        return Claim(entry if standing is None else read_row(standing), mine=standing is None, over_limit=over_limit)

    def replace(self, old: Entry, new: Entry) -> bool:
        """Write new over old if old still stands; see `Ledger.replace`."""
        written, standing = self._write(lambda db: _overwrite(db, old, new))
        return written or (standing is not None and read_row(standing) == new)  # its answer was lost: asked again

    def find(self, reference: str, *, now: float) -> list[Entry]:
        """Return the rows under a reference; see `Ledger.find`."""
        query = "SELECT row FROM entries WHERE reference = ? AND expires_at > ? ORDER BY entry"
        return self._read(query, reference, now)

    def due(self, until: float, limit: int, after: Entry | None = None) -> list[Entry]:
        """Return rows that are due; see `Ledger.due`."""
        place = (after.due_at, after.reference, after.entry) if after else (float("-inf"), "", "")
        return self._read(_DUE, until, *place, limit=limit)

    def in_conversation(self, conversation: str, *, now: float) -> list[Entry]:
        """Return the rows of a conversation; see `Ledger.in_conversation`."""
        query = "SELECT row FROM entries WHERE conversation = ? AND conversation <> '' AND expires_at > ?"
        return self._read(query + " ORDER BY created_at", conversation, now)

    def take_slot(self, person: str, *, now: float, tickets_an_hour: int) -> bool:
        """Take a place of the person's hour; see `Ledger.take_place`."""
        return self._write(lambda db: _take_slot(db, person, "", now, tickets_an_hour))

    def each(self) -> Iterator[Entry]:
        """Yield every row; see `Ledger.each`."""
        yield from self._read("SELECT row FROM entries ORDER BY created_at")

    def delete(self, entry: Entry) -> None:
        """Remove the row; see `Ledger.delete`."""
        query = "DELETE FROM entries WHERE reference = ? AND entry = ?"
        self._write(lambda db: db.execute(query, (entry.reference, entry.entry)))
        self._empty_log()

    def close(self) -> None:
        """Close the file; see `Ledger.close`."""
        if self._connection is not None:
            if self._process == os.getpid():
                self._connection.close()
            else:
                _INHERITED.append(self._connection)
        self._connection = None

    def tidy(self, now: float) -> None:
        """Remove rows past their life; see `Ledger.tidy`."""
        if now < self._tidied_at + TIDY_EVERY_S:
            return
        self._tidied_at = now
        self._write(lambda db: db.execute("DELETE FROM entries WHERE expires_at <= ?", (now,)))
        self._write(lambda db: db.execute("DELETE FROM places WHERE taken_at <= ?", (now - PERSON_WINDOW_S,)))
        self._empty_log()

    def _empty_log(self) -> None:
        """Have nothing erased linger in the write-ahead log; where somebody is reading, it goes another time."""
        with self._lock, self._guarded() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _read(self, query: str, *values: str | float | None, limit: int | None = None) -> list[Entry]:
        with self._lock, self._guarded() as db:
            return list(islice(read_rows(row for (row,) in db.execute(query, values)), limit))

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run work in a transaction, together with the work of every thread that waits."""
        job = _Job(work)
        self._jobs.append(job)
        with self._lock:
            if not job.done:
                self._commit([self._jobs.popleft() for _ in range(len(self._jobs))])
        if job.failed is not None:
            raise LedgerUnavailable(job.failed)
        return cast("T", job.result)

    def _commit(self, jobs: list[_Job[Any]]) -> None:
        failed: str | None = None
        try:
            with self._guarded() as db:
                _in_one_transaction(db, jobs)
        except LedgerUnavailable as error:
            failed = str(error)
        for job in jobs:
            job.failed, job.done = failed, True

    @contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._open()
        except (sqlite3.Error, OSError) as error:
            self.close()  # whatever broke, the next call starts afresh
            raise LedgerUnavailable(type(error).__name__) from error

    def _open(self) -> sqlite3.Connection:
        """Return this process's connection; one opened before a fork must not be used after it."""
        if self._connection is not None and self._process != os.getpid():
            self.close()
        if self._connection is None:
            db = sqlite3.connect(
                self._path,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=64,
            )
            self._connection, self._process = db, os.getpid()
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            db.execute("PRAGMA secure_delete = ON")  # a person's words go when their row does
            db.execute("PRAGMA synchronous = FULL")  # a claim that a power cut could undo is no claim
            db.executescript(_SCHEMA)
        return self._connection


def _in_one_transaction(db: sqlite3.Connection, jobs: list[_Job[Any]]) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        for job in jobs:
            job.result = job.work(db)
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _claim(db: sqlite3.Connection, entry: Entry, now: float, tickets_an_hour: int) -> tuple[str | None, bool]:
    """Return the row in the way, unread, or None; and whether the person is past their bound."""
    whose, stamps = (entry.reference, entry.entry, entry.version, entry.owner), (entry.due_at, entry.created_at)
    values = (*whose, *stamps, entry.expires_at, entry.conversation, entry.to_json())
    if not db.execute(_CLAIM, (*values, now)).rowcount:
        return _standing(db, entry), False
    return None, entry.counts and not _take_slot(db, entry.person, entry.owner, now, tickets_an_hour)


def _overwrite(db: sqlite3.Connection, old: Entry, new: Entry) -> tuple[bool, str | None]:
    """Return whether new was written; if not, the row that stands there, unread, or None."""
    values = (new.version, new.owner, new.due_at, new.created_at, new.expires_at, new.conversation, new.to_json())
    if db.execute(_OVERWRITE, (*values, old.reference, old.entry, old.version, old.owner)).rowcount:
        return True, None
    return False, _standing(db, old)


def _standing(db: sqlite3.Connection, entry: Entry) -> str | None:
    query = "SELECT row FROM entries WHERE reference = ? AND entry = ?"
    (row,) = db.execute(query, (entry.reference, entry.entry)).fetchone() or (None,)
    return cast("str | None", row)


def _take_slot(db: sqlite3.Connection, person: str, owner: str, now: float, tickets_an_hour: int) -> bool:
    """Count this ticket against the person's hour; the same claim repeated is counted once."""
    if not person:
        return True
    whose = {"person": person, "owner": owner, "since": now - PERSON_WINDOW_S}
    taken = db.execute(_TAKE_PLACE, {**whose, "now": now, "bound": tickets_an_hour}).rowcount
    return bool(taken) or db.execute(_HAS_PLACE, whose).fetchone() is not None

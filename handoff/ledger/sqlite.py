"""The ledger in one SQLite file: many threads and processes, durable across `kill -9` and power loss."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

from handoff.ledger import (
    PERSON_WINDOW_S,
    WORDS_WINDOW_S,
    Claim,
    Entry,
    LedgerUnavailable,
    bounded,
    files_of,
    named_by,
    read_row,
    read_rows,
)
from handoff.ledger.outage import Remembering, Spool
from handoff.ledger.sqlite_file import IN_MEMORY, KEEP_ROWS_WITHOUT_TICKET, NEVER, FileLost, Identity, connect

logger = logging.getLogger("handoff.ledger")

TIDY_EVERY_S: Final = 3600.0
ERASE_AFTER_S: Final = 20.0  # erased words stay in the write-ahead log no longer, unless somebody reads it then
_PUT: Final = """
INSERT OR REPLACE INTO entries (reference, entry, version, owner, due_at, created_at, expires_at, conversation, row)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_OVERWRITE: Final = """
UPDATE entries SET version = ?, owner = ?, due_at = ?, created_at = ?, expires_at = ?, conversation = ?, row = ?
WHERE reference = ? AND entry = ? AND version = ? AND owner = ?
"""
_STANDING: Final = """
SELECT row, owner, CASE WHEN json_valid(row) THEN json_extract(row, '$.alias_of') END FROM entries
WHERE reference = ? AND entry = ? AND expires_at > ?
"""
_DUE: Final = """
SELECT row FROM entries WHERE due_at <= ? AND (due_at, reference, entry) > (?, ?, ?) ORDER BY due_at, reference, entry
"""
_HAS_PLACE: Final = """
SELECT 1 FROM places WHERE person = :person AND taken_at > :since AND owner = :owner
"""
_WITH_PLACE: Final = """
SELECT row FROM places JOIN entries ON places.owner = entries.reference || ' ' || entries.entry
WHERE person = ? AND taken_at > ? AND expires_at > ? ORDER BY taken_at
"""
_TAKE_PLACE: Final = f"""
INSERT INTO places (person, taken_at, owner) SELECT :person, :now, :owner
WHERE (SELECT count(*) FROM places WHERE person = :person AND taken_at > :since) < :bound AND NOT EXISTS ({_HAS_PLACE})
"""  # noqa: S608 -- both are written here
_KEEP_WORDS: Final = """
INSERT INTO words (words, reference, entry, until) VALUES (?, ?, ?, ?) ON CONFLICT (words) DO UPDATE SET
    reference = excluded.reference, entry = excluded.entry, until = excluded.until
WHERE (reference, entry) <> (excluded.reference, excluded.entry) OR until < excluded.until
"""
_OUTAGE: Final = """
INSERT INTO outages (name, at) VALUES ('last', ?) ON CONFLICT (name) DO UPDATE SET at = max(at, excluded.at)
"""

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
    failed: LedgerUnavailable | None = None


class _Standing(NamedTuple):
    row: str
    owner: str
    alias_of: str | None


class _Claimed(NamedTuple):
    """What a claim did inside its transaction; a row that stands is not read there."""

    standing: str | None
    over_limit: bool = False
    same_words: bool = False


class SQLiteLedger(Remembering):
    """One file. A process writes through one connection at a time: SQLite lets only one writer in anyway.

    Threads that wait for the lock are served by the one that holds it, in its transaction: a commit waits for the disk,
    and one wait does for all of them. Nobody reads a row in there: one that cannot be read is its caller's alone.

    Args:
        path: the file, or ":memory:". `<path>.spool` beside it keeps what was done while the file could not be used.
        create: whether the file may be made if it is not there.
        erase_after_s: seconds until erased words leave the write-ahead log, whether or not anybody calls; where the log
            is in use then, it is tried again after a quarter of that.
    """

    def __init__(self, path: str | Path, *, create: bool = True, erase_after_s: float = ERASE_AFTER_S) -> None:
        super().__init__(None if str(path) == IN_MEMORY else Spool(Path(f"{path}.spool")))
        self._path = str(path)
        self._create = create
        self._erase_after_s = erase_after_s
        self._lock = threading.RLock()
        self._jobs: deque[_Job[Any]] = deque()
        self._connection: sqlite3.Connection | None = None
        self._identity: Identity | None = None
        self._was_lost = False
        self._process = 0
        self._tidied_at = 0.0
        self._eraser: threading.Timer | None = None

    def __repr__(self) -> str:
        return f"SQLiteLedger({self._path})"

    def check(self) -> None:
        """Open the file; see `Ledger.check`."""
        with self._lock, self._guarded() as db:
            db.execute("SELECT count(*) FROM (SELECT 1 FROM entries LIMIT 1)").fetchone()

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """Insert entry unless there is a row; see `Ledger.claim`."""
        self.recover()
        entry = bounded(entry)
        done = self._write(lambda db: _claim(db, entry, now, tickets_an_hour))
        if done.standing is None:
            return Claim(entry, mine=True, over_limit=done.over_limit)
        return Claim(read_row(done.standing), mine=False, same_words=done.same_words)

    def replace(self, old: Entry, new: Entry) -> bool:
        """Write new over old if old still stands; see `Ledger.replace`."""
        new = bounded(new)
        written, standing = self._write(lambda db: _overwrite(db, old, new))
        if written and old.handoff and not new.handoff:
            if new.ticket_id is None:  # forgotten
                self._erase()
            else:
                self._erase_in(self._erase_after_s)
        elif written and old.person and not new.person:
            self._erase()
        return written or (standing is not None and read_row(standing) == new)  # its answer was lost: asked again

    def find(self, reference: str, *, now: float) -> list[Entry]:
        """Return the rows under a reference; see `Ledger.find`."""
        self.recover()
        query = "SELECT row FROM entries WHERE reference = ? AND expires_at > ? ORDER BY entry"
        found: dict[tuple[str, str], Entry] = {}
        for row in self._read(query, reference, now):
            for one in self._first(row, now) if row.alias_of else [row]:
                found[one.reference, one.entry] = one
        return list(found.values())

    def due(self, until: float, limit: int, after: Entry | None = None) -> list[Entry]:
        """Return rows that are due; see `Ledger.due`."""
        self.recover()
        place = (after.due_at, after.reference, after.entry) if after else (float("-inf"), "", "")
        return self._read(_DUE, until, *place, limit=limit)

    def in_conversation(self, conversation: str, *, now: float) -> list[Entry]:
        """Return the rows of a conversation; see `Ledger.in_conversation`."""
        query = "SELECT row FROM entries WHERE conversation = ? AND conversation <> '' AND expires_at > ?"
        return self._read(query + " ORDER BY created_at", conversation, now)

    def take_slot(self, person: str, entry: Entry, *, now: float, tickets_an_hour: int) -> bool:
        """Take a place of the person's hour; see `Ledger.take_slot`."""
        return self._write(lambda db: _take_slot(db, person, entry.name, now, tickets_an_hour))

    def with_slot(self, person: str, *, now: float) -> list[Entry]:
        """Return the rows that have a place; see `Ledger.with_slot`."""
        return self._read(_WITH_PLACE, person, now - PERSON_WINDOW_S, now)

    def each(self) -> Iterator[Entry]:
        """Yield every row; see `Ledger.each`."""
        self.recover()
        yield from (row for row in self._read("SELECT row FROM entries ORDER BY created_at") if not row.alias_of)

    def delete(self, entry: Entry) -> None:
        """Remove the row; see `Ledger.delete`."""
        query = "DELETE FROM entries WHERE reference = ? AND entry = ?"
        self._write(lambda db: db.execute(query, (entry.reference, entry.entry)))
        self._erase()

    def close(self) -> None:
        """Close the file; see `Ledger.close`."""
        with self._lock:
            if self._eraser is not None and self._process == os.getpid():
                self._eraser.cancel()
            self._eraser = None
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
        self._write(lambda db: _tidy(db, now))
        self._erase()

    def migrate(self) -> int:
        """Do nothing: a file is migrated when it is opened."""
        return 0

    def _store_outage(self, at: float) -> None:
        self._write(lambda db: db.execute(_OUTAGE, (at,)))

    def _stored_outage(self) -> float | None:
        with self._lock, self._guarded() as db:
            (at,) = db.execute("SELECT max(at) FROM outages").fetchone()
        return cast("float | None", at)

    def _first(self, alias: Entry, now: float) -> list[Entry]:
        query = "SELECT row FROM entries WHERE reference = ? AND entry = ? AND expires_at > ?"
        return self._read(query, *named_by(alias.alias_of), now)

    def _erase(self) -> None:
        """Leave nothing that was erased in the write-ahead log; where it is in use, do so a little later."""
        if self._path == IN_MEMORY:
            return
        with self._lock, self._guarded() as db:
            busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            self._erase_in(self._erase_after_s / 4)

    def _erase_in(self, delay_s: float) -> None:
        """Do so in delay_s seconds, whether or not anybody calls until then."""
        with self._lock:
            if self._path == IN_MEMORY or self._eraser is not None:
                return
            self._eraser = threading.Timer(delay_s, _erase_now, (weakref.ref(self),))
            self._eraser.daemon = True
            self._eraser.start()

    def erase_now(self) -> None:
        """Erase what `_erase_in` was asked to, in its thread."""
        with self._lock:
            self._eraser = None
            is_open = self._connection is not None and self._process == os.getpid()
        if is_open:  # else whoever opens the file next erases
            with suppress(LedgerUnavailable):
                self._erase()

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
            raise job.failed
        return cast("T", job.result)

    def _commit(self, jobs: list[_Job[Any]]) -> None:
        failed: LedgerUnavailable | None = LedgerUnavailable("not committed")
        try:
            with self._guarded() as db:
                self._in_one_transaction(db, jobs)
            failed = None
        except LedgerUnavailable as error:
            failed = error
        finally:
            for job in jobs:
                job.failed, job.done = failed, True

    def _in_one_transaction(self, db: sqlite3.Connection, jobs: list[_Job[Any]]) -> None:
        db.execute("BEGIN IMMEDIATE")
        try:
            for job in jobs:
                job.result = job.work(db)
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
        self._check_file()

    def _check_file(self) -> None:
        """Raise FileLost unless the open file is still the one that its path names."""
        if self._identity is not None:
            self._identity = self._identity.check(self._path)

    @contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._open()
        except FileLost as error:
            logger.error("ledger lost", extra={"error": str(error)})
            self._was_lost = True
            self._mark(time.time())  # rows are missing now: what follows must look for tickets first
            self.close()
            raise
        except (sqlite3.Error, OSError) as error:
            self.close()  # whatever broke, the next call starts afresh
            raise LedgerUnavailable(f"{type(error).__name__}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        """Return this process's connection; one opened before a fork must not be used after it."""
        if self._connection is not None and self._process != os.getpid():
            self.close()
        if self._connection is None:
            was_left = _has_log(self._path)
            self._connection, self._process = connect(self._path, create=self._create), os.getpid()
            if self._path != IN_MEMORY:
                self._identity = Identity.of(self._path)
            if self._was_lost:
                self._check_new_file(self._connection)
            if was_left:  # perhaps by a process that was killed with words in it
                self._erase_in(self._erase_after_s)
        else:
            self._check_file()
        return self._connection

    def _check_new_file(self, db: sqlite3.Connection) -> None:
        """Raise sqlite3.DatabaseError if the file that stands where another was lost is damaged."""
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError("the file is damaged")
        self._was_lost = False


def _erase_now(ledger: weakref.ref[SQLiteLedger]) -> None:
    """Erase, unless the ledger is gone: waiting must not keep it."""
    if (standing := ledger()) is not None:
        standing.erase_now()


def _has_log(path: str) -> bool:
    """Return True if somebody left a write-ahead log with something in it."""
    try:
        return Path(f"{path}-wal").stat().st_size > 0
    except OSError:
        return False


def _claim(db: sqlite3.Connection, entry: Entry, now: float, tickets_an_hour: int) -> _Claimed:
    standing = _standing(db, entry.reference, entry.entry, now)
    if standing is not None and standing.alias_of is None and standing.owner != entry.owner:
        return _Claimed(standing.row)
    named = standing.alias_of if standing is not None else _holder_of_words(db, entry, now)
    first = _standing(db, *named_by(named), now) if named else None
    if named and first is not None:
        if standing is None:
            _put(db, entry.alias(named))
        return _Claimed(first.row, same_words=True)
    _put(db, entry)
    if entry.shares_words and (standing is None or standing.alias_of):  # else they were written with the row
        until = entry.created_at + WORDS_WINDOW_S
        db.execute(_KEEP_WORDS, (entry.words, entry.reference, entry.entry, until))
    return _Claimed(None, entry.counts and not _take_slot(db, entry.limited_by, entry.name, now, tickets_an_hour))


def _standing(db: sqlite3.Connection, reference: str, key: str, now: float) -> _Standing | None:
    """Return the row of a key, unread, unless it is over."""
    found = db.execute(_STANDING, (reference, key, now)).fetchone()
    return _Standing(*found) if found else None


def _holder_of_words(db: sqlite3.Connection, entry: Entry, now: float) -> str:
    """Return "REFERENCE KEY" of the other row that has held the words of entry for less than WORDS_WINDOW_S, or ""."""
    if not entry.shares_words:
        return ""
    found = db.execute(
        "SELECT reference, entry FROM words WHERE words = ? AND until > ?", (entry.words, now)
    ).fetchone()
    return "" if found in {None, (entry.reference, entry.entry)} else " ".join(found)


def _put(db: sqlite3.Connection, entry: Entry, *, unless_there: bool = False) -> None:
    whose, stamps = (entry.reference, entry.entry, entry.version, entry.owner), (entry.due_at, entry.created_at)
    put = _PUT.replace("REPLACE", "IGNORE") if unless_there else _PUT
    db.execute(put, (*whose, *stamps, _end_of(entry), entry.conversation, entry.to_json()))


def _end_of(entry: Entry) -> float:
    return entry.expires_at if entry.expires else NEVER


def _overwrite(db: sqlite3.Connection, old: Entry, new: Entry) -> tuple[bool, str | None]:
    """Return whether new was written; if not, the row that stands there, unread, or None."""
    values = (new.version, new.owner, new.due_at, new.created_at, _end_of(new), new.conversation, new.to_json())
    if db.execute(_OVERWRITE, (*values, old.reference, old.entry, old.version, old.owner)).rowcount:
        for row in files_of(old, new):  # one that is there belongs to the same file, sent twice
            _put(db, row, unless_there=True)
        return True, None
    standing = _standing(db, old.reference, old.entry, float("-inf"))
    return False, standing.row if standing else None


def _tidy(db: sqlite3.Connection, now: float) -> None:
    db.execute(KEEP_ROWS_WITHOUT_TICKET, {"until": now})  # 1.0.0 gave them an end; it may have run again since
    db.execute("DELETE FROM entries WHERE expires_at <= ?", (now,))
    db.execute("DELETE FROM places WHERE taken_at <= ?", (now - PERSON_WINDOW_S,))
    db.execute("DELETE FROM words WHERE until <= ?", (now,))


def _take_slot(db: sqlite3.Connection, person: str, name: str, now: float, tickets_an_hour: int) -> bool:
    """Count this ticket against the person's hour; the same row is counted once."""
    if not person:
        return True
    whose = {"person": person, "owner": name, "since": now - PERSON_WINDOW_S}
    taken = db.execute(_TAKE_PLACE, {**whose, "now": now, "bound": tickets_an_hour}).rowcount
    return bool(taken) or db.execute(_HAS_PLACE, whose).fetchone() is not None

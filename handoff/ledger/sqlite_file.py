"""The SQLite file itself: its rights, its layout and how it came to be, and whether it is still the one opened."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from handoff.ledger import LedgerMissing, LedgerTooNew, LedgerUnavailable

BUSY_TIMEOUT_S: Final = 1.0
CHECKPOINT_PAGES: Final = 2000  # 8 MB: once in 200 handoffs a commit does some milliseconds of work for all
IN_MEMORY: Final = ":memory:"
NEVER: Final = 253_402_300_799.0  # the year 9999
_MODE: Final = 0o600
_SIDECARS: Final = ("-wal", "-shm")  # https://sqlite.org/walformat.html

_TABLES_OF_1_0_0: Final = (
    """
    CREATE TABLE IF NOT EXISTS entries (
        reference TEXT NOT NULL, entry TEXT NOT NULL, version INTEGER NOT NULL, owner TEXT NOT NULL,
        due_at REAL, created_at REAL NOT NULL, expires_at REAL NOT NULL,
        conversation TEXT NOT NULL, row TEXT NOT NULL,
        PRIMARY KEY (reference, entry)
    ) STRICT
    """,
    "CREATE INDEX IF NOT EXISTS due ON entries (due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS conversation ON entries (conversation, created_at) WHERE conversation <> ''",
    "CREATE TABLE IF NOT EXISTS places (person TEXT NOT NULL, taken_at REAL NOT NULL, owner TEXT NOT NULL) STRICT",
    "CREATE INDEX IF NOT EXISTS person ON places (person, taken_at)",
)
KEEP_ROWS_WITHOUT_TICKET: Final = f"""
    UPDATE entries SET expires_at = {NEVER} WHERE expires_at <= :until AND CASE WHEN json_valid(row)
        THEN json_extract(row, '$.ticket_id') IS NULL AND json_extract(row, '$.alias_of') IS NULL ELSE 1 END
"""  # noqa: S608 -- written here
_WORDS_AND_OUTAGES: Final = (
    """
    CREATE TABLE words (
        words TEXT PRIMARY KEY, reference TEXT NOT NULL, entry TEXT NOT NULL, until REAL NOT NULL
    ) STRICT
    """,
    "CREATE TABLE outages (name TEXT PRIMARY KEY, at REAL NOT NULL) STRICT",
    KEEP_ROWS_WITHOUT_TICKET.replace(":until", f"{NEVER - 1}"),
)
MIGRATIONS: Final = (_TABLES_OF_1_0_0, _WORDS_AND_OUTAGES)  # each takes the file from version n to n + 1
LAYOUT: Final = len(MIGRATIONS)


class FileLost(LedgerUnavailable):
    """The file was removed, swapped or cut under the process."""


class Identity(NamedTuple):
    """Which files are open: device and inode of each, and how long the first one is at least."""

    files: dict[str, tuple[int, int]]
    size: int

    @staticmethod
    def of(path: str) -> Identity:
        """Return the identity of the files that are at path now. Raises OSError where the first one is not there."""
        main = os.stat(path)  # noqa: PTH116 -- twice a commit; a Path costs ten times as much
        files = {path: (main.st_dev, main.st_ino)}
        for suffix in _SIDECARS:
            try:
                beside = os.stat(path + suffix)  # noqa: PTH116 -- as above
            except FileNotFoundError:
                continue
            files[suffix] = (beside.st_dev, beside.st_ino)
        return Identity(files, main.st_size)

    def check(self, path: str) -> Identity:
        """Return the identity of now.

        Raises:
            FileLost: it is not that of the same files, grown at most.
        """
        try:
            now = Identity.of(path)
        except OSError as error:
            raise FileLost(f"the ledger's file is gone ({type(error).__name__})") from error
        if now.files != self.files:
            raise FileLost("the ledger's file was replaced, or what stands beside it")
        if now.size < self.size:
            raise FileLost("the ledger's file was cut")
        return now


def connect(path: str, *, create: bool) -> sqlite3.Connection:
    """Return a connection to the file, laid out as this version needs it.

    Raises:
        LedgerMissing: there is no such file, and create is False; or there is no such directory.
        LedgerTooNew: a newer version has laid it out.
        sqlite3.Error, OSError: it cannot be opened.
    """
    if path != IN_MEMORY:
        _prepare(path, create=create)
    db = sqlite3.connect(
        path if path == IN_MEMORY else f"{Path(path).absolute().as_uri()}?mode=rw",
        uri=path != IN_MEMORY,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
    )
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        db.execute("PRAGMA secure_delete = ON")  # a person's words go when their row does
        db.execute("PRAGMA synchronous = FULL")  # a claim that a power cut could undo is no claim
        _migrate(db, path)
    except (sqlite3.Error, LedgerTooNew):
        db.close()
        raise
    return db


def _prepare(path: str, *, create: bool) -> None:
    """Make the file if it is not there and may be made; nobody but its owner can read it, whatever the umask.

    A file that is there is never opened here: closing it would end the locks that SQLite holds on it in this process
    (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
    """
    if not Path(path).exists():
        if not Path(path).parent.is_dir():
            raise LedgerMissing(f"there is no directory {Path(path).parent}; make it, or correct LEDGER_URL")
        if not create:
            raise LedgerMissing(f"there is no file {path}; set LEDGER_URL to the function's ledger")
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _MODE))
    for name in (path, *(path + suffix for suffix in _SIDECARS)):
        with suppress(FileNotFoundError, PermissionError):  # another user's file: its owner has to
            Path(name).chmod(_MODE)


def _migrate(db: sqlite3.Connection, path: str) -> None:
    """Bring the file to this version's layout, a transaction a step; several processes may do so at once."""
    while (version := _version(db)) != LAYOUT:
        if version > LAYOUT:
            raise LedgerTooNew(
                f"{path} has layout {version}, and this version of the function knows {LAYOUT}: use the newer version"
            )
        db.execute("BEGIN IMMEDIATE")
        try:
            if _version(db) == version:
                for statement in MIGRATIONS[version]:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {version + 1}")
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)

"""The stand-in's memory: tickets, contacts and conversations in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

Row = dict[str, Any]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS contacts (
    id INTEGER PRIMARY KEY, name TEXT, email TEXT COLLATE NOCASE UNIQUE, phone TEXT, mobile TEXT,
    twitter_id TEXT, unique_external_id TEXT, facebook_id TEXT, created_at REAL, updated_at REAL
);
CREATE TABLE IF NOT EXISTS tickets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, requester_id INTEGER, subject TEXT, description TEXT,
    description_text TEXT, status INTEGER, priority INTEGER, source INTEGER, type TEXT, group_id INTEGER,
    responder_id INTEGER, product_id INTEGER, email_config_id INTEGER, company_id INTEGER, parent_id INTEGER,
    tags TEXT, cc_emails TEXT, custom_fields TEXT, due_by TEXT, fr_due_by TEXT, spam INTEGER DEFAULT 0,
    deleted INTEGER DEFAULT 0, created_at REAL, updated_at REAL
);
CREATE INDEX IF NOT EXISTS tickets_by_requester ON tickets (requester_id);
CREATE INDEX IF NOT EXISTS tickets_by_created ON tickets (created_at);
CREATE TABLE IF NOT EXISTS conversations (
    id INTEGER PRIMARY KEY, ticket_id INTEGER, kind TEXT, body TEXT, body_text TEXT, private INTEGER,
    incoming INTEGER, user_id INTEGER, emails TEXT, created_at REAL, updated_at REAL
);
CREATE INDEX IF NOT EXISTS conversations_by_ticket ON conversations (ticket_id);
CREATE TABLE IF NOT EXISTS attachments (
    id INTEGER PRIMARY KEY, ticket_id INTEGER, conversation_id INTEGER, name TEXT, content_type TEXT,
    size INTEGER, created_at REAL
);
"""
_JSON_COLUMNS: Final = ("tags", "cc_emails", "custom_fields", "emails")
# Contact ids exceed 32 bits on real accounts; ticket ids are small.
_FIRST_IDS: Final = {"contacts": 1070000001001, "conversations": 1070000100001, "attachments": 1070000200001}
CONTACT_KEYS: Final = ("email", "phone", "mobile", "twitter_id", "unique_external_id", "facebook_id")


class Store:
    """One SQLite file, or memory where `path` is None; every method is one transaction, from any thread."""

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        # The stand-in guards nobody's data: speed is worth more here than surviving a power cut.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several calls as one: all of them are kept, or none."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def add(self, table: str, values: Mapping[str, Any]) -> int:
        """Add a row; gives its id."""
        row = _packed(values)
        with self.transaction():
            if table in _FIRST_IDS:
                row.setdefault("id", self._next_id(table))
            marks = ", ".join("?" * len(row))
            sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608 - names are this package's
            added = self._db.execute(sql, tuple(row.values())).lastrowid
        return int(added or 0)

    def change(self, table: str, row_id: int, values: Mapping[str, Any]) -> None:
        """Change columns of one row."""
        row = _packed(values)
        names = ", ".join(f"{name} = ?" for name in row)
        with self.transaction():
            sql = f"UPDATE {table} SET {names} WHERE id = ?"  # noqa: S608 - names are this package's
            self._db.execute(sql, (*row.values(), row_id))

    def one(self, table: str, row_id: int) -> Row | None:
        """The row with this id."""
        rows = self.select(table, "id = ?", (row_id,))
        return rows[0] if rows else None

    def select(
        self,
        table: str,
        where: str = "1",
        values: Sequence[Any] | Mapping[str, Any] = (),
        *,
        order: str = "id",
        limit: int = -1,
        offset: int = 0,
    ) -> list[Row]:
        """Rows that match, JSON columns read. `where` and `order` are this package's own words."""
        clauses = f"WHERE {where} ORDER BY {order} LIMIT {limit:d} OFFSET {offset:d}"
        with self._lock:
            rows = self._db.execute(f"SELECT * FROM {table} {clauses}", values).fetchall()  # noqa: S608 - as said above
        return [_unpacked(row) for row in rows]

    def count(self, table: str, where: str = "1", values: Sequence[Any] | Mapping[str, Any] = ()) -> int:
        """How many rows match."""
        sql = f"SELECT count(*) FROM {table} WHERE {where}"  # noqa: S608 - as in `select`
        with self._lock:
            return int(self._db.execute(sql, values).fetchone()[0])

    def contact_by(self, key: str, value: Any) -> Row | None:
        """The contact with this e-mail, phone, …: one of CONTACT_KEYS."""
        rows = self.select("contacts", f"{key} = ?", (value,), limit=1)
        return rows[0] if rows else None

    def _next_id(self, table: str) -> int:
        sql = f"SELECT coalesce(max(id) + 1, ?) FROM {table}"  # noqa: S608 - names are this package's
        return int(self._db.execute(sql, (_FIRST_IDS[table],)).fetchone()[0])


def _packed(values: Mapping[str, Any]) -> Row:
    return {
        name: json.dumps(value, ensure_ascii=False) if name in _JSON_COLUMNS and value is not None else value
        for name, value in values.items()
    }


def _unpacked(row: sqlite3.Row) -> Row:
    told = dict(row)
    for name in _JSON_COLUMNS:
        if told.get(name) is not None:
            told[name] = json.loads(told[name])
    return told

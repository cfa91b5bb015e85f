"""What the stand-in stores: tickets, contacts, conversations and attachments in one SQLite file."""

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
    id INTEGER PRIMARY KEY, name TEXT, email TEXT COLLATE NOCASE UNIQUE, phone TEXT, unique_external_id TEXT
);
CREATE TABLE IF NOT EXISTS tickets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, requester_id INTEGER, subject TEXT, description TEXT,
    description_text TEXT, status INTEGER, priority INTEGER, source INTEGER, type TEXT, group_id INTEGER,
    responder_id INTEGER, product_id INTEGER, email_config_id INTEGER, tags TEXT, custom_fields TEXT,
    spam INTEGER DEFAULT 0, deleted INTEGER DEFAULT 0, created_at REAL, updated_at REAL
);
CREATE INDEX IF NOT EXISTS tickets_by_requester ON tickets (requester_id);
CREATE INDEX IF NOT EXISTS tickets_by_created ON tickets (created_at);
CREATE TABLE IF NOT EXISTS conversations (
    id INTEGER PRIMARY KEY, ticket_id INTEGER, kind TEXT, body TEXT, body_text TEXT, private INTEGER,
    user_id INTEGER, created_at REAL
);
CREATE INDEX IF NOT EXISTS conversations_by_ticket ON conversations (ticket_id);
CREATE TABLE IF NOT EXISTS contents (id INTEGER PRIMARY KEY, sha256 TEXT, content BLOB);
CREATE TABLE IF NOT EXISTS attachments (
    id INTEGER PRIMARY KEY, conversation_id INTEGER, name TEXT, content_type TEXT, size INTEGER, created_at REAL
);
"""
_JSON_COLUMNS: Final = ("tags", "custom_fields")
# Ids of contacts exceed 32 bits on real accounts; those of tickets are small.
_FIRST_IDS: Final = {"contacts": 1070000001001, "conversations": 1070000100001, "attachments": 1070000200001}


class Store:
    """One SQLite file, or memory where `path` is None; safe to use from many threads.

    Names of tables and columns, `where` and `order` come from this package, never from a request.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        # Nobody depends on this data: speed is worth more than surviving a power cut.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all calls made inside, or none where one raises."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def add(self, table: str, values: Mapping[str, Any]) -> int:
        """Add a row and return its id."""
        row = _packed(values)
        with self._lock:
            if table in _FIRST_IDS:
                highest = self._db.execute(f"SELECT max(id) FROM {table}").fetchone()[0]  # noqa: S608 - see the class
                row["id"] = highest + 1 if highest else _FIRST_IDS[table]
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - see the class
            return int(self._db.execute(sql, tuple(row.values())).lastrowid or 0)

    def change(self, table: str, row_id: int, values: Mapping[str, Any]) -> None:
        """Change columns of one row."""
        row = _packed(values)
        names = ", ".join(f"{name} = ?" for name in row)
        with self._lock:
            self._db.execute(f"UPDATE {table} SET {names} WHERE id = ?", (*row.values(), row_id))  # noqa: S608 - see the class

    def one(self, table: str, key: Any, column: str = "id") -> Row | None:
        """Return the first row with this value in a column, or None."""
        rows = self.select(table, f"{column} = ?", (key,), limit=1)
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
        """Return the rows that match, their JSON columns read."""
        clauses = f"WHERE {where} ORDER BY {order} LIMIT {limit:d} OFFSET {offset:d}"
        with self._lock:
            rows = self._db.execute(f"SELECT * FROM {table} {clauses}", values).fetchall()  # noqa: S608 - see the class
        return [
            {name: json.loads(value) if name in _JSON_COLUMNS else value for name, value in dict(row).items()}
            for row in rows
        ]

    def count(self, table: str, where: str = "1", values: Sequence[Any] | Mapping[str, Any] = ()) -> int:
        """Return how many rows match."""
        sql = f"SELECT count(*) FROM {table} WHERE {where}"  # noqa: S608 - see the class
        with self._lock:
            return int(self._db.execute(sql, values).fetchone()[0])


def _packed(values: Mapping[str, Any]) -> Row:
    return {
        name: json.dumps(value, ensure_ascii=False) if name in _JSON_COLUMNS else value
        for name, value in values.items()
    }

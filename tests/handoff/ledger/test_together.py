"""Threads that wait for the SQLite ledger share one commit; none reports success before it, or without it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from handoff.ledger import Claim, Entry, LedgerUnavailable
from handoff.ledger.sqlite import SQLiteLedger
from tests.ledger_factories import entry

WRITERS = 8
Statements = list[str]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SQLiteLedger]:
    """Return a ledger in a new file."""
    opened = SQLiteLedger(tmp_path / "ledger.db")
    yield opened
    opened.close()


def row(number: int) -> Entry:
    """Return a different row for each number."""
    return entry(reference=f"BF-{number:08}", entry=f"key-{number}", owner=f"owner-{number}", person="")


def all_waiting(ledger: SQLiteLedger, writes: Sequence[Callable[[], Any]]) -> list[Future[Any]]:
    """Start every write while the ledger is locked, and release the lock when all of them wait."""
    with ThreadPoolExecutor(len(writes)) as threads:
        with ledger._lock:  # noqa: SLF001 -- simulates a busy disk
            begun = [threads.submit(write) for write in writes]
            until = time.monotonic() + 10
            while len(ledger._jobs) < len(writes) and time.monotonic() < until:  # noqa: SLF001 -- as above
                time.sleep(0.001)
        return begun


def claims(ledger: SQLiteLedger, numbers: range) -> list[Callable[[], Claim]]:
    """Return one claim for each number."""
    return [partial(ledger.claim, row(number), now=1000.0, tickets_an_hour=5) for number in numbers]


def test_claims_that_wait_share_a_commit(ledger: SQLiteLedger) -> None:
    """Eight claims that wait together take one commit, and each has its row."""
    said: Statements = []
    ledger._open().set_trace_callback(said.append)  # noqa: SLF001 -- SQLite reports the statements it ran
    claimed = all_waiting(ledger, claims(ledger, range(WRITERS)))
    assert [claim.result().mine for claim in claimed] == [True] * WRITERS
    assert said.count("COMMIT") == 1
    assert len([*ledger.each()]) == WRITERS


def test_of_waiting_claims_of_one_key_one_is_granted(ledger: SQLiteLedger) -> None:
    """Inside a shared transaction the claims still run one after the other."""
    same = [partial(ledger.claim, entry(owner=f"{n}"), now=1000.0, tickets_an_hour=5) for n in range(WRITERS)]
    assert sum(claim.result().mine for claim in all_waiting(ledger, same)) == 1


def test_a_commit_that_fails_fails_for_all(ledger: SQLiteLedger, tmp_path: Path) -> None:
    """If the file cannot be written, no caller gets the answer that its row is kept."""
    ledger.claim(row(99), now=1000.0, tickets_an_hour=5)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # another process writes for longer than the time-out
    failed = all_waiting(ledger, claims(ledger, range(WRITERS)))
    assert [type(claim.exception()) for claim in failed] == [LedgerUnavailable] * WRITERS
    other.execute("ROLLBACK")
    other.close()
    assert [kept.entry for kept in ledger.each()] == ["key-99"]


def unreadable(ledger: SQLiteLedger, standing: Entry) -> None:
    """Put a row into the ledger that this version cannot read."""
    ledger.claim(standing, now=1000.0, tickets_an_hour=5)
    ledger._open().execute("UPDATE entries SET row = '{}'")  # noqa: SLF001 -- as another version might write it


@pytest.mark.parametrize("what", ["claim", "replace"])
def test_an_unreadable_row_fails_only_its_caller(ledger: SQLiteLedger, what: str) -> None:
    """All others of the same commit have their rows; the caller of that row gets an error."""
    unreadable(ledger, row(99))
    other = replace(row(99), owner="other", version=2)
    ask = partial(ledger.claim, other, now=1000.0, tickets_an_hour=5)
    asks = [ask if what == "claim" else partial(ledger.replace, other, replace(other, version=3))]
    bad, *claimed = all_waiting(ledger, [*asks, *claims(ledger, range(WRITERS))])
    assert str(bad.exception()) == "unreadable row"
    assert [claim.result().mine for claim in claimed] == [True] * WRITERS
    assert len([*ledger.each()]) == WRITERS


def test_a_mistake_in_one_write_is_no_success_for_the_others(ledger: SQLiteLedger) -> None:
    """All that shared the transaction get an error, and ask again."""

    def wrong() -> Any:
        return ledger._write(lambda _: 1 // 0)  # noqa: SLF001 -- no public call can do this

    failed = all_waiting(ledger, [*claims(ledger, range(WRITERS)), wrong])
    assert {type(claim.exception()) for claim in failed} <= {LedgerUnavailable, ZeroDivisionError}
    assert [*ledger.each()] == []
    assert ledger.claim(row(1), now=1000.0, tickets_an_hour=5).mine


def test_every_commit_is_flushed_to_the_disk(ledger: SQLiteLedger) -> None:
    """SQLite reports a write-ahead log and synchronous FULL (2)."""
    db = ledger._open()  # noqa: SLF001 -- the settings belong to the connection
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)

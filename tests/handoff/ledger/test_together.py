"""Threads that wait for the SQLite ledger share one commit; none hears success before it, or instead of it."""

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
    """Give a ledger in a new file."""
    opened = SQLiteLedger(tmp_path / "ledger.db")
    yield opened
    opened.close()


def row(number: int) -> Entry:
    """Return a row of its own for each number."""
    return entry(reference=f"BF-{number:08}", entry=f"key-{number}", owner=f"owner-{number}", person="")


def all_waiting(ledger: SQLiteLedger, writes: Sequence[Callable[[], Any]]) -> list[Future[Any]]:
    """Start every write while the ledger is busy, and let them go when all of them wait."""
    with ThreadPoolExecutor(len(writes)) as threads:
        with ledger._lock:  # noqa: SLF001 -- a disk that is busy just long enough
            begun = [threads.submit(write) for write in writes]
            until = time.monotonic() + 10
            while len(ledger._jobs) < len(writes) and time.monotonic() < until:  # noqa: SLF001 -- as above
                time.sleep(0.001)
        return begun


def claims(ledger: SQLiteLedger, numbers: range) -> list[Callable[[], Claim]]:
    """Return one claim for each number."""
    return [partial(ledger.claim, row(number), now=1000.0, tickets_an_hour=5) for number in numbers]


def test_those_who_wait_share_a_commit(ledger: SQLiteLedger) -> None:
    """Eight claims that wait together cost one commit, and each has its row."""
    said: Statements = []
    ledger._open().set_trace_callback(said.append)  # noqa: SLF001 -- SQLite's own word on what it ran
    told = all_waiting(ledger, claims(ledger, range(WRITERS)))
    assert [claim.result().mine for claim in told] == [True] * WRITERS
    assert said.count("COMMIT") == 1
    assert len([*ledger.each()]) == WRITERS


def test_one_key_claimed_by_all_who_wait_has_one_holder(ledger: SQLiteLedger) -> None:
    """Inside a shared transaction the claims still come one after the other."""
    same = [partial(ledger.claim, entry(owner=f"{n}"), now=1000.0, tickets_an_hour=5) for n in range(WRITERS)]
    assert sum(claim.result().mine for claim in all_waiting(ledger, same)) == 1


def test_a_commit_that_fails_fails_for_all(ledger: SQLiteLedger, tmp_path: Path) -> None:
    """No one is told that their row is kept when the file cannot be written."""
    ledger.claim(row(99), now=1000.0, tickets_an_hour=5)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # another process writes, and does not end within the time-out
    told = all_waiting(ledger, claims(ledger, range(WRITERS)))
    assert [type(claim.exception()) for claim in told] == [LedgerUnavailable] * WRITERS
    other.execute("ROLLBACK")
    other.close()
    assert [kept.entry for kept in ledger.each()] == ["key-99"]


def unreadable(ledger: SQLiteLedger, standing: Entry) -> None:
    """Leave a row there that this version cannot read."""
    ledger.claim(standing, now=1000.0, tickets_an_hour=5)
    ledger._open().execute("UPDATE entries SET row = '{}'")  # noqa: SLF001 -- another version's doing


@pytest.mark.parametrize("what", ["claim", "replace"])
def test_a_row_that_cannot_be_read_is_its_callers_alone(ledger: SQLiteLedger, what: str) -> None:
    """All others of the same commit have their rows; who asked for that one hears that the ledger failed."""
    unreadable(ledger, row(99))
    other = replace(row(99), owner="other", version=2)
    ask = partial(ledger.claim, other, now=1000.0, tickets_an_hour=5)
    asks = [ask if what == "claim" else partial(ledger.replace, other, replace(other, version=3))]
    bad, *told = all_waiting(ledger, [*asks, *claims(ledger, range(WRITERS))])
    assert str(bad.exception()) == "unreadable row"
    assert [claim.result().mine for claim in told] == [True] * WRITERS
    assert len([*ledger.each()]) == WRITERS


def test_a_mistake_in_one_write_is_nobodys_success(ledger: SQLiteLedger) -> None:
    """Whoever shared the transaction with it hears that the ledger failed, and asks again."""

    def wrong() -> Any:
        return ledger._write(lambda _: 1 // 0)  # noqa: SLF001 -- no public call can do this

    told = all_waiting(ledger, [*claims(ledger, range(WRITERS)), wrong])
    assert {type(claim.exception()) for claim in told} <= {LedgerUnavailable, ZeroDivisionError}
    assert [*ledger.each()] == []
    assert ledger.claim(row(1), now=1000.0, tickets_an_hour=5).mine


def test_every_commit_waits_for_the_disk(ledger: SQLiteLedger) -> None:
    """SQLite's word: write-ahead log, synchronous FULL (2)."""
    db = ledger._open()  # noqa: SLF001 -- only the connection can tell
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)

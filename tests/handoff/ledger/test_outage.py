"""What is remembered while the SQLite file cannot be used, in the spool beside it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from handoff.ledger import Claim, Entry, LedgerUnavailable, State
from handoff.ledger.sqlite import SQLiteLedger
from tests.ledger_factories import NOW, entry

ROOT = Path(__file__).parents[3]
MADE = replace(entry(), state=State.CREATED, ticket_id=7, due_at=None, handoff='{"reason": "canario"}', version=2)
REMEMBER_AND_DIE = """
import os, sys
from handoff.ledger.sqlite import SQLiteLedger
from tests.handoff.ledger.test_outage import MADE
from tests.ledger_factories import NOW
SQLiteLedger(sys.argv[1]).remember(MADE, now=NOW)
os._exit(0)
"""


def made(number: int) -> Entry:
    """Return a row with another ticket each time."""
    return replace(MADE, entry=f"key-{number}", reference=f"BF-{number:08}", ticket_id=number, owner=f"o-{number}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the ledger's file."""
    return tmp_path / "handoffs.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SQLiteLedger]:
    """Return a ledger whose file exists."""
    store = SQLiteLedger(path)
    store.check()
    yield store
    store.close()


def spool(path: Path) -> bytes:
    """Return the contents of the spool."""
    return Path(f"{path}.spool").read_bytes()


def test_tickets_of_a_process_that_died_are_stored_by_the_next(path: Path, ledger: SQLiteLedger) -> None:
    """The spool outlives its process; once its rows are stored, it is empty."""
    subprocess.run([sys.executable, "-c", REMEMBER_AND_DIE, path], cwd=ROOT, check=True)
    claim = ledger.claim(entry(owner="two"), now=NOW + 5, tickets_an_hour=5)
    assert (claim.mine, claim.entry.ticket_id) == (False, 7)
    assert spool(path) == b""


def test_the_spool_holds_no_words(path: Path, ledger: SQLiteLedger) -> None:
    """It holds hashes and ticket numbers; `forget` stores its rows before it searches."""
    ledger.remember(replace(MADE, error="text"), now=NOW)
    (line,) = filter(None, spool(path).split(b"\n"))
    assert json.loads(line).keys().isdisjoint({"handoff", "error", "due_at"})
    assert [row.ticket_id for row in ledger.each()] == [7]


def test_an_open_transaction_of_another_program_is_an_outage_that_ends(path: Path, ledger: SQLiteLedger) -> None:
    """While a shell holds the file nothing is claimed, and afterwards nothing is claimed twice."""
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable):
            ledger.claim(entry(), now=NOW, tickets_an_hour=5)
        ledger.remember(MADE, now=NOW)
        with pytest.raises(LedgerUnavailable):
            ledger.claim(entry(owner="two"), now=NOW, tickets_an_hour=5)
        assert spool(path)
        shell.execute("ROLLBACK")
    assert ledger.claim(entry(owner="two"), now=NOW, tickets_an_hour=5).entry.ticket_id == 7
    assert not ledger.had_outage(NOW)  # every ticket has its row


def test_an_incomplete_line_does_not_affect_the_others(
    path: Path, ledger: SQLiteLedger, caplog: pytest.LogCaptureFixture
) -> None:
    """A process was killed while it wrote; the lines before and after it count."""
    ledger.remember(made(1), now=NOW)
    with Path(f"{path}.spool").open("ab") as file:
        file.write(b'{"reference": "BF-7K3Q')
    ledger.remember(made(2), now=NOW)
    with Path(f"{path}.spool").open("ab") as file:
        file.write(b'{"state": "teleported"}\n')
    assert ledger.recover() == 2
    assert {row.ticket_id for row in ledger.each()} == {1, 2}
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "unreadable row in the spool"
    ] * 2


def test_a_ticket_that_may_exist_leaves_a_mark_that_outlives_the_process(path: Path, ledger: SQLiteLedger) -> None:
    """There is no row to store, and each new claim must search first."""
    before = SQLiteLedger(path)
    before.remember(entry(), now=NOW)
    assert before.had_outage(NOW)
    before.close()
    assert ledger.had_outage(NOW)
    assert spool(path) == b""
    assert list(ledger.each()) == []


def test_if_the_spool_cannot_be_written_the_process_remembers(
    path: Path, ledger: SQLiteLedger, caplog: pytest.LogCaptureFixture
) -> None:
    """It remembers the row, and marks the outage in case it dies before the row is stored."""
    Path(f"{path}.spool").mkdir()
    ledger.remember(MADE, now=NOW)
    Path(f"{path}.spool").rmdir()
    assert "spool not written" in [record.getMessage() for record in caplog.records]
    assert ledger.claim(entry(owner="two"), now=NOW, tickets_an_hour=5).entry.ticket_id == 7
    assert ledger.had_outage(NOW)


def test_a_row_that_cannot_be_stored_stays_in_the_spool(path: Path, ledger: SQLiteLedger) -> None:
    """The next call tries again, and claims nothing before it."""
    ledger.remember(MADE, now=NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        for call in (ledger.recover, lambda: ledger.find(MADE.reference, now=NOW), lambda: ledger.due(NOW, 5)):
            with pytest.raises(LedgerUnavailable):
                call()
        shell.execute("ROLLBACK")
    assert [row.ticket_id for row in ledger.find(MADE.reference, now=NOW)] == [7]


def test_processes_can_remember_and_recover_at_once(path: Path, ledger: SQLiteLedger) -> None:
    """With two ledgers on one file, as in two processes, every ticket has its row in the end."""
    other = SQLiteLedger(path)

    def remember(number: int) -> None:
        (ledger if number % 2 else other).remember(made(number), now=NOW)
        if number % 5 == 0:
            (other if number % 2 else ledger).recover()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(remember, range(40)))
    ledger.recover()
    other.close()
    assert sorted(row.ticket_id or 0 for row in ledger.each()) == list(range(40))


def test_a_spool_that_cannot_be_read_is_an_outage(path: Path, ledger: SQLiteLedger) -> None:
    """It may hold tickets, so nothing is claimed before it can be read."""
    Path(f"{path}.spool", "x").mkdir(parents=True)
    with pytest.raises(LedgerUnavailable, match="spool: IsADirectoryError"):
        ledger.claim(entry(), now=NOW, tickets_an_hour=5)


def test_a_row_that_changes_over_and_over_stays_in_the_spool(path: Path, ledger: SQLiteLedger) -> None:
    """Another caller is quicker each time; the ticket's number is not lost."""

    class Overtaken(SQLiteLedger):
        def replace(self, old: Entry, new: Entry) -> bool:
            return not (old or new)

    overtaken = Overtaken(path)
    overtaken.claim(entry(owner="two"), now=NOW, tickets_an_hour=5)
    overtaken.remember(MADE, now=NOW)
    with pytest.raises(LedgerUnavailable, match="over and over"):
        overtaken.recover()
    overtaken.close()
    assert ledger.recover() == 1
    assert [row.ticket_id for row in ledger.each()] == [7]


def test_while_one_call_brings_in_rows_another_does_not_wait_for_long(path: Path) -> None:
    """The store is slow: not every call has to learn it."""
    began, let_go = threading.Event(), threading.Event()

    class Slow(SQLiteLedger):
        def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
            began.set()
            let_go.wait(10.0)
            return super().claim(entry, now=now, tickets_an_hour=tickets_an_hour)

    slow = Slow(path)
    slow.remember(MADE, now=NOW)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(slow.recover)
        began.wait(10.0)
        with pytest.raises(LedgerUnavailable, match="still being brought in"):
            slow.recover()
        let_go.set()
        assert first.result() == 1
    slow.close()

"""SQLite: many threads and processes, killed processes, files that are locked or missing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from handoff import transitions
from handoff.ledger import PERSON_WINDOW_S, LedgerUnavailable
from handoff.ledger.sqlite import TIDY_EVERY_S, SQLiteLedger, _erase_now
from handoff.ledger.sqlite_file import BUSY_TIMEOUT_S
from tests.closing import sqlite_ledger
from tests.ledger_factories import NOW, entry

ROOT = Path(__file__).parents[3]
PROCESSES = multiprocessing.get_context("spawn")
CLAIM_AND_WAIT = """
import sys, time
from handoff.ledger.sqlite import SQLiteLedger
from tests.ledger_factories import NOW, entry
SQLiteLedger(sys.argv[1]).claim(entry(), now=NOW, tickets_an_hour=5)
print("claimed", flush=True)
time.sleep(60)
"""

FILE_OF_1_0_0 = """
CREATE TABLE entries (
    reference TEXT NOT NULL, entry TEXT NOT NULL, version INTEGER NOT NULL, owner TEXT NOT NULL,
    due_at REAL, created_at REAL NOT NULL, expires_at REAL NOT NULL,
    conversation TEXT NOT NULL, row TEXT NOT NULL,
    PRIMARY KEY (reference, entry)
) WITHOUT ROWID, STRICT;
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SQLiteLedger]:
    """Return an empty ledger in a file."""
    store = sqlite_ledger(tmp_path / "ledger.db")
    yield store
    store.close()


def claims_won(path: Path, owner: str, rounds: int) -> list[int]:
    """Claim the same handoffs as every other process; return which ones were granted."""
    ledger = sqlite_ledger(path)
    rows = [entry(entry=f"{number:052d}", reference=f"BF-{number:08d}", owner=owner) for number in range(rounds)]
    won = [n for n, row in enumerate(rows) if ledger.claim(row, now=NOW, tickets_an_hour=rounds).mine]
    ledger.close()
    return won


def times_open(path: Path) -> int:
    """Return how often this process has the file open."""
    return sum(number.readlink() == path for number in Path("/proc/self/fd").iterdir() if number.is_symlink())


def test_one_of_four_processes_wins_each_claim(tmp_path: Path) -> None:
    """Four processes open a file that does not exist yet and claim the same handoffs: each is granted once."""
    rounds = 25
    with PROCESSES.Pool(4) as processes:
        tasks = [(tmp_path / "ledger.db", f"owner-{one}", rounds) for one in range(4)]
        won = processes.starmap(claims_won, tasks)
    assert sorted(number for numbers in won for number in numbers) == list(range(rounds))


def test_a_claim_outlives_its_process(tmp_path: Path, ledger: SQLiteLedger) -> None:
    """A process killed just after its claim has left the row."""
    command = [sys.executable, "-c", CLAIM_AND_WAIT, str(tmp_path / "ledger.db")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "claimed\n"
        program.send_signal(signal.SIGKILL)
    assert program.returncode == -signal.SIGKILL
    assert ledger.find(entry().reference, now=NOW) == [entry()]


def test_a_claim_is_on_the_disk_when_it_returns(ledger: SQLiteLedger) -> None:
    """The write-ahead log is flushed at every commit, so that a power cut undoes no claim."""
    with ledger._guarded() as db:  # noqa: SLF001 -- the setting belongs to the connection, which is private
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_forked_process_opens_the_file_again(tmp_path: Path, ledger: SQLiteLedger) -> None:
    """A connection from before a fork is neither used nor closed after it; both processes can write."""
    ledger.claim(entry(), now=NOW, tickets_an_hour=5)
    child = os.fork()
    if child == 0:
        written = ledger.claim(entry(entry="child", person=""), now=NOW, tickets_an_hour=5).mine
        os._exit(0 if written and times_open(tmp_path / "ledger.db") == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ledger.claim(entry(entry="parent", person=""), now=NOW, tickets_an_hour=5)
    assert {row.entry for row in ledger.each()} == {entry().entry, "child", "parent"}
    assert times_open(tmp_path / "ledger.db") == 1


def test_closing_after_a_fork_leaves_the_parents_connection_alone(tmp_path: Path, ledger: SQLiteLedger) -> None:
    """A child must not close the connection that it inherited: SQLite forbids that."""
    ledger.claim(entry(), now=NOW, tickets_an_hour=5)
    child = os.fork()
    if child == 0:
        ledger.close()
        os._exit(0 if times_open(tmp_path / "ledger.db") == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_locked_file_is_an_outage_within_seconds(tmp_path: Path, ledger: SQLiteLedger) -> None:
    """While another process holds the file, the caller gets an error soon; afterwards the next call succeeds."""
    ledger.claim(entry(), now=NOW, tickets_an_hour=5)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        began_at = time.monotonic()
        with pytest.raises(LedgerUnavailable):
            ledger.delete(entry())
        assert time.monotonic() - began_at < 3
        other.execute("ROLLBACK")
    ledger.delete(entry())
    assert list(ledger.each()) == []


def test_a_file_of_an_older_version_works(tmp_path: Path, ledger: SQLiteLedger) -> None:
    """Its table has another layout; claims and replacements work the same."""
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as older:
        older.executescript(FILE_OF_1_0_0)
    assert ledger.claim(entry(), now=NOW, tickets_an_hour=5).mine
    assert not ledger.claim(entry(owner="another"), now=NOW, tickets_an_hour=5).mine
    after = transitions.changed(entry(), due_at=None)
    assert ledger.replace(entry(), after)
    assert ledger.find(entry().reference, now=NOW) == [after]


def test_a_missing_directory_is_an_outage(tmp_path: Path) -> None:
    """A file that cannot be opened is reported as an outage, not as SQLite's own error."""
    with pytest.raises(LedgerUnavailable):
        sqlite_ledger(tmp_path / "nowhere" / "ledger.db").find("BF-7K3QX2AB", now=NOW)


def test_a_file_that_is_no_database_is_an_outage(tmp_path: Path) -> None:
    """A file of another kind is an outage, too, and no connection to it stays open."""
    (tmp_path / "ledger.db").write_bytes(b"something else" * 100)
    with pytest.raises(LedgerUnavailable):
        sqlite_ledger(tmp_path / "ledger.db").find("BF-7K3QX2AB", now=NOW)
    assert times_open(tmp_path / "ledger.db") == 0


def test_an_error_undoes_the_whole_claim(ledger: SQLiteLedger) -> None:
    """A claim that fails half-way leaves neither a row nor a place."""
    broken = entry(error=object())
    with pytest.raises(TypeError):
        ledger.claim(broken, now=NOW, tickets_an_hour=1)
    assert list(ledger.each()) == []
    assert not ledger.claim(entry(owner="two"), now=NOW, tickets_an_hour=1).over_limit


def test_tidying_removes_expired_rows_and_places(ledger: SQLiteLedger) -> None:
    """Once an hour, rows past their end and places older than an hour are removed."""
    ledger.claim(entry(expires_at=NOW + 1, ticket_id=7), now=NOW, tickets_an_hour=5)
    ledger.claim(entry(entry="lives", expires_at=NOW + 9e9), now=NOW + 1, tickets_an_hour=5)
    ledger.tidy(NOW)
    ledger.tidy(NOW + TIDY_EVERY_S - 1)
    assert len(list(ledger.each())) == 2
    ledger.tidy(NOW + TIDY_EVERY_S)
    assert [row.entry for row in ledger.each()] == ["lives"]
    with ledger._guarded() as db:  # noqa: SLF001 -- places are private to the store
        assert db.execute("SELECT count(*) FROM places WHERE taken_at <= ?", (NOW,)).fetchone() == (0,)
    assert PERSON_WINDOW_S == TIDY_EVERY_S


def test_sqlite_alone_needs_no_botocore() -> None:
    """An installation with SQLite does not load the library of DynamoDB, and need not install it."""
    program = (
        "import sys; from handoff.settings import LedgerAddress; from handoff.bootstrap import open_ledger;"
        "ledger = open_ledger(LedgerAddress(store='sqlite', name=':memory:')); list(ledger.each());"
        "print(repr(ledger), sorted(name for name in sys.modules if name.split('.')[0] in ('botocore', 'boto3')))"
    )
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert finished.stdout == "SQLiteLedger(:memory:) []\n"


def test_a_removed_row_leaves_no_trace_in_the_files(tmp_path: Path) -> None:
    """The words of a person who asks to be forgotten do not stay in the write-ahead log."""
    ledger = sqlite_ledger(tmp_path / "handoffs.db")
    row = entry(handoff='{"conversation_summary": "CANARIO-OLVIDADO"}')
    ledger.claim(row, now=NOW, tickets_an_hour=5)
    assert any(b"CANARIO-OLVIDADO" in path.read_bytes() for path in tmp_path.iterdir())
    ledger.delete(row)
    assert not any(b"CANARIO-OLVIDADO" in path.read_bytes() for path in tmp_path.iterdir())
    ledger.close()


def test_tidying_keeps_the_places_of_this_hour(tmp_path: Path) -> None:
    """Otherwise a person would get five more tickets after the hourly tidying."""
    ledger = sqlite_ledger(tmp_path / "handoffs.db")
    assert ledger.take_slot("p", entry(), now=NOW, tickets_an_hour=1)
    ledger.tidy(NOW + PERSON_WINDOW_S - 1)
    assert not ledger.take_slot("p", entry(reference="BF-BBBBBBBB"), now=NOW + PERSON_WINDOW_S - 1, tickets_an_hour=1)
    ledger.close()


def test_one_connection_serves_all_calls(tmp_path: Path) -> None:
    """Opening one takes longer than a claim; a lock is waited for no longer than a second."""
    ledger = sqlite_ledger(tmp_path / "handoffs.db")
    assert ledger._open() is ledger._open()  # noqa: SLF001 -- the reuse is not visible otherwise
    assert BUSY_TIMEOUT_S == 1.0
    ledger.close()


def test_what_is_erased_later_waits_for_nobody(tmp_path: Path) -> None:
    """The file may be closed by then, or its ledger gone; whoever opens it next erases."""
    ledger = SQLiteLedger(tmp_path / "handoffs.db")
    ledger.check()
    whose = weakref.ref(ledger)
    ledger.close()
    ledger.erase_now()
    assert times_open(tmp_path / "handoffs.db") == 0
    del ledger
    _erase_now(whose)
    assert whose() is None

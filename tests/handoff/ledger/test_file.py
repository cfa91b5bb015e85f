"""The SQLite file is checked, not believed; nobody else can read it; erased words leave it soon."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from handoff.ledger import LedgerMissing, LedgerUnavailable, State
from handoff.ledger.sqlite import ERASE_AFTER_S, SQLiteLedger
from handoff.ledger.sqlite_file import FileLost
from tests.ledger_factories import NOW, entry

ROOT = Path(__file__).parents[3]
MAKE_AND_DIE = """
import os, sys
from handoff.ledger.sqlite import SQLiteLedger
from tests.handoff.ledger.test_file import HELD, MADE
from tests.ledger_factories import NOW
ledger = SQLiteLedger(sys.argv[1])
ledger.claim(HELD, now=NOW, tickets_an_hour=5)
ledger.replace(HELD, MADE)
os._exit(0)
"""
CANARY = "CANARIO-EN-EL-LOG"
HELD = entry(handoff=f'{{"conversation_summary": "{CANARY}"}}')
MADE = replace(HELD, version=2, state=State.CREATED, ticket_id=7, due_at=None, handoff="")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the ledger's file is."""
    return tmp_path / "handoffs.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SQLiteLedger]:
    """Return a ledger that has been written to."""
    store = SQLiteLedger(path)
    store.claim(entry(entry="before", person=""), now=NOW, tickets_an_hour=5)
    yield store
    store.close()


def remove(path: Path) -> None:
    """Remove the file, as `make clean` in the wrong folder does."""
    path.unlink()


def remove_all(path: Path) -> None:
    """Remove the file and what stands beside it."""
    for one in path.parent.glob("handoffs.db*"):
        one.unlink()


def remove_log(path: Path) -> None:
    """Remove the write-ahead log alone."""
    Path(f"{path}-wal").unlink()


def swap(path: Path) -> None:
    """Put a copy in its place, without the log."""
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").rename(path)


def swap_for_another(path: Path) -> None:
    """Put another ledger in its place."""
    other = SQLiteLedger(path.with_name("other.db"))
    other.check()
    other.close()
    path.with_name("other.db").rename(path)


def cut(path: Path) -> None:
    """Cut the file, as `> handoffs.db` does, once it has something in it."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.truncate(path, 0)


def move_folder(path: Path) -> None:
    """Move the folder away."""
    path.parent.rename(path.parent.with_name(f"{path.parent.name}-away"))


LOSSES = [remove, remove_all, remove_log, swap, swap_for_another, move_folder]


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_is_kept_in_a_file_that_is_not_there(
    ledger: SQLiteLedger, path: Path, loss: Callable[[Path], None]
) -> None:
    """Whatever became of the file, the next call hears that the ledger is down: a claim, and a list of what is due."""
    loss(path)
    with pytest.raises(FileLost):
        ledger.claim(entry(), now=NOW, tickets_an_hour=5)


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_is_read_from_a_file_that_is_not_there(
    ledger: SQLiteLedger, path: Path, loss: Callable[[Path], None]
) -> None:
    """A sweep over it would say that nothing is due."""
    loss(path)
    with pytest.raises(FileLost):
        ledger.due(NOW + 60, 5)


def test_a_file_that_was_cut_is_lost(ledger: SQLiteLedger, path: Path) -> None:
    """It is the same file, and what it held is gone."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.check()
    cut(path)
    with pytest.raises(FileLost):
        ledger.claim(entry(), now=NOW, tickets_an_hour=5)


def test_a_file_that_goes_during_a_transaction_keeps_nothing(path: Path, ledger: SQLiteLedger) -> None:
    """The last look comes after the commit."""
    with pytest.raises(FileLost):
        ledger._write(lambda _: path.unlink())  # noqa: SLF001 -- the moment between two statements


def test_after_a_loss_the_next_call_begins_anew_and_an_outage_is_marked(ledger: SQLiteLedger, path: Path) -> None:
    """What is claimed then is on the disk; and everybody who claims looks for a ticket first, for a day."""
    remove_all(path)
    with pytest.raises(FileLost):
        ledger.claim(entry(), now=NOW, tickets_an_hour=5)
    assert ledger.claim(entry(), now=NOW, tickets_an_hour=5).mine
    other = SQLiteLedger(path)
    assert list(other.each()) == [entry()]
    assert other.had_outage(time.time())
    other.close()


def test_a_damaged_file_in_the_place_of_a_lost_one_stays_down(ledger: SQLiteLedger, path: Path) -> None:
    """It is looked over before it is used, each time: the damage is where a claim would not meet it."""
    for number in range(200):
        ledger.claim(entry(entry=f"{number:052}", person="", handoff="x" * 900), now=NOW, tickets_an_hour=5)
    ledger.close()
    data = bytearray(path.read_bytes())
    page = data.index(b"x" * 900, len(data) // 2) // 4096 * 4096
    ledger.check()
    remove_all(path)
    path.write_bytes(data[:page] + bytes(4096) + data[page + 4096 :])
    for _ in range(3):
        with pytest.raises(LedgerUnavailable):
            ledger.claim(entry(), now=NOW, tickets_an_hour=5)


def test_a_ledger_that_may_not_be_made_is_not_made(path: Path) -> None:
    """A sweep or a command in the wrong folder says so, and leaves no empty file behind."""
    with pytest.raises(LedgerMissing, match=f"there is no file {path}"):
        SQLiteLedger(path, create=False).due(NOW, 5)
    assert not path.exists()


def test_a_ledger_that_is_there_is_opened_also_by_who_may_not_make_one(ledger: SQLiteLedger, path: Path) -> None:
    """That is what the sweep does."""
    sweeping = SQLiteLedger(path, create=False)
    assert [row.entry for row in sweeping.due(NOW + 60, 5)] == ["before"]
    sweeping.close()
    ledger.check()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """No file can be made there."""
    with pytest.raises(LedgerMissing, match=f"there is no directory {tmp_path / 'nowhere'}"):
        SQLiteLedger(tmp_path / "nowhere" / "handoffs.db").check()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_owner_can_read_the_files(tmp_path: Path, umask: int) -> None:
    """Whatever the process's umask: the file, its log, its index, the spool."""
    path, before = tmp_path / "handoffs.db", os.umask(umask)
    try:
        store = SQLiteLedger(path)
        store.claim(entry(), now=NOW, tickets_an_hour=5)
        store.remember(MADE, now=NOW)
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    finally:
        os.umask(before)
        store.close()
    assert modes == {f"handoffs.db{suffix}": 0o600 for suffix in ("", "-wal", "-shm", ".spool")}


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    """1.0.0 left it as the umask would have it."""
    store = SQLiteLedger(path)
    store.check()
    store.close()
    path.chmod(0o644)
    store.check()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.close()


def held_words(path: Path) -> bool:
    """Return True if any of the ledger's files holds the person's words."""
    return any(CANARY.encode() in one.read_bytes() for one in path.parent.glob("handoffs.db*"))


def gone_within(path: Path, seconds: float) -> bool:
    """Return True if the words leave the files in time, though nobody calls."""
    until = time.monotonic() + seconds
    while held_words(path) and time.monotonic() < until:
        time.sleep(0.02)
    return not held_words(path)


@pytest.fixture
def hasty(path: Path) -> Iterator[SQLiteLedger]:
    """Return a ledger that holds a person's words and erases what is over after a tenth of a second."""
    store = SQLiteLedger(path, erase_after_s=0.1)
    store.claim(HELD, now=NOW, tickets_an_hour=5)
    yield store
    store.close()


def test_words_of_a_ticket_leave_the_log_though_nobody_calls(hasty: SQLiteLedger, path: Path) -> None:
    """Within a minute; here within a tenth of a second, when it is due."""
    assert 1.5 * ERASE_AFTER_S < 60
    assert held_words(path)
    assert hasty.replace(HELD, MADE)
    assert gone_within(path, 10)


def test_words_leave_the_log_once_its_reader_is_gone(hasty: SQLiteLedger, path: Path) -> None:
    """Who reads holds the log; it is tried again."""
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entries").fetchone()
        hasty.replace(HELD, MADE)
        assert not gone_within(path, 1.5)
        reader.execute("ROLLBACK")
    assert gone_within(path, 10)


def test_who_is_forgotten_leaves_the_log_at_once(ledger: SQLiteLedger, path: Path) -> None:
    """A row that may have a ticket is blanked, not deleted."""
    ledger.claim(HELD, now=NOW, tickets_an_hour=5)
    assert held_words(path)
    assert ledger.replace(HELD, replace(HELD, version=2, handoff="", person=""))
    assert not held_words(path)


def test_who_is_forgotten_right_after_their_ticket_leaves_the_log_at_once(ledger: SQLiteLedger, path: Path) -> None:
    """Their words were erased a moment before, and would have stayed for some seconds."""
    ledger.claim(HELD, now=NOW, tickets_an_hour=5)
    ledger.replace(HELD, MADE)
    assert held_words(path)
    assert ledger.replace(MADE, replace(MADE, version=3, person=""))
    assert not held_words(path)


def test_what_a_killed_process_left_in_the_log_is_erased(path: Path) -> None:
    """Whoever opens the file next does it, though nobody writes."""
    subprocess.run([sys.executable, "-c", MAKE_AND_DIE, path], cwd=ROOT, check=True)
    assert held_words(path)
    store = SQLiteLedger(path, erase_after_s=0.1)
    store.check()
    assert gone_within(path, 10)
    store.close()

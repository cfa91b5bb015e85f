"""The SQLite file: its loss is noticed, only its owner can read it, and erased words leave it soon."""

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
    """Return the path of the ledger's file."""
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
    """Remove the file and the files beside it."""
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
    """Whatever happened to the file, the next call reports that the ledger is down."""
    loss(path)
    with pytest.raises(FileLost):
        ledger.claim(entry(), now=NOW, tickets_an_hour=5)


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_is_read_from_a_file_that_is_not_there(
    ledger: SQLiteLedger, path: Path, loss: Callable[[Path], None]
) -> None:
    """A sweep that reads an empty file would report that nothing is due."""
    loss(path)
    with pytest.raises(FileLost):
        ledger.due(NOW + 60, 5)


def test_a_file_that_was_truncated_is_lost(ledger: SQLiteLedger, path: Path) -> None:
    """It is the same file, without its contents."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.check()
    cut(path)
    with pytest.raises(FileLost):
        ledger.claim(entry(), now=NOW, tickets_an_hour=5)


def test_a_file_that_is_removed_during_a_transaction_keeps_nothing(path: Path, ledger: SQLiteLedger) -> None:
    """The last check comes after the commit."""
    with pytest.raises(FileLost):
        ledger._write(lambda _: path.unlink())  # noqa: SLF001 -- the moment between two statements


def test_after_a_loss_the_next_call_makes_a_new_file_and_marks_an_outage(ledger: SQLiteLedger, path: Path) -> None:
    """The new claim is on disk, and for a day each claim searches for a ticket first."""
    remove_all(path)
    with pytest.raises(FileLost):
        ledger.claim(entry(), now=NOW, tickets_an_hour=5)
    assert ledger.claim(entry(), now=NOW, tickets_an_hour=5).mine
    other = SQLiteLedger(path)
    assert list(other.each()) == [entry()]
    assert other.had_outage(time.time())
    other.close()


def test_a_damaged_file_in_place_of_a_lost_one_is_refused(ledger: SQLiteLedger, path: Path) -> None:
    """The whole file is checked at each attempt, because a claim alone might not touch the damaged part."""
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


def test_a_missing_ledger_is_not_created_without_permission(path: Path) -> None:
    """A sweep or a command in the wrong folder reports it, and leaves no empty file behind."""
    with pytest.raises(LedgerMissing, match=f"there is no file {path}"):
        SQLiteLedger(path, create=False).due(NOW, 5)
    assert not path.exists()


def test_an_existing_ledger_is_opened_without_permission_to_create(ledger: SQLiteLedger, path: Path) -> None:
    """The sweep opens it like this."""
    sweeping = SQLiteLedger(path, create=False)
    assert [row.entry for row in sweeping.due(NOW + 60, 5)] == ["before"]
    sweeping.close()
    ledger.check()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """The error names the directory in which no file can be made."""
    with pytest.raises(LedgerMissing, match=f"there is no directory {tmp_path / 'nowhere'}"):
        SQLiteLedger(tmp_path / "nowhere" / "handoffs.db").check()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_owner_can_read_the_files(tmp_path: Path, umask: int) -> None:
    """This holds for the file, its write-ahead log, its index and the spool, whatever the umask."""
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


def test_a_file_that_others_can_read_is_made_private(path: Path) -> None:
    """Version 1.0.0 left it as the umask had it."""
    store = SQLiteLedger(path)
    store.check()
    store.close()
    path.chmod(0o644)
    store.check()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.close()


def held_words(path: Path) -> bool:
    """Return True if any of the ledger's files contains the person's words."""
    return any(CANARY.encode() in one.read_bytes() for one in path.parent.glob("handoffs.db*"))


def gone_within(path: Path, seconds: float) -> bool:
    """Return True if the words leave the files in time without further calls."""
    until = time.monotonic() + seconds
    while held_words(path) and time.monotonic() < until:
        time.sleep(0.02)
    return not held_words(path)


@pytest.fixture
def hasty(path: Path) -> Iterator[SQLiteLedger]:
    """Return a ledger with a person's words that erases removed words after a tenth of a second."""
    store = SQLiteLedger(path, erase_after_s=0.1)
    store.claim(HELD, now=NOW, tickets_an_hour=5)
    yield store
    store.close()


def test_words_of_a_ticket_leave_the_log_without_further_calls(hasty: SQLiteLedger, path: Path) -> None:
    """It takes up to a minute; here a tenth of a second."""
    assert 1.5 * ERASE_AFTER_S < 60
    assert held_words(path)
    assert hasty.replace(HELD, MADE)
    assert gone_within(path, 10)


def test_words_leave_the_log_after_its_reader_ends(hasty: SQLiteLedger, path: Path) -> None:
    """A reader prevents it, so it is tried again."""
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entries").fetchone()
        hasty.replace(HELD, MADE)
        assert not gone_within(path, 1.5)
        reader.execute("ROLLBACK")
    assert gone_within(path, 10)


def test_words_of_a_forgotten_person_leave_the_log_at_once(ledger: SQLiteLedger, path: Path) -> None:
    """A row that may have a ticket is blanked, not deleted."""
    ledger.claim(HELD, now=NOW, tickets_an_hour=5)
    assert held_words(path)
    assert ledger.replace(HELD, replace(HELD, version=2, handoff="", person=""))
    assert not held_words(path)


def test_words_of_a_person_forgotten_just_after_their_ticket_leave_the_log_at_once(
    ledger: SQLiteLedger, path: Path
) -> None:
    """The words were erased a moment before, and would stay for some seconds otherwise."""
    ledger.claim(HELD, now=NOW, tickets_an_hour=5)
    ledger.replace(HELD, MADE)
    assert held_words(path)
    assert ledger.replace(MADE, replace(MADE, version=3, person=""))
    assert not held_words(path)


def test_words_that_a_killed_process_left_in_the_log_are_erased(path: Path) -> None:
    """The next process that opens the file erases them, even without a write."""
    subprocess.run([sys.executable, "-c", MAKE_AND_DIE, path], cwd=ROOT, check=True)
    assert held_words(path)
    store = SQLiteLedger(path, erase_after_s=0.1)
    store.check()
    assert gone_within(path, 10)
    store.close()

"""Rows of other versions: rows of 1.0.0 are read and continued; a file of a newer layout is refused.

`tests/data/ledger-1.0.0.*` was written by 1.0.0's own code (commit a9355cd) with rows in every state; its people are
invented. One is a SQLite file, the other DynamoDB's items.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from dev.emulators.dynamodb import REGION
from handoff.ledger import ROW_LIFETIME_S, Cause, Entry, Ledger, LedgerTooNew, State
from handoff.ledger.dynamodb import DynamoDBLedger
from handoff.ledger.sqlite import SQLiteLedger
from handoff.ledger.sqlite_file import LAYOUT
from handoff.sweep import sweep
from tests.ledger_factories import FakeFreshdesk, VirtualClock, delivery, empty, entry

DATA = Path(__file__).parents[2] / "data"
WRITTEN_AT = 1_764_267_787.0  # just after the last of its rows
ALL_DROPPED = ("group_id", "priority", "product_id", "source", "tags", "type")
REQUIRED_BY_1_0_0 = {"reference", "entry", "state", "owner", "created_at", "give_up_at", "expires_at"}

# (state, is a note, error text of 1.0.0) → cause, dropped, refused field
MEANING: dict[tuple[str, bool, str], tuple[Cause, tuple[str, ...], str]] = {
    ("created", False, ""): (Cause.NONE, (), ""),
    ("created", True, ""): (Cause.NONE, (), ""),
    ("created", False, "without: group_id"): (Cause.NONE, ("group_id",), ""),
    ("created", False, "without: phone"): (Cause.NONE, ("phone",), ""),
    ("created", False, "without: " + ", ".join(ALL_DROPPED)): (Cause.NONE, ALL_DROPPED, ""),
    ("creating", False, ""): (Cause.NONE, (), ""),
    ("not_created", False, "busy"): (Cause.RATE_LIMIT, (), ""),
    ("not_created", False, "unreachable"): (Cause.UNAVAILABLE, (), ""),
    ("not_created", False, "refused: 403"): (Cause.ACCOUNT, (), ""),
    ("not_created", False, "refused: fallback_requester: email"): (Cause.REFUSED, (), ""),
    ("not_created", False, "crowded"): (Cause.WAITING, (), ""),
    ("not_created", True, "note: 404"): (Cause.REFUSED, (), ""),
    ("not_created", True, "note: ConnectionError"): (Cause.UNAVAILABLE, (), ""),
    ("in_doubt", False, "status 502"): (Cause.IN_DOUBT, (), ""),
    ("in_doubt", False, "waiting"): (Cause.WAITING, (), ""),
    ("in_doubt", False, "look: status 500"): (Cause.IN_DOUBT, (), ""),
    ("rejected", False, "invalid-handoff"): (Cause.INVALID, (), ""),
    ("rejected", False, "refused: email"): (Cause.INVALID, (), "email"),
    ("rejected", False, "refused: phone"): (Cause.INVALID, (), "phone"),
    ("failed", False, "refused: 403"): (Cause.ACCOUNT, (), ""),
    ("failed", False, "look: 403"): (Cause.IN_DOUBT, (), ""),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a copy of 1.0.0's file."""
    return Path(shutil.copy(DATA / "ledger-1.0.0.sqlite", tmp_path / "handoffs.db"))


@pytest.fixture(params=["sqlite", "moto"])
def ledger(request: pytest.FixtureRequest, file: Path) -> Iterator[Ledger]:
    """Return a ledger with the rows of 1.0.0, on each store in turn."""
    if request.param == "sqlite":
        store = SQLiteLedger(file)
        yield store
        store.close()
        return
    on_moto, endpoint, table = request.getfixturevalue("moto_ledger")
    empty(endpoint, table)
    client: Any = botocore.session.get_session().create_client("dynamodb", region_name=REGION, endpoint_url=endpoint)
    for item in json.loads((DATA / "ledger-1.0.0.dynamodb.json").read_text(encoding="utf-8")):
        client.put_item(TableName=table, Item=item)
    yield on_moto


def test_every_row_is_read_with_the_meaning_of_its_error(ledger: Ledger) -> None:
    """The error text of 1.0.0 becomes fields; every kind of row is there."""
    rows = list(ledger.each())
    assert {(row.state, row.is_note, row.error) for row in rows} == set(MEANING)
    read = {(row.state, row.is_note, row.error): (row.cause, row.dropped, row.refused_field) for row in rows}
    assert read == MEANING


def test_each_row_is_found_and_replaced(ledger: Ledger) -> None:
    """The fields read from its text are written from then on."""
    for row in list(ledger.each()):
        assert row in ledger.find(row.reference, now=WRITTEN_AT)
        after = replace(row, version=row.version + 1, error="")
        assert ledger.replace(row, after)
        assert after in ledger.find(row.reference, now=WRITTEN_AT)


def test_a_repeat_gets_the_row_of_its_key(ledger: Ledger) -> None:
    """Also with words to compare, which 1.0.0 did not store."""
    for row in list(ledger.each()):
        claim = ledger.claim(replace(row, owner="new", words="words"), now=WRITTEN_AT, tickets_an_hour=5)
        assert (claim.entry, claim.mine, claim.same_words) == (row, False, False)


def test_waiting_rows_become_one_ticket_each(ledger: Ledger) -> None:
    """The sweep continues the rows of 1.0.0; rows that were given up stay so."""
    clock = VirtualClock(WRITTEN_AT)
    freshdesk = FakeFreshdesk(clock)
    waiting = [row for row in ledger.each() if row.waiting and row.state is not State.FAILED and not row.is_note]
    for _ in range(20):
        sweep(delivery(clock=clock, transport=freshdesk, ledger=ledger).writer, budget_s=3_000.0)
        clock.time += 900.0
    rows = list(ledger.each())
    assert {row.state for row in rows} == {State.CREATED, State.FAILED}
    assert len(freshdesk.tickets) + len(freshdesk.notes) == len(waiting) + 2  # and two notes of older tickets
    assert sum(row.handoff != "" for row in rows) == 2  # those that were given up


def test_rows_without_a_ticket_lose_the_end_that_1_0_0_gave_them(ledger: Ledger) -> None:
    """In SQLite when the file is opened, in DynamoDB by the operator's command, because TTL goes by the attribute."""
    if isinstance(ledger, DynamoDBLedger):
        waiting = sum(not row.expires for row in ledger.each())
        assert ledger.migrate() == waiting > 0
        assert ledger.migrate() == 0
        ends = [("expires_at" in item, '"ticket_id"' in item["row"]["S"]) for item in rows_on(ledger)]
        assert all(has_end == has_ticket for has_end, has_ticket in ends)
    late = WRITTEN_AT + 3 * ROW_LIFETIME_S
    without = [row for row in ledger.each() if not row.expires]
    assert all(row in ledger.find(row.reference, now=late) for row in without)
    ledger.tidy(late)
    assert {row.entry for row in without} <= {row.entry for row in ledger.each()}


def test_a_row_that_1_0_0_wrote_after_a_downgrade_is_kept_too(file: Path) -> None:
    """The file already has the layout of this version, and the row has an end."""
    store = SQLiteLedger(file)
    store.check()
    with closing(sqlite3.connect(file)) as older:
        older.execute("UPDATE entries SET expires_at = ?", (WRITTEN_AT,))
        older.commit()
    store.tidy(WRITTEN_AT + 1)
    rows = list(store.each())
    store.close()
    assert rows
    assert not any(row.expires for row in rows)


def rows_on(ledger: DynamoDBLedger) -> list[Any]:
    """Return the table's items that are rows."""
    client: Any = ledger._client  # noqa: SLF001 -- the test reads what is stored
    items = client.scan(TableName=ledger._table)["Items"]  # noqa: SLF001 -- as above
    return [item for item in items if "row" in item]


def test_a_file_of_1_0_0_gets_this_layout(file: Path) -> None:
    """It keeps its rows, and is migrated once."""
    for _ in range(2):
        store = SQLiteLedger(file)
        assert len(list(store.each())) == 32
        store.close()
        with closing(sqlite3.connect(file)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (LAYOUT,)


def test_processes_that_open_a_file_of_1_0_0_at_once_migrate_it_once(file: Path) -> None:
    """Each of them finds the layout of this version."""
    stores = [SQLiteLedger(file) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        counts = list(threads.map(lambda store: len(list(store.each())), stores))
    for store in stores:
        store.close()
    assert counts == [32] * 4


def test_a_migration_that_fails_leaves_the_file_as_it_was(file: Path) -> None:
    """Each step is one transaction: here its second statement fails, because the table exists already."""
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE outages (foreign_table TEXT)")
    store = SQLiteLedger(file)
    with pytest.raises(Exception, match="outages already exists"):
        store.check()
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'words'").fetchone() == (0,)


def test_a_file_of_a_newer_layout_is_refused(file: Path) -> None:
    """The message names both layouts, and the file is not changed."""
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA user_version = {LAYOUT + 1}")
    store = SQLiteLedger(file)
    with pytest.raises(LedgerTooNew, match=f"has layout {LAYOUT + 1}, and this version of the function knows {LAYOUT}"):
        store.check()
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (LAYOUT + 1,)


def test_1_0_0_can_read_a_row_of_this_version(file: Path) -> None:
    """A downgrade is possible: the columns are filled, and the JSON has the old names and known states."""
    store = SQLiteLedger(file)
    first = entry(words="words", account="norte", over_limit=True, cause=Cause.WAITING, identity="e")
    store.claim(first, now=WRITTEN_AT, tickets_an_hour=5)
    store.claim(replace(first, entry="second", owner="two"), now=WRITTEN_AT, tickets_an_hour=5)
    store.close()
    with closing(sqlite3.connect(file)) as db:
        written = [
            json.loads(row) for (row,) in db.execute("SELECT row FROM entries WHERE created_at > ?", (WRITTEN_AT,))
        ]
    assert len(written) == 2
    assert all(row.keys() >= REQUIRED_BY_1_0_0 and row["state"] in {"creating", "created"} for row in written)
    assert (written[0]["desk"], written[0]["crowded"]) == ("norte", True)


def test_a_row_of_a_newer_version_is_read_without_its_new_fields() -> None:
    """It has a field and a cause that this version does not know."""
    newer = {**entry(cause="asleep").to_dict(), "teleported": [1, 2]}
    assert Entry.from_dict(newer) == entry(cause="asleep")

"""The same commands on DynamoDB: only LEDGER_URL differs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.emulators.dynamodb import REGION, make_table
from handoff.ledger import State
from handoff.ledger.dynamodb import DynamoDBLedger
from handoff.transitions import changed
from operate.spans import moment
from tests.factories import EMAIL
from tests.operate.operating import Station


@pytest.fixture
def on_dynamodb(station: Station, moto: str) -> Station:
    """Return the machine with its ledger in a table of its own."""
    table = make_table(moto)
    ledger = DynamoDBLedger(table, region=REGION, endpoint=moto)
    url = f"dynamodb://{table}?region={REGION}&endpoint={moto}"
    return replace(station, environ=station.environ | {"LEDGER_URL": url}, ledger=ledger)


def test_a_handoff_is_listed_shown_retried_audited_and_forgotten(on_dynamodb: Station) -> None:
    """The whole life of one that was given up."""
    station = on_dynamodb
    station.freshdesk.weather("rate-limited")
    reference = station.deliver().reference
    station.freshdesk.weather("healthy")
    [row] = station.rows()
    station.ledger.replace(row, changed(row, due_at=station.clock.now(), give_up_at=station.clock.now()))
    assert station.run("sweep").out.startswith("Swept: 1 given up")
    assert [one["reference"] for one in station.run("list", "--state", "failed", "--json").json] == [reference]
    assert "Given up" in station.run("show", reference).out
    assert station.run("audit").status == 1
    assert station.run("retry", "--all", "--now").status == 0
    assert station.run("audit", "--json").json["tickets_per_handoff"] == 1.0
    ran = station.run("forget", EMAIL)
    assert ran.status == 0
    assert f"until {moment(station.clock.now() + 35 * 86_400)}" in ran.out
    given_up = station.has(state=State.FAILED)
    assert station.run("discard", given_up.reference, "--yes").status == 0
    [left] = station.rows()
    assert (left.state, left.person, left.ticket_id) == (State.CREATED, "", 1)


def test_check_reads_the_table_and_its_indexes(on_dynamodb: Station) -> None:
    """A table that is not there is a fault."""
    assert "the dynamodb ledger answers" in on_dynamodb.run("check").out
    gone = on_dynamodb.environ["LEDGER_URL"].replace("dynamodb://", "dynamodb://gone-")
    ran = on_dynamodb.run("check", LEDGER_URL=gone)
    assert ran.status == 1
    assert "ResourceNotFoundException" in ran.out


def test_a_table_that_is_not_there_ends_with_3(on_dynamodb: Station) -> None:
    """In one line."""
    gone = on_dynamodb.environ["LEDGER_URL"].replace("dynamodb://", "dynamodb://gone-")
    ran = on_dynamodb.run("list", LEDGER_URL=gone)
    assert ran.status == 3
    assert ran.err.startswith("LEDGER_URL: the ledger does not answer (ResourceNotFoundException)")

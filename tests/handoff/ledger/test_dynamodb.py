"""DynamoDB: an endpoint that is missing, silent or without the table; rows on many pages."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from dev.emulators.dynamodb import REGION
from handoff.bootstrap import open_ledger
from handoff.ledger import LedgerUnavailable
from handoff.ledger.dynamodb import DynamoDBLedger, Item
from handoff.settings import LedgerAddress
from tests.ledger_factories import NOW, empty, entry


@pytest.fixture
def silence() -> Iterator[str]:
    """Return an address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def refusal() -> str:
    """Return an address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def test_the_settings_choose_the_store(moto_ledger: tuple[DynamoDBLedger, str, str]) -> None:
    """`dynamodb://table?region=…` opens this store, and its repr shows only the table."""
    _, endpoint, table = moto_ledger
    ledger = open_ledger(LedgerAddress(store="dynamodb", name=table, region=REGION, endpoint=endpoint))
    assert repr(ledger) == f"DynamoDBLedger({table})"
    assert ledger.find("BF-AAAAAAAA", now=NOW) == []


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("outage", ["silence", "refusal"])
def test_an_endpoint_that_does_not_answer_is_an_outage(request: pytest.FixtureRequest, outage: str) -> None:
    """Whether nothing listens or nothing answers, the caller gets the error within a few seconds."""
    ledger = DynamoDBLedger("handoffs", region=REGION, endpoint=request.getfixturevalue(outage))
    began_at = time.monotonic()
    with pytest.raises(LedgerUnavailable):
        ledger.claim(entry(), now=NOW, tickets_an_hour=5)
    assert time.monotonic() - began_at < 3


def test_a_missing_table_is_an_outage(moto: str) -> None:
    """A missing table is reported as an outage, with the service's error code for the log."""
    ledger = DynamoDBLedger("nowhere", region=REGION, endpoint=moto)
    with pytest.raises(LedgerUnavailable, match="ResourceNotFoundException"):
        ledger.find("BF-7K3QX2AB", now=NOW)


def test_missing_credentials_are_an_outage(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function without a role reports an outage, not an error of botocore."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    ledger = DynamoDBLedger("handoffs", region=REGION, endpoint=moto)
    with pytest.raises(LedgerUnavailable, match="NoCredentialsError"):
        ledger.find("BF-7K3QX2AB", now=NOW)


@pytest.mark.parametrize("words", ["", "words"])
def test_a_row_that_is_removed_during_a_claim_is_an_outage(words: str) -> None:
    """If the existing row, or who holds its words, is removed before it is read, the caller must ask again."""
    ledger = _Vanishing("handoffs", region=REGION, endpoint="http://127.0.0.1:1")
    with pytest.raises(LedgerUnavailable, match="over and over"):
        ledger.claim(entry(words=words), now=NOW, tickets_an_hour=5)


def test_reads_are_consistent() -> None:
    """A read that lags behind could miss a row just written, and with it the ticket."""
    ledger = _Asked("handoffs", region=REGION, endpoint="http://127.0.0.1:1")
    ledger.find("BF-7K3QX2AB", now=NOW)
    assert not ledger.replace(entry(), replace(entry(), version=2))
    assert ledger.asked == [("query", True), ("get_item", True)]


def test_a_call_ends_within_a_second_and_is_not_repeated() -> None:
    """Botocore's default of a minute, and its retries, would use up the time for the ticket; 64 threads may call."""
    ledger = DynamoDBLedger("handoffs", region=REGION)
    config: Any = ledger._client.meta.config  # noqa: SLF001 -- botocore's settings
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (1.0, 1.0, 1)
    assert (config.max_pool_connections, config.tcp_keepalive) == (64, True)


def test_rows_on_many_pages_are_all_listed(moto_ledger: tuple[DynamoDBLedger, str, str]) -> None:
    """More rows than DynamoDB puts on one page (1 MB) are read page by page, up to a limit."""
    ledger, endpoint, table = moto_ledger
    empty(endpoint, table)
    heavy = [entry(entry=f"{n:052d}", handoff="x" * 340_000, person="", due_at=NOW + n) for n in range(4)]
    for row in heavy:
        ledger.claim(row, now=NOW, tickets_an_hour=5)
    ours = {row.entry for row in heavy}
    assert ours <= {row.entry for row in ledger.each()}
    assert ledger.find(heavy[0].reference, now=NOW)[: len(heavy)] == heavy
    assert [row.due_at for row in ledger.due(NOW + 9, 3)] == [NOW + n for n in range(3)]
    for row in heavy:
        ledger.delete(row)


def test_a_claim_checks_the_end_of_a_row_itself(moto_ledger: tuple[DynamoDBLedger, str, str]) -> None:
    """DynamoDB removes expired rows late; a claim takes over a row past its end, and only the new owner holds it."""
    ledger, *_ = moto_ledger
    old = entry(entry="over", expires_at=NOW + 1, person="", ticket_id=7)
    ledger.claim(old, now=NOW, tickets_an_hour=5)
    new = replace(old, owner="two", expires_at=NOW + 9)
    assert ledger.claim(new, now=NOW + 1, tickets_an_hour=5).mine
    assert not ledger.replace(old, replace(old, version=2))
    ledger.delete(new)


class _Vanishing(DynamoDBLedger):
    """A table whose row prevents a write, and is gone when it is read."""

    def _put(self, item: Item, condition: str, values: Mapping[str, Any]) -> bool:
        assert item
        assert condition
        assert values
        return False

    def _put_both(self, *requests: dict[str, Any]) -> list[bool]:
        assert len(requests) == 2
        return [True, False]

    def _get(self, key: Item) -> Item | None:
        assert key
        return None


class _Asked(DynamoDBLedger):
    """An empty table that refuses writes, and records its reads and whether they are consistent."""

    def __init__(self, table: str, **where: Any) -> None:
        super().__init__(table, **where)
        self.asked: list[tuple[str, bool]] = []

    def _put(self, item: Item, condition: str, values: Mapping[str, Any]) -> bool:
        return not (item and condition and values)

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((operation, request["ConsistentRead"]))
        return {"Items": []}

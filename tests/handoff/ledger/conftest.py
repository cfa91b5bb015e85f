"""The stores: SQLite in a file, and DynamoDB on two independent emulators."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.emulators import dynamodb
from handoff.ledger import Ledger
from handoff.ledger.dynamodb import DynamoDBLedger
from handoff.ledger.outage import Remembering
from handoff.ledger.sqlite import SQLiteLedger
from tests.ledger_factories import empty


@pytest.fixture(scope="session")
def dynalite(aws: None) -> Iterator[str]:
    """Return the address of dynalite."""
    del aws
    with dynamodb.dynalite() as endpoint:
        yield endpoint


@pytest.fixture(params=["sqlite", "moto", pytest.param("dynalite", marks=pytest.mark.node)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger on each store in turn."""
    if request.param == "sqlite":
        store = SQLiteLedger(tmp_path / "ledger.db")
        yield store
        store.close()
        return
    store, endpoint, table = request.getfixturevalue(f"{request.param}_ledger")
    empty(endpoint, table)
    Remembering.__init__(store)  # it serves many tests, and must not remember the last one's outage
    yield store


@pytest.fixture(scope="session")
def moto_ledger(moto: str) -> tuple[DynamoDBLedger, str, str]:
    """Return a ledger on moto, its address and its table: making botocore's client takes longer than a test."""
    return _on(moto)


@pytest.fixture(scope="session")
def dynalite_ledger(dynalite: str) -> tuple[DynamoDBLedger, str, str]:
    """Return a ledger on dynalite, as `moto_ledger` does."""
    return _on(dynalite)


class OneCallAtATime(DynamoDBLedger):
    """Sends one call at a time: moto's transactions are not atomic among its threads, but DynamoDB's are."""

    def __init__(self, table: str, **where: Any) -> None:
        super().__init__(table, timeout_s=10.0, **where)  # an emulator on a busy machine
        self._one = threading.Lock()

    def _call_once(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        with self._one:
            return super()._call_once(operation, request)


def _on(endpoint: str) -> tuple[DynamoDBLedger, str, str]:
    table = dynamodb.make_table(endpoint)
    return OneCallAtATime(table, region=dynamodb.REGION, endpoint=endpoint), endpoint, table

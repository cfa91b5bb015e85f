"""For every test of the rule: a clock that nobody waits for, and a Freshdesk on it; or the stand-in, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.local_freshdesk import LocalFreshdesk
from handoff.delivery import Delivery
from handoff.transport import RequestsTransport
from tests.closing import sqlite_ledger
from tests.ledger_factories import (
    FakeFreshdesk,
    QuickClock,
    VirtualClock,
    delivery,
)


@pytest.fixture
def freshdesk() -> Iterator[LocalFreshdesk]:
    """Return a stand-in of Freshdesk that answers over HTTP."""
    with LocalFreshdesk() as local:
        yield local


@pytest.fixture
def over_http(freshdesk: LocalFreshdesk, tmp_path: Path) -> Delivery:
    """Return a delivery to the stand-in, with everything real but its waits, and a short deadline."""
    transport = RequestsTransport(freshdesk.url, "local-freshdesk-key")
    ledger = sqlite_ledger(tmp_path / "ledger.db")
    return delivery(clock=QuickClock(), transport=transport, ledger=ledger, url=freshdesk.url, deadline_s=5.0)


@pytest.fixture
def clock() -> VirtualClock:
    """Return a clock that nobody waits for."""
    return VirtualClock()


@pytest.fixture
def fake(clock: VirtualClock) -> FakeFreshdesk:
    """Return a Freshdesk on that clock."""
    return FakeFreshdesk(clock)


@pytest.fixture
def rule(clock: VirtualClock, fake: FakeFreshdesk) -> Delivery:
    """Return a delivery on that clock to that Freshdesk."""
    return delivery(clock=clock, transport=fake)

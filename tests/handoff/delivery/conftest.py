"""Fixtures for delivery tests: a virtual clock with a fake Freshdesk on it, and the stand-in over HTTP."""

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
    """Return the stand-in Freshdesk, which answers over HTTP."""
    with LocalFreshdesk() as local:
        yield local


@pytest.fixture
def over_http(freshdesk: LocalFreshdesk, tmp_path: Path) -> Delivery:
    """Return a delivery to the stand-in over real HTTP, with a short deadline and pauses that cost nothing."""
    transport = RequestsTransport(freshdesk.url, "local-freshdesk-key")
    ledger = sqlite_ledger(tmp_path / "ledger.db")
    return delivery(clock=QuickClock(), transport=transport, ledger=ledger, url=freshdesk.url, deadline_s=5.0)


@pytest.fixture
def clock() -> VirtualClock:
    """Return a virtual clock: waiting on it takes no real time."""
    return VirtualClock()


@pytest.fixture
def fake(clock: VirtualClock) -> FakeFreshdesk:
    """Return a fake Freshdesk on the virtual clock."""
    return FakeFreshdesk(clock)


@pytest.fixture
def rule(clock: VirtualClock, fake: FakeFreshdesk) -> Delivery:
    """Return a delivery to the fake Freshdesk on the virtual clock."""
    return delivery(clock=clock, transport=fake)

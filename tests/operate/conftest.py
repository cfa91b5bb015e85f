"""An operator's machine with a stand-in Freshdesk over real HTTP and a real SQLite file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.local_freshdesk import LocalFreshdesk
from handoff.ledger.sqlite import SQLiteLedger
from tests.factories import API_KEY
from tests.ledger_factories import VirtualClock
from tests.operate.operating import Station


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """Return a machine whose clock, ledger and help desk agree on the time."""
    clock = VirtualClock(float(int(time.time())))
    ledger = SQLiteLedger(tmp_path / "handoffs.db")
    ledger.due(0.0, 1)  # makes the file
    with LocalFreshdesk(api_key=API_KEY, clock=clock.now) as freshdesk:
        environ = {
            "FRESHDESK_URL": freshdesk.url,
            "FRESHDESK_API_KEY": API_KEY,
            "LEDGER_URL": f"sqlite:///{tmp_path}/handoffs.db",
        }
        yield Station(environ=environ, clock=clock, ledger=ledger, freshdesk=freshdesk)
    ledger.close()

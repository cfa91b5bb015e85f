"""The simulation's ledger obeys the contract that the real stores obey: the very same tests."""

from __future__ import annotations

import pytest

from dev.simulation.memory_ledger import MemoryLedger
from handoff.ledger import Ledger
from tests.handoff.ledger.test_contract import *  # noqa: F403 -- the contract is all of them


@pytest.fixture
def ledger() -> Ledger:
    """Return an empty ledger in memory."""
    return MemoryLedger()

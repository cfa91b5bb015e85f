"""The simulation's ledger obeys the contract that the real stores obey: the very same tests."""

from __future__ import annotations

import pytest

from ledger import Ledger
from proofs.memory_ledger import MemoryLedger
from tests.ledger.test_contract import *  # noqa: F403 -- the contract is all of them


@pytest.fixture
def ledger() -> Ledger:
    """Return an empty ledger in memory."""
    return MemoryLedger()

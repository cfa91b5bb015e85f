"""Fixtures: a stand-in on a clock that stands still, a session with its key, a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.local_freshdesk import LocalFreshdesk
from tests.dev.local_freshdesk.support import Api, Browser
from tests.ledger_factories import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    """Return a clock at the beginning of a minute."""
    return VirtualClock(1_800_000_000.0)


@pytest.fixture
def freshdesk(clock: VirtualClock) -> Iterator[LocalFreshdesk]:
    """Return a running stand-in."""
    with LocalFreshdesk(clock=clock.now) as running:
        yield running


@pytest.fixture
def api(freshdesk: LocalFreshdesk) -> Iterator[Api]:
    """Return a session with the stand-in's key."""
    with Api(freshdesk) as session:
        yield session


@pytest.fixture
def browser(freshdesk: LocalFreshdesk) -> Iterator[Browser]:
    """Return a browser on the stand-in's pages."""
    with Browser(freshdesk) as session:
        yield session

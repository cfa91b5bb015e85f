"""Fixtures: a desk on a free port, a session with its key, a clock to move."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.local_freshdesk import LocalFreshdesk
from tests.dev.local_freshdesk.browsing import Browser
from tests.dev.local_freshdesk.factories import Api, Clock


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands still."""
    return Clock()


@pytest.fixture
def desk(clock: Clock) -> Iterator[LocalFreshdesk]:
    """Give a running desk."""
    with LocalFreshdesk(clock=clock) as running:
        yield running


@pytest.fixture
def api(desk: LocalFreshdesk) -> Iterator[Api]:
    """Give a session with the desk's key."""
    with Api(desk) as session:
        yield session


@pytest.fixture
def browser(desk: LocalFreshdesk) -> Iterator[Browser]:
    """Give a browser on the desk's pages."""
    with Browser(desk) as session:
        yield session

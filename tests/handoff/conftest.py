"""What tests over raw sockets share."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from tests.wire import Host, Start, Talk


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a host; all are closed at the end."""
    hosts: list[Host] = []

    def host(talk: Talk, *, tls: ssl.SSLContext | None = None) -> Host:
        hosts.append(Host(talk, tls=tls))
        return hosts[-1]

    yield host
    for one in hosts:
        one.close()

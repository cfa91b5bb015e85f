"""The host of files: what it serves, and that the function has of each fault what it should have."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from dev.local_freshdesk.file_host import FAULTS, FileHost
from handoff.fetching import CannotFetch, Fetched, Fetcher

PNG = b"\x89PNG" + bytes(range(256))
REASONS = {
    "gone": ("gone", True),
    "broken": ("bad-answer", False),
    "silent": ("no-time", False),
    "cut": ("bad-answer", False),
    "slow": ("no-time", False),
    "endless": ("too-large", True),
    "oversized": ("too-large", True),
    "longer": ("bad-answer", False),
    "shorter": ("bad-answer", False),
    "gzip": ("compressed", True),
}


@pytest.fixture
def host() -> Iterator[FileHost]:
    """Return a host of files."""
    with FileHost() as running:
        yield running


def fetched(host: FileHost, url: str, *, timeout_s: float = 5.0) -> Fetched:
    """Fetch a file as the function does."""
    return Fetcher({host.host})(url, max_bytes=20_000_000, timeout_s=timeout_s)


def reason(host: FileHost, url: str, **how: Any) -> tuple[str, bool]:
    """Return why there is no file, and whether that is for good."""
    with pytest.raises(CannotFetch) as caught:
        fetched(host, url, **how)
    return caught.value.reason, caught.value.for_good


@pytest.mark.parametrize("name", ["foto.png", "ñandú — 収据 (1)?.png", "a/b.png"])
def test_a_file_is_served_under_its_name(host: FileHost, name: str) -> None:
    """With its media type; a query changes nothing."""
    url = host.put(name, PNG, media_type="image/jpeg")
    assert fetched(host, url) == fetched(host, f"{url}?signature=x") == (PNG, "image/jpeg")


def test_a_request_is_recorded(host: FileHost) -> None:
    """Its path and headers; and every connection, also one that asks nothing."""
    fetched(host, host.put("foto.png", PNG))
    [(path, headers)] = host.calls
    assert path == "/foto.png"
    assert (headers["host"], headers["accept-encoding"]) == (host.host, "identity")
    assert not {"authorization", "cookie"} & headers.keys()
    assert host.connections == 1


def test_every_fault_is_known() -> None:
    """A new one needs its reason."""
    assert {"", "redirect", *REASONS} == {*FAULTS}
    with FileHost() as host, pytest.raises(ValueError, match="fault must be one of"):
        host.put("foto.png", PNG, fault="x")


@pytest.mark.parametrize("fault", REASONS)
def test_each_fault(host: FileHost, fault: str) -> None:
    """What the function makes of it, in time; then the host serves on."""
    url = host.put("foto.png", PNG, fault=fault)
    began_at = time.monotonic()
    assert reason(host, url, timeout_s=1.0) == REASONS[fault]
    assert time.monotonic() - began_at < 3.0
    assert fetched(host, host.put("other.png", PNG)).content == PNG


def test_a_slow_file_arrives_in_the_end(host: FileHost) -> None:
    """If there is time for it."""
    assert fetched(host, host.put("foto.png", b"abc", fault="slow")).content == b"abc"


def test_a_fault_passes(host: FileHost) -> None:
    """After as many requests as it was made for."""
    url = host.put("foto.png", PNG, fault="broken", times=2)
    assert [reason(host, url) for _ in range(2)] == [("bad-answer", False)] * 2
    assert fetched(host, url).content == PNG


def test_a_redirect_leads_within_the_host_or_elsewhere(host: FileHost) -> None:
    """Elsewhere nothing is called."""
    target = host.put("foto.png", PNG)
    assert fetched(host, host.put("moved.png", b"", fault="redirect", location="/foto.png")).content == PNG
    with FileHost() as other:
        away = other.put("foto.png", PNG)
        assert reason(host, host.put("away.png", b"", fault="redirect", location=away)) == ("not-https", True)
        assert other.connections == 0
    loop = host.put("loop.png", b"", fault="redirect", location="/loop.png")
    assert reason(host, loop) == ("too-many-redirects", True)
    assert fetched(host, target).content == PNG


def test_an_unknown_name_is_gone(host: FileHost) -> None:
    """Like a file that has expired."""
    assert reason(host, f"http://{host.host}/none") == ("gone", True)

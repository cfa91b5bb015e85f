"""Which IP addresses are public."""

from __future__ import annotations

import pytest

from handoff.addresses import is_loopback, is_public

NOT_PUBLIC = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254"),  # noqa: S104
    *("172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.1.1"),
    *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:a00:1::1", "100::1"),
    *("2001::1", "2001:0:808:808::1", "2001:db8::1", "3fff::1", "5f00::1", "fc00::1", "fd12::1", "fe80::1", "fec0::1"),
    *("fe80::1%1", "2606:4700::1%1", "ff02::1", "ff0e::1", "::ffff:0:808:808", "4000::1", "fd00:ec2::254"),
    *("", "localhost", "8.8.8.8 ", "8.8.8", "0x7f.1", "2130706433", "017700000001", "[::1]"),
)
PUBLIC = (
    *("8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.1", "223.255.255.254"),
    *("2606:4700::6810:84e5", "2a00:1450:4003:80f::200e", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"),
)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_of_no_public_host(address: str) -> None:
    """Private, shared, reserved, for documentation, multicast, or an IPv6 address around one of these."""
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address(address: str) -> None:
    """It is public also inside an IPv6 address."""
    assert is_public(address)


def test_an_address_of_this_machine() -> None:
    """All of 127/8, and ::1."""
    assert [is_loopback(one) for one in ("127.0.0.1", "127.9.9.9", "::1")] == [True] * 3
    assert [is_loopback(one) for one in ("10.0.0.1", "localhost", "8.8.8.8", "::2")] == [False] * 4

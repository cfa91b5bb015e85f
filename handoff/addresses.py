"""Pure: what a host's name looks like, and which IP addresses are public."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

# Of letters, digits and hyphens, with a dot in it; neither an IP address in any spelling nor one of a local network
HOST_NAME: Final = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])",
    re.ASCII | re.IGNORECASE,
)
_GLOBAL: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")
# What `ipaddress` calls global, at least in some versions, though no file host is there
_NOT_PUBLIC: Final = tuple(
    map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20"))
)


def is_public(address: str) -> bool:
    """Return True if address, as a lookup gives it, is one of the public internet.

    An IPv4 address inside an IPv6 one (mapped, NAT64, 6to4) is judged in its place.

    >>> is_public("8.8.8.8"), is_public("10.0.0.1"), is_public("::ffff:127.0.0.1"), is_public("64:ff9b::808:808")
    (True, False, False, True)
    """
    found = _read(address)
    if isinstance(found, IPv6Address):
        inside = found.ipv4_mapped or found.sixtofour or (IPv4Address(found.packed[12:]) if found in _NAT64 else None)
        if inside is None and (found not in _GLOBAL or found.scope_id):
            return False
        found = inside or found
    return (
        found is not None
        and found.is_global
        and not found.is_multicast
        and not any(found in network for network in _NOT_PUBLIC if network.version == found.version)
    )


def is_loopback(address: str) -> bool:
    """Return True if address is this machine's own."""
    found = _read(address)
    return found is not None and found.is_loopback


def _read(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None

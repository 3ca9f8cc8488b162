"""Where a request comes from."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from litestar.connection import ASGIConnection

from crm.config import Settings


def client_address(connection: ASGIConnection[Any, Any, Any, Any], settings: Settings) -> str:
    """The client's address; of IPv6 its /64, which is one household's or one server's.

    X-Forwarded-For is believed only from a proxy that the settings name. The last entry that is not such a proxy
    counts: everything before it, a client can write itself.
    """
    peer = connection.client.host if connection.client else "unknown"
    trusted = _networks(settings.trusted_proxies)
    if not _within(peer, trusted):
        return _grouped(peer)
    # All header lines: some proxies add one of their own below the client's.
    lines = connection.headers.getall("x-forwarded-for", [])
    hops = [hop.strip() for hop in ",".join(lines).split(",") if hop.strip()]
    return _grouped(next((hop for hop in reversed(hops) if not _within(hop, trusted)), peer))


@cache
def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(name.strip(), strict=False) for name in text.split(",") if name.strip())


def _within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def _grouped(address: str) -> str:
    parsed = _parsed(address)
    if parsed is None:
        return address
    return str(ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """An address; on a socket that takes both, IPv4 comes as ``::ffff:203.0.113.7``, all of it within one /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed

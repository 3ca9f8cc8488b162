"""Where a request comes from."""

from __future__ import annotations

from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from litestar.types import Scope

#: As long as an IPv6 address with a zone may be.
_LONGEST: Final = 64


def client_address(scope: Scope, trusted_proxies: str) -> str:
    """The client's address.

    X-Forwarded-For is believed only from a proxy that the settings name. The last entry that is not such a proxy
    counts: everything before it, a client can write itself.
    """
    client = scope.get("client")
    peer = client[0] if client else "unknown"
    trusted = _networks(trusted_proxies)
    if not trusted or not _within(peer, trusted):
        return _plain(peer)
    # All header lines: some proxies add one of their own below the client's.
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    hops = [hop.strip() for hop in ",".join(lines).split(",") if hop.strip()]
    return _plain(next((hop for hop in reversed(hops) if not _within(hop, trusted)), peer))


def household(address: str) -> str:
    """Of an IPv6 address its /64, which is one household's or one server's; any other as it is."""
    parsed = _parsed(address)
    return str(ip_network((parsed, 64), strict=False)) if parsed and parsed.version == 6 else address


@cache
def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(name.strip(), strict=False) for name in text.split(",") if name.strip())


def _within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


@lru_cache(maxsize=10_000)
def _plain(address: str) -> str:
    """In one spelling; what is no address is cut to a length that can be stored."""
    return str(_parsed(address) or address[:_LONGEST] or "unknown")


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """An address; on a socket that takes both, IPv4 comes as ``::ffff:203.0.113.7``, all of it within one /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed

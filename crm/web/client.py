"""Where a request comes from."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection

from crm.config import Settings


def client_address(connection: ASGIConnection[Any, Any, Any, Any], settings: Settings) -> str:
    """The client's address. X-Forwarded-For is believed only from a proxy that the settings name.

    The last entry that is not such a proxy counts: everything before it, a client can write itself.
    """
    peer = connection.client.host if connection.client else "unknown"
    trusted = {name.strip() for name in settings.trusted_proxies.split(",") if name.strip()}
    if peer not in trusted:
        return peer
    # All header lines: some proxies add one of their own below the client's.
    lines = connection.headers.getall("x-forwarded-for", [])
    hops = [hop.strip() for hop in ",".join(lines).split(",") if hop.strip()]
    return next((hop for hop in reversed(hops) if hop not in trusted), peer)

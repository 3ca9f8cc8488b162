"""What browsers need to let a page of another site send events and read the answers. Pure.

Cookies are never asked for, so any page may ask. Which pages a key may be used on is judged with the request itself,
and refused in an answer that the page can read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: Seconds for which a browser need not ask again; Chromium takes no more.
_MAX_AGE: Final = 7_200


def origin_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Where the page comes from, as its browser says; None where no browser asks."""
    return next((value.decode("latin-1") for name, value in headers if name == b"origin"), None)


def readable(origin: str | None) -> dict[str, str]:
    """Headers with which a page can read an answer, and how long to wait before the next try."""
    if origin is None:
        return {"Vary": "Origin"}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "Retry-After, X-RateLimit-Reset",
        "Vary": "Origin",
    }


def preflight(origin: str | None, asked: str | None) -> dict[str, str]:
    """Headers with which a page may send what it has announced.

    Args:
        origin: ``origin_of`` the request.
        asked: Which headers of its own it announces. Any may come: they are not read but for the key, any program can
            send them, and one that a list of ours does not know yet would cost a library's users every event
            (RudderStack's sends ``AnonymousId``, ``SentAt`` and, on retries, five more).
    """
    return {
        **readable(origin),
        "Access-Control-Allow-Methods": "GET, POST",
        **({"Access-Control-Allow-Headers": asked} if asked else {}),
        "Access-Control-Max-Age": str(_MAX_AGE),
    }

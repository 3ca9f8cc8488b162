"""Web sites that a key may be used on: browsers say where a script comes from (RFC 6454). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

import idna

LONGEST: Final = 300
#: Scheme, host and port; a star stands for any number of labels before the rest of the host.
PATTERN: Final = r"^https?://(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*(:[0-9]{1,5})?$"
_PARTS: Final = re.compile(r"(https?)://(\*\.)?([^/:*@?#\s]+)(:[0-9]{1,5})?", re.IGNORECASE)
_USUAL_PORTS: Final = {"http": ":80", "https": ":443"}


def normalise(text: str) -> str:
    """An origin as browsers write it: lower case, Punycode, without the usual port and a slash at the end.

    Raises:
        ValueError: It is none.
    """
    parts = _PARTS.fullmatch(text.strip().removesuffix("/"))
    if parts is not None:
        scheme, star, port = parts[1].lower(), parts[2] or "", parts[4] or ""
        origin = f"{scheme}://{star}{_host(parts[3])}{'' if port == _USUAL_PORTS[scheme] else port}"
        if len(origin) <= LONGEST and re.fullmatch(PATTERN, origin):
            return origin
    raise ValueError(
        'An origin has a scheme and a host and no path: "https://shop.example.com", or "https://*.example.com".'
    )


def allows(allowed: Collection[str], origin: str | None) -> bool:
    """Whether a request from this origin may use a key.

    Args:
        allowed: As ``normalise`` gives them; none stands for any.
        origin: The header, as browsers send it; None where there is none.
    """
    if not allowed:
        return True
    if origin is None:
        return False
    scheme, _, host = origin.partition("://")
    labels = host.split(".")
    above = (f"{scheme}://*.{'.'.join(labels[n:])}" for n in range(1, len(labels)))
    return origin in allowed or any(pattern in allowed for pattern in above)


def _host(written: str) -> str:
    if written.isascii():
        return written.lower()
    try:
        return idna.encode(written, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""  # which is no host

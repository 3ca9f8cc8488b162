"""Where tracking clients put their write key. Pure."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qs

from crm.errors import NotSignedIn

#: The query parameter of clients that can set no header: ``navigator.sendBeacon``.
PARAMETER: Final = "writeKey"
_PREFIX: Final = "crm_"


def sent(headers: Iterable[tuple[bytes, bytes]], query: bytes) -> str | None:
    """The key of the Authorization header, else of the query; None where it can only be in the body.

    Basic has it as the user name; some clients forget the colon behind it. A bearer token that is no key of ours is
    passed over: clients that sign in elsewhere have the key in the body, too.

    Raises:
        NotSignedIn: The header cannot be read.
    """
    lines = [value for name, value in headers if name == b"authorization"]
    if len(lines) > 1:
        raise _unreadable()
    key = _in_header(lines[0]) if lines else ""
    return key or (_in_query(query) if query else "") or None


def _in_header(line: bytes) -> str:
    scheme, _, credentials = line.strip().partition(b" ")
    match scheme.lower():
        case b"basic":
            return _user_name(credentials.strip())
        case b"bearer":
            token = credentials.strip().decode("latin-1")
            return token if token.startswith(_PREFIX) else ""
    raise _unreadable()


def _user_name(credentials: bytes) -> str:
    try:
        decoded = b64decode(credentials + b"=" * (-len(credentials) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise _unreadable() from None
    return decoded.partition(":")[0].strip()


def _in_query(query: bytes) -> str:
    return parse_qs(query.decode("latin-1")).get(PARAMETER, [""])[0].strip()


def _unreadable() -> NotSignedIn:
    return NotSignedIn("Send the write key as the user name of Authorization: Basic, with an empty password.")

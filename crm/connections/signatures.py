"""Whether a body was signed with one of the secrets that are accepted. Pure, constant time."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

#: Compared with where there is no connection, so that it takes as long.
DECOY: Final = "no connection has this secret"


def sign(secret: str, body: bytes) -> str:
    """What Shopify and WooCommerce send: base64 of HMAC-SHA256 over the raw body."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def is_signed(body: bytes, signature: str | None, secrets: Iterable[str]) -> bool:
    """Whether one of the secrets made this signature; looks at all of them, whichever it was."""
    sent = (signature or "").strip().encode("utf-8", "replace")
    right = False
    for secret in secrets:
        right |= hmac.compare_digest(sign(secret, body).encode(), sent)
    return right

"""Whether a body was signed with one of the secrets that are accepted. Pure, constant time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import re
from collections.abc import Iterable
from typing import Final

from crm.connections.schemas import Kind

#: Compared with where there is no connection, so that it takes as long.
DECOY: Final = "no connection has this secret"

#: What WordPress takes out of a text that it has stored escaped (``wp_specialchars_decode`` with ``ENT_QUOTES``).
_ESCAPED: Final = re.compile(r"&(?:lt|gt|amp|quot|#0*(?:34|38|39|60|62)|#[xX]0*2[267]);")


def key(kind: Kind, secret: str) -> str:
    """What a shop of this kind signs with: WooCommerce unescapes its secret first, others take it as it is."""
    if kind != "woocommerce":
        return secret
    return _ESCAPED.sub(lambda found: html.unescape(found[0]), secret)


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

"""The header Idempotency-Key: which routes take it, how it is read, and the ids that follow from it.

draft-ietf-httpapi-idempotency-key-header-07. What becomes of such a request is in ``crm.idempotency``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, cast

from litestar import Request
from litestar.handlers import BaseRouteHandler

from crm.database.ids import derived_id, new_id
from crm.errors import FieldError, UnreadableRequest
from crm.web.access import PUBLIC

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
#: Where the middleware leaves the request's ids in the ASGI scope.
SCOPE_KEY: Final = "crm_new_ids"
POLICY: Final = (
    'A text of 1 to 255 visible ASCII characters that you draw anew for each thing to create, such as a UUID, as "…" '
    "(RFC 8941) or bare. The same request again with the same key gets the stored answer with "
    f"{REPLAYED}: true; while the first is still running, 409 (request_in_progress); with another content, 422 "
    "(idempotency_key_reused). Keys belong to one caller, method and path, and are kept for 7 days. A refused request "
    "(4xx) gives its key back."
)
_OPT: Final = "idempotent"
_BARE: Final = re.compile(rb"[\x21\x23-\x7e]+")
_QUOTED: Final = re.compile(rb'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')
_LONGEST: Final = 255
#: The same for the description.
KEY_PATTERN: Final = r'^([!#-~]+|"([!#-\[\]-~]|\\["\\])+")$'


def creates(access: Mapping[str, Any]) -> dict[str, Any]:
    """The ``opt`` of a route that creates something: who may call it, and that it takes an Idempotency-Key.

    Not for answers that hold a secret: they are kept for 7 days.

    Raises:
        TypeError: The route is public. Keys belong to a caller, and everybody who is nobody would share theirs.
    """
    if dict(access) == PUBLIC:
        raise TypeError("A public route takes no Idempotency-Key.")
    return {**access, _OPT: True}


def takes_key(handler: BaseRouteHandler) -> bool:
    """Whether a route has opted in."""
    return bool(handler.opt.get(_OPT))


def read_key(lines: Sequence[bytes]) -> str:
    """The key that the lines of the header give: an RFC 8941 string, or the bare characters.

    Raises:
        UnreadableRequest: There are several, or it is no such text; the error names the header.
    """
    line = lines[0].strip(b" \t") if len(lines) == 1 else b""
    quoted, bare = _QUOTED.fullmatch(line), _BARE.fullmatch(line)
    key = re.sub(rb"\\(.)", rb"\1", quoted[1]) if quoted else bare[0] if bare else b""
    if not 0 < len(key) <= _LONGEST:
        says = f'Send one {HEADER} of 1 to {_LONGEST} visible ASCII characters, as "…" or bare.'
        raise UnreadableRequest(says, errors=(FieldError(HEADER, says),))
    return key.decode("ascii")


def fingerprint(*parts: bytes) -> str:
    """256 bits of BLAKE2b over length-prefixed parts, in hexadecimal."""
    digest = blake2b(digest_size=32)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class NewIds:
    """The ids of what a request creates.

    Attributes:
        request: What tells the request from all others, its content included; empty where it has no Idempotency-Key.
    """

    request: tuple[str, ...] = ()

    def id(self, prefix: str) -> str:
        """An id: the same one whenever the same request with a key is run, a new one where it has no key."""
        return derived_id(prefix, *self.request) if self.request else new_id(prefix)


def ids_of_request(request: Request[Any, Any, Any]) -> NewIds:
    """The dependency ``new_ids``."""
    scope = cast("dict[str, Any]", request.scope)
    return cast("NewIds", scope.get(SCOPE_KEY, NewIds()))

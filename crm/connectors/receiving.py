"""Takes a webhook in: who signed it, put down to the byte, then answered. What it says is looked at later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any

from litestar import Request
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from crm.connections import service as connections
from crm.connections.schemas import Kind
from crm.connectors import reading
from crm.connectors.reading import Json
from crm.database.driver import acting_within
from crm.errors import NotFound, Unmappable
from crm.identity import Role
from crm.inbox import service as inbox
from crm.inbox.schemas import LARGEST_BODY, Arrival
from crm.web.schemas import WireOut


class Received(WireOut):
    """It is stored. A repetition of what was stored before is answered alike."""

    received: bool = True


async def raw_body(request: Request[Any, Any, Any]) -> bytes:
    """The body to the byte, whatever content type it says it has."""
    body = await request.body()
    if len(body) > LARGEST_BODY:
        raise RequestEntityTooLarge
    return body


async def receive(
    kind: Kind,
    name: str,
    body: bytes,
    *,
    signature: str | None,
    shop: str | None,
    describe: Callable[[], Arrival],
    even_disabled: frozenset[str] = frozenset(),
) -> None:
    """Check the signature, then put the delivery down.

    Args:
        kind: Of the route.
        name: Of the connection, in the URL.
        body: To the byte.
        signature: As the header has it.
        shop: The sender's address, where a header says it.
        describe: Reads the delivery off headers and body; called once the signature is known to be right.
        even_disabled: Topics that a disabled connection takes, too.

    Raises:
        NotSignedIn: The signature is wrong, or there is no such connection.
        NotFound: The connection is disabled; only said to whom knows its secret.
    """
    # The signature counts, not who else may be signed in with the same request.
    with acting_within(Role.AUTH):
        verified = await connections.verify(kind, name, body, signature, shop=shop)
        arrival = describe()
        if verified.disabled and arrival.topic not in even_disabled:
            raise NotFound("This connection is disabled.")
        await inbox.put_down(verified.connection_id, arrival)


def glance(body: bytes) -> Json:
    """What the body says of its resource and version; an empty object where it cannot be read.

    It is signed, so it is kept all the same, and the dead letters will say what is wrong with it.
    """
    try:
        return reading.parse(body)
    except Unmappable:
        return {}


def version(data: Json, name: str, read: Callable[[Json, str], datetime | None] = reading.moment) -> datetime | None:
    """The source's own date of a resource; None where it cannot be read."""
    try:
        return read(data, name)
    except Unmappable:
        return None


def digest(body: bytes) -> str:
    """What tells two bodies apart."""
    return sha256(body).hexdigest()

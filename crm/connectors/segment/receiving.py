"""Takes a request of a tracking client in: whose it is, how much it may send, what it says, what became of it.

The body is read once it is known whose it is, where a header says so. A worker holds so many bytes of bodies and no
more, whatever they wait for; who comes then is told at once to come again. Whatever is wrong with single messages is
said of them one by one in an answer of 200: the clients take any other for the fate of the whole batch, and old ones
even 202.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from litestar.types import Receive, Scope

from crm.auth import origins
from crm.auth import service as auth
from crm.auth.schemas import WriteKey
from crm.clock import now
from crm.config import Settings
from crm.connectors.segment import cors, write_keys
from crm.connectors.segment.limits import LARGE_BODY_BYTES, MOST_BODY_BYTES, TYPES, Limits
from crm.connectors.segment.reading import Read, key_in, read
from crm.database.driver import acting_within
from crm.errors import NotSignedIn, OriginNotAllowed
from crm.events import service as events
from crm.events.messages import Rejected, Sender
from crm.identity import Role
from crm.rate_limits import service as rate_limits
from crm.web import problems
from crm.web.hot_routes import Answer
from crm.web.whole_bodies import Held, receive_whole

#: Bytes of bodies that a worker holds. Those whose key is in the body have room of their own: who has no key at all
#: must not take it from those who have one.
_KNOWN: Final = Held(32 * 1024 * 1024)
_UNKNOWN: Final = Held(16 * 1024 * 1024)
#: Seconds to wait for the database to say whose a key is. It takes a millisecond, and clients come again.
_KEY_WITHIN: Final = 3.0

#: The last part of a path → the type of the one message in the body; None where it is a batch.
CALLS: Final[dict[str, str | None]] = {
    **{type_: type_ for type_ in sorted(TYPES)},
    "t": "track",
    "i": "identify",
    "p": "page",
    "s": "screen",
    "g": "group",
    "a": "alias",
    **dict.fromkeys(("batch", "b", "import")),
}


async def take(call: str, scope: Scope, receive: Receive, settings: Settings) -> Answer:
    """Answer one request.

    Args:
        call: One of ``CALLS``.
        scope: Of ASGI; who sent it is noted in it, for the log.
        receive: Of ASGI; nothing has been read yet.
        settings: The installation's.

    Raises:
        CrmError: As a page of another site can read it.
    """
    with readable(scope) as headers:
        tracked = await _taken(CALLS[call], scope, receive, settings)
    return Answer(msgspec.json.encode(tracked), headers=tuple(headers.items()))


@contextmanager
def readable(scope: Scope) -> Iterator[dict[str, str]]:
    """Have a page of another site read the answer, an error's, too; gives the headers that do it."""
    headers = cors.readable(cors.origin_of(scope["headers"]))
    try:
        yield headers
    except Exception as exc:  # noqa: BLE001  it is raised again
        raise problems.with_headers(exc, headers) from exc.__cause__


async def _taken(type_: str | None, scope: Scope, receive: Receive, settings: Settings) -> dict[str, Any]:
    headers = scope["headers"]
    credential = write_keys.sent(headers, scope["query_string"])
    key = None if credential is None else await _recognised(credential, scope)
    limits = Limits() if key is None else _limits(key)
    with (_UNKNOWN if key is None else _KNOWN).room() as take:
        body = await receive_whole(headers, receive, limits.most_body_bytes, take)
        if key is None and (credential := key_in(body)):
            # Before the messages are read: while they wait, they would take seven times the memory of the body.
            key = await _recognised(credential, scope)
            limits = _limits(key)
        moment = now()
        said = read(type_, body, received_at=moment, limits=limits)
        if key is None:
            key = await _recognised(said.write_key or "", scope)
            if key.event_types:
                said = read(type_, body, received_at=moment, limits=_limits(key))
        return await _stored(key, said, settings)


async def _stored(key: WriteKey, said: Read, settings: Settings) -> dict[str, Any]:
    if key.events_per_second is not None:
        await rate_limits.spend(key.principal.id, len(said.messages) + len(said.rejected), key.events_per_second)
    sender = _sender(key, settings)
    with acting_within(key.principal.role):
        tracked = await events.track(sender, [message for _, message in said.messages])
        refused = [said.refused(place, error) for place, error in tracked.refused.items()]
        rejected = [*said.rejected, *refused]
        if rejected:
            await events.keep_rejects(sender, rejected)
    return _told(tracked, rejected)


async def _recognised(credential: str, scope: Scope) -> WriteKey:
    if not credential:
        raise NotSignedIn("Send a write key: as the user name of Authorization: Basic, or as writeKey in the body.")
    with acting_within(Role.AUTH):
        key = await auth.recognise_key(credential, within=_KEY_WITHIN)
    state: dict[str, Any] = scope  # type: ignore[assignment]  # a TypedDict that middleware adds its own keys to
    state["crm_principal"] = key.principal
    if not origins.allows(key.origins, cors.origin_of(scope["headers"])):
        raise OriginNotAllowed("This write key may not be used on this web site.")
    return key


def _limits(key: WriteKey) -> Limits:
    return Limits(LARGE_BODY_BYTES if key.large_batches else MOST_BODY_BYTES, key.event_types or TYPES)


def _sender(key: WriteKey, settings: Settings) -> Sender:
    trusted = key.principal.role is Role.INGEST
    return Sender(
        key.principal.id,
        key.source,
        trusted=trusted,
        phone_region=settings.default_phone_region,
        key_name=key.principal.name,
    )


def _told(tracked: events.Tracked, rejected: Sequence[Rejected]) -> dict[str, Any]:
    return {
        "success": True,
        "accepted": tracked.accepted,
        "duplicates": tracked.duplicates,
        "rejected": [
            {"index": one.index, "messageId": one.message_id, "code": one.code, "message": one.message}
            for one in sorted(rejected, key=lambda one: one.index)
        ],
    }

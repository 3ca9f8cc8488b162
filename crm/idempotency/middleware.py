"""Runs a request with an Idempotency-Key once, and gives the same answer when it comes again."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import structlog
from litestar import Request
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from crm.database.ids import derived_id
from crm.errors import CrmError
from crm.idempotency import service
from crm.idempotency.service import Answer, Run
from crm.web import problems
from crm.web.access import acting
from crm.web.idempotency import HEADER, REPLAYED, SCOPE_KEY, NewIds, fingerprint, read_key, takes_key

log = structlog.get_logger("crm.idempotency")
#: The headers of an answer that are kept with it.
_KEPT: Final = ("content-type", "etag", "location")
_CUSTOMER: Final = re.compile(r"cus_[0-9A-Za-z]{1,64}")


class IdempotentRequests:
    """For routes with ``opt=creates(…)``. Stands within ``ActingPrincipal``, so that it is known who asks.

    The answer is held back until it is stored: who has seen it, sees it again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        lines = _key_lines(scope)
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        if not lines or not await _admitted(request):
            await self.app(scope, receive, send)
            return
        try:
            key = read_key(lines)
            content = await _content(request)
            # The path as the router read it; the principal's id keeps callers' keys apart.
            name = (acting(request).id, request.method, scope["path"], key)
            begun = await service.begin(derived_id("idk", *name), content)
        except (CrmError, HTTPException) as exc:
            await problems.handle(request, exc).to_asgi_response(None, request)(scope, receive, send)
            return
        if isinstance(begun, Answer):
            await _replay(begun, send)
            return
        state: dict[str, Any] = scope  # type: ignore[assignment]  # a TypedDict that we add our own keys to
        # With the content: long after the key is forgotten, another content under it is another thing.
        state[SCOPE_KEY] = NewIds((*name, content))
        messages: list[Message] = []

        async def hold_back(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, hold_back)
        await _settle(begun, messages)
        for message in messages:
            await send(message)


def _key_lines(scope: Scope) -> list[bytes]:
    """The header's lines, where the route takes the header."""
    if scope["type"] != ScopeType.HTTP or not takes_key(scope["route_handler"]):
        return []
    return [value for name, value in scope["headers"] if name == HEADER.lower().encode()]


async def _admitted(request: Request[Any, Any, Any]) -> bool:
    """Whether the guards let the request pass; where not, they say so again when the route is asked."""
    try:
        await request.route_handler.authorize_connection(request)
    except (CrmError, HTTPException):
        return False
    return True


async def _content(request: Request[Any, Any, Any]) -> str:
    """A hash of what is asked; the body stays readable for the handler, and over its limit is a 413 as ever."""
    content_type = request.headers.get("content-type", "").encode()
    return fingerprint(content_type, request.scope["query_string"], await request.body())


async def _settle(run: Run, messages: list[Message]) -> None:
    """Note what became of a run. Where that fails, the answer is right all the same, and the lease runs out."""
    status, answer = _status(messages), _answer(messages)
    try:
        if answer is not None:
            await service.finish(run, answer)
        elif 400 <= status < 500:
            await service.free(run)
        else:
            # Among others a timeout of the database: what was to be created may be there.
            await service.give_up(run)
    except CrmError as exc:
        log.warning("answer not stored", code=exc.code)


def _status(messages: list[Message]) -> int:
    return next((message["status"] for message in messages if message["type"] == "http.response.start"), 500)


def _answer(messages: list[Message]) -> Answer | None:
    """An answer that is worth keeping: 2xx, and text."""
    status = _status(messages)
    if not 200 <= status < 300:
        return None
    headers: dict[str, str] = {}
    parts: list[bytes] = []
    for message in messages:
        if message["type"] == "http.response.start":
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            parts.append(message["body"])
    try:
        body = b"".join(parts).decode("utf-8")
    except UnicodeDecodeError:
        return None
    content_type, etag, location = (headers.get(name) for name in _KEPT)
    return Answer(status, body, content_type, etag, location, _customer_of(body))


def _customer_of(body: str) -> str | None:
    """Whom an answer speaks of: a customer, or something that is one's."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    named = (told.get("customer_id"), told.get("id")) if isinstance(told, dict) else ()
    return next((value for value in named if isinstance(value, str) and _CUSTOMER.fullmatch(value)), None)


async def _replay(answer: Answer, send: Send) -> None:
    body = answer.body.encode("utf-8")
    kept = zip(_KEPT, (answer.content_type, answer.etag, answer.location), strict=True)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in kept if value is not None]
    headers += [(b"content-length", str(len(body)).encode()), (REPLAYED.lower().encode(), b"true")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})

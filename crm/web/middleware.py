"""What surrounds every request: its id, who makes it, on whose MongoDB client it runs, and one line of log."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from crm.database.driver import Database, act
from crm.errors import CrmError, NotSignedIn
from crm.identity import ANONYMOUS, Principal, Role
from crm.web.client import client_address

if TYPE_CHECKING:
    Recognise = Callable[[str], Awaitable[Principal]]

log = structlog.get_logger("crm.access")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class RequestLog:
    """Gives each request an id (or keeps the caller's) and logs one line: no query string, no body, no header."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        scope["crm_request_id"] = request_id  # type: ignore[typeddict-unknown-key]  # a TypedDict with our own keys
        started = time.perf_counter()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", [])
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            log.info(
                "request",
                method=scope.get("method"),
                # The template, not the path: a path can hold another system's id.
                route=scope.get("path_template"),
                status=status,
                ms=round((time.perf_counter() - started) * 1000, 1),
                principal=getattr(scope.get("crm_principal"), "id", None),
            )
            structlog.contextvars.unbind_contextvars("request_id")


class ActingPrincipal:
    """Finds out who asks and lets the request run on the client of that role.

    In middleware, because a ContextVar that is set in a dependency does not always reach the handler. Wrong
    credentials are not refused here but by the guard: public routes answer all the same.
    """

    def __init__(
        self, app: ASGIApp, *, database: Callable[[Scope], Database], recognise: Recognise, trusted_proxies: str
    ) -> None:
        self.app = app
        self.database = database
        self.recognise = recognise
        self.trusted_proxies = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        state: dict[str, Any] = scope  # type: ignore[assignment]  # a TypedDict that we add our own keys to
        database = self.database(scope)
        # What changes nothing may be answered by another member while there is no primary (docs/failover.md).
        reads = scope["method"] in {"GET", "HEAD"}
        act(database, Role.AUTH, reads=reads)
        principal = ANONYMOUS
        try:
            credential = _bearer(scope)
            if credential is not None:
                principal = await self.recognise(credential)
        except CrmError as exc:
            state["crm_sign_in_failure"] = exc
        address = client_address(scope, self.trusted_proxies)
        state["crm_principal"] = replace(principal, address=address, request_id=state.get("crm_request_id"))
        act(database, principal.role, reads=reads)
        await self.app(scope, receive, send)


def _bearer(scope: Scope) -> str | None:
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if not values:
        return None
    try:
        scheme, _, credential = values[0].decode("ascii").partition(" ")
    except UnicodeDecodeError:
        raise NotSignedIn("The Authorization header cannot be read.") from None
    if scheme.lower() != "bearer" or not credential.strip() or len(values) > 1:
        raise NotSignedIn("Send the token or API key as Authorization: Bearer ….")
    return credential.strip()


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return os.urandom(13).hex().upper()

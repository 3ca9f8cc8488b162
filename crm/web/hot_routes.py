"""A short road for the few routes that other systems call all day.

The framework takes about 0.4 ms of processor time to bring a request to its handler and the answer back: routing,
models of signatures, request and response objects. A hot route is a route as any other, with a second handler that is
given the body's bytes and gives bytes. Both call the same code, and what surrounds them is the same: middleware, who
may call it, content types, limits, errors. A request that the short road is not sure of takes the other one.

What a route declares is read from its Litestar handler; ``hot`` adds the second handler, and what each parameter of the
path looks like, percent-decoded::

    @put("/{source:str}/{external_id:path}", opt={**SENDERS, **hot(_push, source=r"[a-z]+", external_id=r"[^/].*")})

Declare fewer paths rather than more: each of them must be one that the router would bring to the same handler.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast
from urllib.parse import unquote_to_bytes

from litestar import Litestar, Request, Response
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, LifeSpanReceive, LifeSpanScope, LifeSpanSend, Receive, Scope, Send

from crm.config import Settings
from crm.errors import ClientGone, OperatorError
from crm.identity import Principal
from crm.web import access, problems
from crm.web.idempotency import takes_key

T = TypeVar("T")
_KEY: Final = "hot"
_PATH: Final = "crm_hot_path"
#: Otherwise the router has to judge whether it is one.
_PLAIN_HOST: Final = re.compile(rb"[A-Za-z0-9.:_-]*")
_PARAMETER: Final = re.compile(r"/\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on the short road: its sender may make it, and its body is within the limit.

    Attributes:
        principal: Who sends it.
        path: The parameters of the path, in their order, percent-decoded.
        headers: As they came; names are in lower case.
        body: All of it.
        settings: The installation's.
    """

    principal: Principal
    path: tuple[str, ...]
    headers: list[tuple[bytes, bytes]]
    body: bytes
    settings: Settings


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as bytes.

    Attributes:
        body: JSON.
        status: HTTP status.
        headers: Besides those of the content.
    """

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    def as_response(self, _shape: type[T]) -> Response[T]:
        """The same for Litestar, which is told what shape it has."""
        headers = dict(self.headers)
        answer = Response(self.body, status_code=self.status, media_type="application/json", headers=headers)
        return cast("Response[T]", answer)

    async def send(self, send: Send) -> None:
        """Send it, as ASGI."""
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


@dataclass(frozen=True, slots=True)
class Coming:
    """A request on the short road whose body has not been read; nothing limits it.

    Attributes:
        scope: Of ASGI.
        receive: Of ASGI.
        path: The parameters of the path, in their order, percent-decoded.
        settings: The installation's.
    """

    scope: Scope
    receive: Receive
    path: tuple[str, ...]
    settings: Settings


Handle = Callable[[Asked], Awaitable[Answer]]
Take = Callable[[Coming], Awaitable[Answer]]


def hot(handle: Handle, **parameters: str) -> dict[str, Any]:
    """A part of a route's ``opt``: also serve it on the short road.

    Args:
        handle: Answers a request; errors of ours become problem details.
        parameters: A regular expression for each parameter of the path.
    """
    return {_KEY: (handle, None, _compiled(parameters))}


def hot_unread(take: Take, **parameters: str) -> dict[str, Any]:
    """As ``hot``, for a handler that reads the body itself, once it knows whose it is."""
    return {_KEY: (None, take, _compiled(parameters))}


def _compiled(parameters: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    return {name: re.compile(pattern, re.DOTALL) for name, pattern in parameters.items()}


class _HotRoute:
    """A route on the short road."""

    def __init__(self, template: str, handler: HTTPRouteHandler, settings: Settings) -> None:
        self._handle, self._take, patterns = cast(
            "tuple[Handle | None, Take | None, dict[str, re.Pattern[str]]]", handler.opt[_KEY]
        )
        names = _PARAMETER.findall(template)
        self._start = template.split("/{")[0].encode()
        if set(names) != patterns.keys() or template != self._start.decode() + "".join(f"/{{{n}}}" for n in names):
            raise OperatorError(f"The hot route {template} needs a pattern for each parameter, at its end.")
        if takes_key(handler):
            raise OperatorError(f"The hot route {template} cannot take an Idempotency-Key.")
        self._patterns = [patterns[name] for name in names]
        self.template = template
        self._access = access.declared_access(handler)
        self._content_types = access.content_types(handler)
        self._limit = handler.resolve_request_max_body_size()
        self._settings = settings

    def path_of(self, raw: bytes) -> tuple[str, ...] | None:
        """The parameters of a path that is certainly one of this route's, as it came over the wire; else None."""
        if not raw.startswith(self._start) or b"?" in raw:
            return None
        before, *segments = raw[len(self._start) :].split(b"/")
        if before or len(segments) != len(self._patterns):
            return None
        try:
            values = tuple((unquote_to_bytes(segment) if b"%" in segment else segment).decode() for segment in segments)
        except UnicodeDecodeError:
            return None
        fits = all(pattern.fullmatch(value) for pattern, value in zip(self._patterns, values, strict=True))
        return values if fits else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI; errors are answered as everywhere."""
        try:
            answer = await self._answer(scope, receive)
        except Exception as exc:  # noqa: BLE001  the handler of all errors makes an answer of it
            request: Request[Any, Any, Any] = Request(scope, receive, send)
            await problems.handle(request, exc).to_asgi_response(None, request)(scope, receive, send)
            return
        await answer.send(send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        access.admit(scope, self._access)
        headers = scope["headers"]
        sent = next((value for name, value in headers if name == b"content-type"), b"")
        access.check_content_type(sent.decode("latin-1"), self._content_types)
        path: tuple[str, ...] = cast("dict[str, Any]", scope)[_PATH]
        if self._handle is None:
            take = cast("Take", self._take)
            return await take(Coming(scope, receive, path, self._settings))
        body = await self._body(headers, receive)
        asked = Asked(access.present(scope), path, cast("list[tuple[bytes, bytes]]", headers), body, self._settings)
        return await self._handle(asked)

    async def _body(self, headers: Any, receive: Receive) -> bytes:
        limit = self._limit
        if limit is not None and any(n == b"content-length" and int(value) > limit for n, value in headers):
            raise RequestEntityTooLarge
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            event = await receive()
            if event["type"] != "http.request":
                raise ClientGone("The body was cut off.")
            parts.append(event["body"])
            size += len(event["body"])
            if limit is not None and size > limit:
                raise RequestEntityTooLarge
            more = event.get("more_body", False)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class WithHotRoutes(Litestar):
    """An application whose hot routes have the short road."""

    _hot: dict[str, list[tuple[_HotRoute, ASGIApp]]] | None = None

    def open_hot_routes(self, settings: Settings, surround: Callable[[ASGIApp], ASGIApp]) -> None:
        """Open the short road to all routes that declare it.

        Args:
            settings: The installation's.
            surround: Puts a route into the middleware that the others have.

        Raises:
            OperatorError: A route declares it in a way that is not possible.
        """
        self._hot = {}
        for template, handler in self._declared():
            route = _HotRoute(template, handler, settings)
            for method in handler.http_methods:
                self._hot.setdefault(str(method), []).append((route, surround(route)))

    def _declared(self) -> Iterator[tuple[str, HTTPRouteHandler]]:
        for route in self.routes:
            if isinstance(route, HTTPRoute):
                yield from ((route.path_format, handler) for handler in route.route_handlers if _KEY in handler.opt)

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        """ASGI."""
        asked = cast("dict[str, Any]", scope)
        if asked["type"] == "http" and self._hot:
            for route, app in self._hot.get(asked["method"], ()):
                path = route.path_of(asked.get("raw_path") or b"")
                if path is not None and _is_plain(asked):
                    asked |= {"app": self, "litestar_app": self, "path_template": route.template, _PATH: path}
                    await app(cast("Scope", asked), cast("Receive", receive), cast("Send", send))
                    return
        await super().__call__(scope, receive, send)


def _is_plain(scope: dict[str, Any]) -> bool:
    """Whether nothing stands beside the path that the other road had to judge."""
    if scope["query_string"] or scope.get("root_path"):
        return False
    return all(
        _PLAIN_HOST.fullmatch(value) if name == b"host" else value.isdigit()
        for name, value in scope["headers"]
        if name in {b"host", b"content-length"}
    )
